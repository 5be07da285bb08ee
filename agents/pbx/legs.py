"""What a call is made of: legs, each a phone, a robot or the service itself; and what they tell it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from agents.sip.message import Request
from agents.sip.ringcentral import AgentMessage

from .views import LegView

if TYPE_CHECKING:
    from agents.media.base import MediaState

    from .media.room import Party
    from .phone_leg import PhoneLeg


class Leg(Protocol):
    """One end of a call. Commands return at once; what comes of them is told to the :class:`Ends`.

    Commands that do not fit the leg's state do nothing: the ends of a call change independently.
    """

    name: str
    number: str
    holds: bool
    """Whether it holds the other end."""

    ends: "Ends | None"

    @property
    def party(self) -> "Party | None":
        """Who speaks and hears at this end; None if its sound does not pass the service."""

    @property
    def media_state(self) -> "MediaState":
        """Whether its sound is connected."""

    def ring(self) -> None:
        """Call this end, as a callee's."""

    def progress(self, then: Callable[[], None]) -> None:
        """Tell this end, a caller's, that the other one is about to be called; then do ``then``."""

    def answer(self) -> None:
        """Tell this end, a caller's, that the other one has answered."""

    def reject(self, status: int, reason: str) -> None:
        """Tell this end, a caller's, that there will be no answer."""

    def partner_is(self, state: "MediaState", *, holds: bool) -> None:
        """Tell this end how the other one's sound is, and whether it holds this one."""

    def end(self, reason: str) -> None:
        """End it, whatever its state. ``reason`` is for people, and for the ledger."""

    def view(self) -> LegView:
        """Return what can be seen of it."""


class Ends(Protocol):
    """A call, as its legs see it."""

    def ringing(self, leg: Leg) -> None:
        """The called end rings."""

    def answered(self, leg: Leg) -> None:
        """The called end has answered."""

    def refused(self, leg: Leg, status: int, reason: str) -> None:
        """The called end will not answer."""

    def sounds(self, leg: Leg) -> None:
        """This end's sound has connected or failed, or the end holds the others or is back."""

    def pressed(self, leg: Leg, key: str) -> None:
        """Somebody has pressed a key at this end."""

    def referred(self, leg: "PhoneLeg", request: Request, answer: Callable[[int], None]) -> None:
        """This end's phone wants its far end transferred (REFER); ``answer`` sends the status to it."""

    def commanded(self, leg: "PhoneLeg", message: AgentMessage) -> None:
        """This end's phone rings, and wants something else than to answer."""

    def informed(self, leg: "PhoneLeg", body: str) -> None:
        """This end's phone wants something done in the call (INFO)."""

    def ended(self, leg: Leg, reason: str) -> None:
        """This end is over, by its own doing: hung up, gave up, or lost."""
