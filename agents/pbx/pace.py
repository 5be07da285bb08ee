"""The service's clock and its timers, which can be made to run faster than real ones.

Bindings, challenges, ring times and the timers of SIP are in its seconds. Sound, handshakes and the time that
WebSockets are given stay in real ones.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from shared.clock import monotonic

Cancel = Callable[[], None]


@dataclass(slots=True, eq=False)
class _Timer:
    due: float
    action: Callable[[], None]
    handle: asyncio.TimerHandle | None = None


class Pace:
    """One clock. Use its timers on the event loop."""

    def __init__(self) -> None:
        self._factor = 1.0
        self._real = self._own = monotonic()
        self._timers: set[_Timer] = set()

    @property
    def factor(self) -> float:
        """How many of its seconds pass in a real one."""
        return self._factor

    @factor.setter
    def factor(self, factor: float) -> None:
        """Run faster or slower from now on; timers that wait already do, too."""
        self._own, self._real = self.now(), monotonic()
        self._factor = factor
        for timer in self._timers:
            self._arm(timer)

    def now(self) -> float:
        """Return monotonic seconds of this clock."""
        return self._own + (monotonic() - self._real) * self._factor

    def later(self, delay: float, action: Callable[[], None]) -> Cancel:
        """Do ``action`` in ``delay`` of its seconds; the returned function prevents it."""
        timer = _Timer(self.now() + delay, action)
        self._timers.add(timer)
        self._arm(timer)

        def cancel() -> None:
            self._timers.discard(timer)
            if timer.handle is not None:
                timer.handle.cancel()

        return cancel

    def _arm(self, timer: _Timer) -> None:
        if timer.handle is not None:
            timer.handle.cancel()
        delay = max(timer.due - self.now(), 0.0) / self._factor
        timer.handle = asyncio.get_running_loop().call_later(delay, self._fire, timer)

    def _fire(self, timer: _Timer) -> None:
        self._timers.discard(timer)
        timer.action()
