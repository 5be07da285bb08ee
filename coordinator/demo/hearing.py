"""Whether sound arrived: judged by the recordings themselves. Sound is 48 kHz mono 16-bit PCM."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.media.analysis import find_tones, rms_level, similarity
from agents.media.base import RATE_HZ
from agents.media.files import WavSource, read_wav
from agents.media.specs import FAREWELL, FAREWELL_TONES_HZ, GREETING, GREETING_TONES_HZ
from shared.clock import boottime
from shared.errors import MediaError

from .checks import NotObserved

#: The same sound scores above this after Opus, whatever its gain; another text or voice stays below.
SAME = 0.85
#: -60 dB of full scale. Speech is at about -20 dB.
SILENT = 0.001
PART_SECONDS = 3.0
_TONES_HZ = {GREETING: GREETING_TONES_HZ, FAREWELL: FAREWELL_TONES_HZ}
_BYTES_A_SECOND = RATE_HZ * 2


@dataclass(frozen=True, slots=True)
class Heard:
    """How well a text was heard: ``score`` up to 1; ``tones``: when each marker tone began, or None."""

    score: float
    tones: dict[float, float | None]

    @property
    def is_same(self) -> bool:
        """Whether it was that text, from beginning to end."""
        return self.score >= SAME and None not in self.tones.values()

    def __str__(self) -> str:
        missing = [f"{hz:g} Hz" for hz, at in self.tones.items() if at is None]
        marks = f"marker tones {' and '.join(f'{hz:g}' for hz in self.tones)} Hz found"
        return f"similarity {self.score:.2f}, {f'no marker tone {missing[0]}' if missing else marks}"


def hear(text: bytes, heard: bytes, tones_hz: Sequence[float]) -> Heard:
    """Look for the whole of ``text`` and its marker tones in a recording."""
    return Heard(similarity(text, heard).score, find_tones(heard, tones_hz))


def hear_part(text: bytes, part: bytes) -> float:
    """Say how well ``part`` fits some place of ``text`` when that is said again and again: 1 is the same."""
    return similarity(part, text + text).score


def between(recording: bytes, begin: float, end: float) -> bytes:
    """Return a piece of a recording; ``begin`` and ``end`` are seconds from its start."""
    first, last = (max(0, int(seconds * RATE_HZ)) * 2 for seconds in (begin, end))
    return recording[first:last]


def is_silent(sound: bytes) -> bool:
    """Whether nothing can be heard, not even for a hundredth of a second. No sound at all is not silence."""
    step = _BYTES_A_SECOND // 100
    return bool(sound) and all(
        rms_level(sound[start : start + step]) < SILENT for start in range(0, len(sound), step)
    )


# -- recordings that still grow --------------------------------------------------------------------------


async def recorded(path: Path, seconds: float, *, within: float = 15.0) -> bytes:
    """Return a recording once it is ``seconds`` long; whole, so it may be longer.

    Raises:
        NotObserved: It has not grown so long ``within`` seconds.
    """
    deadline = boottime() + within
    while (length := _seconds_in(path)) < seconds:
        if boottime() > deadline:
            raise NotObserved(f"{path.name} has {length:.1f} s of sound instead of {seconds:.1f} s")
        await asyncio.sleep(0.02)
    return await asyncio.to_thread(read_wav, path)


async def heard_text(text: Path, path: Path, *, within: float = 15.0) -> Heard:
    """Return how well ``text`` is heard in a recording, as soon as all of it is.

    Raises:
        NotObserved: It was not heard ``within`` seconds; the text has the best score.
    """
    wanted = await asyncio.to_thread(read_wav, text)
    deadline, seconds = boottime() + within, len(wanted) / _BYTES_A_SECOND
    while True:
        recording = await recorded(path, seconds, within=within)
        heard = await asyncio.to_thread(hear, wanted, recording, _TONES_HZ[text])
        if heard.is_same:
            return heard
        if boottime() > deadline:
            raise NotObserved(f"{text.name} is not heard in {path.name}: {heard}")
        seconds = len(recording) / _BYTES_A_SECOND + 0.4


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a recording in which the text is heard: it begins at ``begin``, seconds."""

    begin: float
    score: float


async def heard_part(text: Path, path: Path, begin: float, *, within: float = 10.0) -> Part:
    """Return the first piece of a recording that fits into ``text``, said again and again.

    A piece is :data:`PART_SECONDS` long without an interruption. On a machine that is too busy the first one
    may have a gap, so later ones are looked at, too; whoever asks tells from when on it was heard.

    Args:
        text: The file that is said.
        path: The recording, which may still grow.
        begin: Where to look from, seconds from its start.
        within: How much of it to look at, seconds.

    Raises:
        NotObserved: None fits; the text has the best score.
    """
    wanted, best, first = await asyncio.to_thread(read_wav, text), 0.0, begin
    while begin <= first + within:
        recording = await recorded(path, begin + PART_SECONDS)
        part = between(recording, begin, begin + PART_SECONDS)
        score = await asyncio.to_thread(hear_part, wanted, part)
        if score >= SAME:
            return Part(begin, score)
        best, begin = max(best, score), begin + 0.5
    raise NotObserved(f"{text.name} is not heard in {path.name}: similarity {best:.2f}")


def _seconds_in(path: Path) -> float:
    try:
        source = WavSource(path)
    except MediaError:
        return 0.0  # not begun yet
    try:
        return source.seconds
    finally:
        source.close()
