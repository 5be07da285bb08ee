"""Connections that were refused, told to people and to the ledger: in a flood not one by one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from shared.log import log

_WINDOW = 1.0
_ONE_BY_ONE = 5


@dataclass(slots=True)
class _Window:
    """What happened of one kind since it began; ``more`` of it is not told yet, ``reason`` is the last."""

    told: int = 0
    more: int = 0
    reason: str = ""


class Refusals:
    """Tells the first five of a kind in a second one by one, the others as a number when it is over.

    The kind is what stands before the first colon of a reason; there must be few.
    """

    def __init__(self, tell: Callable[[str, int], None]) -> None:
        self._tell = tell
        self._windows: dict[str, _Window] = {}

    def note(self, reason: str) -> None:
        """Take that a connection was refused."""
        kind = reason.partition(":")[0]
        if kind not in self._windows:
            self._windows[kind] = _Window()
            asyncio.get_running_loop().call_later(_WINDOW, self._over, kind)
        window = self._windows[kind]
        if window.told < _ONE_BY_ONE:
            window.told += 1
            self._say(reason, 1)
        else:
            window.more, window.reason = window.more + 1, reason

    def flush(self) -> None:
        """Tell what is left."""
        for kind in list(self._windows):
            self._over(kind)

    def _over(self, kind: str) -> None:
        window = self._windows.pop(kind, None)
        if window is not None and window.more:
            self._say(window.reason, window.more)

    def _say(self, reason: str, count: int) -> None:
        log.warning("flow.refused", reason=reason, count=count)
        self._tell(reason, count)
