"""What a call is made of: legs, each a phone or a robot, and what they tell their call."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from agents.sip.message import Request
from agents.sip.ringcentral import AgentMessage

from .views import LegView

if TYPE_CHECKING:
    from .phone_leg import PhoneLeg


class Place(Protocol):
    """Where one end has its sound: the end itself, or the service on its behalf."""

    name: str


class Leg(Protocol):
    """One end of a call. Commands return at once; what comes of them is told to the :class:`Ends`.

    SDP is text. Commands that do not fit the leg's state do nothing: the ends of a call change independently.
    """

    name: str
    number: str
    ends: "Ends | None"

    def ring(self, offer: str) -> None:
        """Call this end, as a callee's."""

    def progress(self) -> None:
        """Tell this end, a caller's, that the other one is being called."""

    def answer(self, sdp: str) -> None:
        """Tell this end, a caller's, that the other one has answered."""

    def reject(self, status: int, reason: str) -> None:
        """Tell this end, a caller's, that there will be no answer."""

    def reoffer(self, sdp: str) -> None:
        """Ask this end to change the sound; it tells :meth:`Ends.reanswered`."""

    def reanswer(self, status: int, sdp: str) -> None:
        """Answer this end's own wish to change the sound."""

    def end(self, reason: str) -> None:
        """End it, whatever its state. ``reason`` is for people, and for the ledger."""

    def view(self) -> LegView:
        """Return what can be seen of it."""


class Ends(Protocol):
    """A call, as its legs see it."""

    def ringing(self, leg: Leg) -> None:
        """The called end rings."""

    def answered(self, leg: Leg, sdp: str) -> None:
        """The called end has answered."""

    def refused(self, leg: Leg, status: int, reason: str) -> None:
        """The called end will not answer."""

    def reoffered(self, leg: Leg, sdp: str) -> None:
        """This end wants to change the sound; it waits for :meth:`Leg.reanswer`."""

    def reanswered(self, leg: Place, status: int, sdp: str) -> None:
        """Whoever has this sound has answered :meth:`Leg.reoffer`."""

    def referred(self, leg: "PhoneLeg", request: Request, answer: Callable[[int], None]) -> None:
        """This end's phone wants its far end transferred (REFER); ``answer`` sends the status to it."""

    def commanded(self, leg: "PhoneLeg", message: AgentMessage) -> None:
        """This end's phone rings, and wants something else than to answer."""

    def informed(self, leg: "PhoneLeg", body: str) -> None:
        """This end's phone wants something done in the call (INFO)."""

    def ended(self, leg: Leg, reason: str) -> None:
        """This end is over, by its own doing: hung up, gave up, or lost."""
