"""The terminal while the live demo has it: keys one by one, a screen of its own, all put back at the end."""

import contextlib
import os
import sys
import termios
import tty
from collections.abc import Sequence
from types import TracebackType
from typing import Self

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"  # alternate screen, no cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"


class Terminal:
    """Use with ``with``. Ctrl-C stays a signal; Ctrl-Z does nothing, because the phone would go on unseen."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._size = (0, 0)

    def __enter__(self) -> Self:
        self.input = sys.stdin.fileno()
        self._before = termios.tcgetattr(self.input)
        tty.setcbreak(self.input)
        mode = termios.tcgetattr(self.input)
        mode[6][termios.VSUSP] = b"\x00"
        termios.tcsetattr(self.input, termios.TCSANOW, mode)
        self._write(_ENTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(
            OSError, termios.error
        ):  # it may have been closed: then nothing is to restore
            self._write(_LEAVE)
            termios.tcsetattr(self.input, termios.TCSADRAIN, self._before)

    @property
    def has_colour(self) -> bool:
        """Whether colours are wanted (https://no-color.org) and can be shown."""
        return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"

    def size(self) -> tuple[int, int]:
        """Return columns and lines as they are now; what a shell put into COLUMNS may be of yesterday."""
        try:
            columns, lines = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            return 80, 24
        return columns or 80, lines or 24

    def show(self, lines: Sequence[str]) -> None:
        """Show ``lines``, one for each line of the screen; only what differs is written, in one piece."""
        if self.size() != self._size:
            self._size, self._shown = self.size(), []
        parts = [] if self._shown else ["\x1b[2J"]
        for number, line in enumerate(lines):
            if number >= len(self._shown) or self._shown[number] != line:
                parts.append(f"\x1b[{number + 1};1H{line}\x1b[0m\x1b[K")
        self._shown = list(lines)
        if parts:
            self._write("".join(parts))

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
