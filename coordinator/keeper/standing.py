"""Tell the keeper where its window stands in the line of succession, when there is time for it.

The heir is told soon, as it may be needed; the others when a new leader's first state is everywhere. That the
leader is about to leave is told at once.
"""

import asyncio
from collections.abc import Callable

from agents.dummy import calm
from shared.messages import Snapshot, Window

#: Seconds that the state may take to the other windows before the new heir prepares for its own promotion.
_HEAD_START = 0.006


class Standing:
    """Calls ``tell(rank, epoch)``: how many others would lead before ``instance`` after this epoch's leader.

    And ``leaving(epoch)`` when that is about to let go. Must be made inside the window's running loop.
    """

    def __init__(
        self, instance: str, tell: Callable[[int | None, int], None], leaving: Callable[[int], None]
    ) -> None:
        self._instance, self._tell, self._leaving = instance, tell, leaving
        self._loop = asyncio.get_running_loop()
        self._shown: Snapshot | None = None
        self._seen: tuple[tuple[Window, ...], int] = ((), 0)
        self._told: tuple[int | None, int] = (None, 0)
        self._timer: asyncio.TimerHandle | None = None

    def shown(self, snapshot: Snapshot) -> None:
        """Take the state that the window shows now."""
        self._shown = snapshot
        seen = snapshot.windows, snapshot.version.epoch
        if seen != self._seen and snapshot.is_leader_leaving:
            self._leaving(snapshot.version.epoch)
        if seen != self._seen and self._timer is None:
            delay = _HEAD_START if snapshot.heir() == self._instance else calm(snapshot)
            self._timer = self._loop.call_later(delay, self._look)
        self._seen = seen

    def close(self) -> None:
        """Tell no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer, snapshot = None, self._shown
        assert snapshot is not None
        standing = snapshot.rank(self._instance), snapshot.version.epoch
        if standing != self._told:
            self._told = standing
            self._tell(*standing)
