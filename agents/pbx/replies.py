"""What a reply says to the caller: the phrases of each type, one after the other, and then the menu.

There is no speech synthesiser here: of a text the caller hears that there is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agents.media.wav import WavFormat, read_format, write_header
from shared.files import write_private
from shared.log import log

from .robots import SOUNDS

MENU = SOUNDS / "menu.wav"
_PHRASES = SOUNDS / "replies"
_UNITS = {"0": "minutes", "1": "hours", "2": "days"}
_DIRECTIONS = {"0": "to", "1": "from"}
_PLAIN = {"2": "on-my-way", "3": "other-line", "5": "meeting", "6": "other-line-no-call"}
_MOST_DIGITS = 4
_MOST_FILES = 32


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: what it says, in words for the ledger and in phrases for the caller."""

    words: str
    phrases: tuple[str, ...]


def read_reply(body: Mapping[str, str]) -> Reply:
    """Return what a ClientReply asks for (``RepTp`` 0 to 6); one that cannot be read is like a text."""
    kind, direction = body.get("RepTp", ""), _DIRECTIONS.get(body.get("Dir", ""))
    if kind in _PLAIN:
        return Reply(_PLAIN[kind].replace("-", " "), (_PLAIN[kind],))
    if kind == "4" and direction is not None:
        return Reply(f"call later, {direction} the caller", (f"later-{direction}",))
    unit, delay = _UNITS.get(body.get("Units", "")), body.get("Vl", "")
    is_number = delay.isascii() and delay.isdecimal() and len(delay) <= _MOST_DIGITS
    if kind == "1" and direction is not None and unit is not None and is_number:
        number = str(int(delay))
        phrases = (f"call-you-back-{direction}", *number, unit)
        return Reply(f"call back in {number} {unit}, {direction} the caller", phrases)
    if kind != "0":
        log.warning("reply.not_understood", kind=kind[:20])
    return Reply("a text", ("text",))


def spoken(reply: Reply, directory: Path) -> Path:
    """Return a WAV file with the phrases of a reply and the menu; a new one is kept in ``directory``.

    Raises:
        OSError: If it cannot be written.
    """
    path = directory / f"{'-'.join(reply.phrases)}.wav"
    if not path.exists():
        directory.mkdir(mode=0o700, exist_ok=True)
        _make_room(directory)
        write_private(path, _joined([*(_PHRASES / f"{phrase}.wav" for phrase in reply.phrases), MENU]))
    return path


def _make_room(directory: Path) -> None:
    files = sorted(directory.glob("*.wav"), key=lambda path: path.stat().st_mtime)
    for path in files[: max(len(files) - _MOST_FILES + 1, 0)]:
        path.unlink(missing_ok=True)


def _joined(parts: list[Path]) -> bytes:
    """Return one file of several, which are all of the same kind: mono, 16 bit."""
    sound = b""
    rate_hz = 0
    for part in parts:
        form, data = _sound(part)
        assert (form.channels, form.sample) == (1, "s16")
        assert rate_hz in (0, form.rate_hz)
        rate_hz, sound = form.rate_hz, sound + data
    return write_header(len(sound), rate_hz) + sound


def _sound(path: Path) -> tuple[WavFormat, bytes]:
    with path.open("rb") as file:
        form = read_format(file, path)
        file.seek(form.start)
        return form, file.read(form.size_bytes)
