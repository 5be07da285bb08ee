"""When the far end's frames are played: as packets come where they do so evenly, else by the clock.

No I/O and no clock of its own.

A packet that waits for the next step of a clock waits for 10 ms on average, and for 20 ms at worst. That is
how much later than usual others may come without harm; a line that is even does not need it, as the
loudspeaker's own queue makes up for a few milliseconds. Where packets come now shortly before a step and now
after it, that makes no difference.
"""

from .base import FRAME_SECONDS
from .streams import ReceiveStream

#: Frames that may be played before their step. With one only, a packet that comes shortly before a step, when
#: the one before came shortly after the last step, would wait for the next.
_MOST_AHEAD = 2
#: A packet that should have come so many seconds ago will hardly come in a moment.
_OVERDUE = 0.004


class Playout:
    """One frame for each step in the long run."""

    def __init__(self, receive: ReceiveStream) -> None:
        self._receive = receive
        self._owed = 0  # frames that should have been played by now; below 0: played before their step
        self._expected_at = 0.0

    def arrived(self, now: float) -> list[bytes]:
        """Return what to play now that ``receive`` has taken a packet: at most one frame.

        What the jitter buffer holds back besides stays there.
        """
        self._expected_at = now + FRAME_SECONDS
        is_due = self._owed > -_MOST_AHEAD and self._receive.is_due(is_late=self._owed > 0)
        return [self._next()] if is_due else []

    def step(self, now: float) -> list[bytes]:
        """Return what to play at this step of the clock, each 20 ms."""
        self._owed += 1
        can_wait = now < self._expected_at + _OVERDUE and self._receive.may_be_late
        frames = []
        while self._owed > int(can_wait):
            frames.append(self._next())
        return frames

    def _next(self) -> bytes:
        self._owed -= 1
        return self._receive.step()
