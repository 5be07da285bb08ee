"""The end of a call that the service has by itself: a conference, or a voice that waits for keys."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from .legs import Ends
from .views import LegView

if TYPE_CHECKING:
    from agents.media.base import MediaState


class ServiceLeg:
    """A callee that answers at once, and says nothing by itself: who is heard is the room's business.

    Args:
        number: What was dialled.
        pressed: Told each key of the caller.
        over: Told once when the call has ended.
    """

    party = None
    holds = False
    media_state: "MediaState" = "connected"

    def __init__(
        self,
        number: str,
        *,
        pressed: Callable[[str], None] | None = None,
        over: Callable[[], None] | None = None,
    ) -> None:
        self.name = self.number = number
        self.ends: Ends | None = None
        self._pressed, self._over = pressed, over
        self._state = "ringing"

    def ring(self) -> None:
        """Answer."""
        self._state = "answered"
        if self.ends is not None:
            self.ends.answered(self)

    def press(self, key: str) -> None:
        """Take a key of the caller's."""
        if self._pressed is not None:
            self._pressed(key)

    def progress(self, then: Callable[[], None]) -> None:
        """Do nothing: it is nobody's caller."""

    def answer(self) -> None:
        """Do nothing: it is nobody's caller."""

    def reject(self, status: int, reason: str) -> None:
        """Do nothing: it is nobody's caller."""

    def partner_is(self, state: "MediaState", *, holds: bool) -> None:
        """Do nothing: the room knows."""

    def end(self, reason: str) -> None:
        """Note the end; harmless twice."""
        over, self._over = self._over, None
        self._state = "ended"
        if over is not None:
            over()

    def view(self) -> LegView:
        """Return what can be seen of it."""
        return LegView(leg=self.name, kind="service", number=self.number, owner="service", state=self._state)
