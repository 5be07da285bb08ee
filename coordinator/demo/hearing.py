"""Whether sound arrived: judged by the recordings themselves. Sound is 48 kHz mono 16-bit PCM."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.media.analysis import find_tones, rms_level, similarity, tone_level
from agents.media.base import RATE_HZ
from agents.media.files import WavSource, read_wav
from agents.media.specs import FAREWELL, FAREWELL_TONES_HZ, GREETING, GREETING_TONES_HZ
from agents.pbx.media.tones import MUSIC_HZ
from shared.clock import boottime
from shared.errors import MediaError

from .checks import NotObserved

#: A text is compared piece by piece: a receiver that waits a little longer for late packets, as it does on a
#: busy machine, moves what follows, and this is no fault.
_PIECE_SECONDS = 0.7
_MOVED_SECONDS = 0.15
#: After Opus and at any gain, the same sound reaches both; another text stays below 0.82 or 0.7.
_SAME_MEAN, _SAME_WORST = 0.85, 0.7
#: -60 dB of full scale. Speech is at about -20 dB.
SILENT = 0.001
PART_SECONDS = 3.0
_TONES_HZ = {GREETING: GREETING_TONES_HZ, FAREWELL: FAREWELL_TONES_HZ}
_BYTES_A_SECOND = RATE_HZ * 2


@dataclass(frozen=True, slots=True)
class Likeness:
    """How well the pieces of a text were heard, in their order: 1 is the same sound."""

    mean: float
    worst: float

    @property
    def is_same(self) -> bool:
        """Whether it was that text, without a gap."""
        return self.mean >= _SAME_MEAN and self.worst >= _SAME_WORST

    def __str__(self) -> str:
        return f"similarity {self.mean:.2f} (its worst piece {self.worst:.2f})"


@dataclass(frozen=True, slots=True)
class Heard:
    """How well a whole text was heard; ``tones``: when each of its marker tones began, or None."""

    likeness: Likeness
    tones: dict[float, float | None]

    @property
    def is_same(self) -> bool:
        """Whether it was that text, from beginning to end."""
        return self.likeness.is_same and None not in self.tones.values()

    def __str__(self) -> str:
        missing = [f"{hz:g} Hz" for hz, at in self.tones.items() if at is None]
        found = f"marker tones {' and '.join(f'{hz:g}' for hz in self.tones)} Hz found"
        return f"{self.likeness}, {f'no marker tone {missing[0]}' if missing else found}"


def compare(text: bytes, sound: bytes) -> Likeness:
    """Look for ``text`` in ``sound``: where it fits best as a whole, each piece must fit."""
    delay = similarity(text, sound).delay
    count = max(1, round(len(text) / _BYTES_A_SECOND / _PIECE_SECONDS))
    length = len(text) / _BYTES_A_SECOND / count
    scores = []
    for begin in (length * number for number in range(count)):
        around = between(sound, delay + begin - _MOVED_SECONDS, delay + begin + length + _MOVED_SECONDS)
        scores.append(similarity(between(text, begin, begin + length), around).score)
    return Likeness(sum(scores) / count, min(scores))


def hear(text: bytes, sound: bytes, tones_hz: Sequence[float]) -> Heard:
    """Look for the whole of ``text`` and its marker tones in a recording."""
    return Heard(compare(text, sound), find_tones(sound, tones_hz))


def hear_part(text: bytes, part: bytes) -> Likeness:
    """Say how well ``part`` fits some place of ``text`` when that is said again and again."""
    return compare(part, text + text)


def between(recording: bytes, begin: float, end: float) -> bytes:
    """Return a piece of a recording; ``begin`` and ``end`` are seconds from its start."""
    first, last = (max(0, int(seconds * RATE_HZ)) * 2 for seconds in (begin, end))
    return recording[first:last]


def is_music(sound: bytes) -> bool:
    """Whether the hold music is heard all the time, and nothing else. No sound at all is no music."""
    step = _BYTES_A_SECOND // 10
    pieces = [sound[start : start + step] for start in range(0, len(sound) - step + 1, step)]
    shares = [_share_of_music(piece) for piece in pieces]
    # Where one note follows another, each has only a part of the piece.
    return bool(shares) and min(shares) > 0.25 and sum(shares) / len(shares) > 0.75


def _share_of_music(piece: bytes) -> float:
    power = rms_level(piece) ** 2
    if power < SILENT**2:
        return 0.0
    return sum(tone_level(piece, hz) ** 2 / 2 for hz in MUSIC_HZ) / power


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


async def heard_text(text: Path, path: Path, *, within: float = 30.0) -> Heard:
    """Return how well ``text``, which is said again and again, is heard, once it is heard whole.

    Raises:
        NotObserved: It was not, in ``within`` seconds; the text says how well it was heard last.
    """
    wanted = await asyncio.to_thread(read_wav, text)
    length = len(wanted) / _BYTES_A_SECOND
    deadline, seconds = boottime() + within, length
    while True:
        recording = await recorded(path, seconds)
        # Somewhere in twice its length it is from beginning to end. To look at more would make us the
        # reason why the machine is busy.
        latest = recording[-int(2 * length * RATE_HZ) * 2 :]
        heard = await asyncio.to_thread(hear, wanted, latest, _TONES_HZ[text])
        if heard.is_same:
            return heard
        if boottime() > deadline:
            raise NotObserved(f"{text.name} is not heard in {path.name}: {heard}")
        seconds = len(recording) / _BYTES_A_SECOND + (0.5 if seconds == length else length / 2)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a recording in which the text is heard: it begins at ``begin``, seconds."""

    begin: float
    likeness: Likeness


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
        NotObserved: None fits; the text says how well the last one did.
    """
    wanted, last = await asyncio.to_thread(read_wav, text), begin + within
    while True:
        recording = await recorded(path, begin + PART_SECONDS)
        part = between(recording, begin, begin + PART_SECONDS)
        likeness = await asyncio.to_thread(hear_part, wanted, part)
        if likeness.is_same:
            return Part(begin, likeness)
        if begin >= last:
            raise NotObserved(f"{text.name} is not heard in {path.name}: {likeness}")
        begin += 0.5


def _seconds_in(path: Path) -> float:
    try:
        source = WavSource(path)
    except MediaError:
        return 0.0  # not begun yet
    try:
        return source.seconds
    finally:
        source.close()
