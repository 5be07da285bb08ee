"""Keys of the live demo: bytes from a terminal in, what the user wants out."""

from dataclasses import dataclass
from enum import StrEnum


class Verb(StrEnum):
    """What a key does."""

    CALL_IN = "c"
    DIAL_OUT = "d"
    ANSWER = "a"
    HOLD = "h"
    HANG_UP = "x"
    KILL = "k"
    NEW_WINDOW = "n"
    QUIT = "q"


@dataclass(frozen=True, slots=True)
class Press:
    """One key. ``window``: the number that was pressed to answer there, else None."""

    verb: Verb
    window: int | None = None


HELP = "c call in  d dial out  a,1-9 answer  h hold  x hang up  k kill  n new  q quit"

_END_OF_INPUT = b"\x04"
_ESCAPE = 0x1B


class KeyReader:
    """Turns what the terminal sends into presses. Cursor and function keys mean nothing here."""

    def __init__(self) -> None:
        self._in_sequence = False

    def feed(self, data: bytes) -> list[Press]:
        """Return the presses in ``data``; a sequence may be torn between two calls. No data: end of input."""
        if not data or _END_OF_INPUT in data:
            return [Press(Verb.QUIT)]
        presses = (self._read(byte) for byte in data)
        return [press for press in presses if press is not None]

    def _read(self, byte: int) -> Press | None:
        if byte == _ESCAPE:
            self._in_sequence = True
            return None
        if self._in_sequence:
            # ESC [ 1 ; 5 A, ESC O P: ends with a letter or ~ that is not the introducer itself.
            self._in_sequence = chr(byte) in "[O" or not (chr(byte).isalpha() or chr(byte) == "~")
            return None
        key = chr(byte).lower()
        if key in "123456789":
            return Press(Verb.ANSWER, int(key))
        return Press(Verb(key)) if key in set(Verb) else None
