"""Ends of calls that only the REST side makes: phones that are rung so that they call, or make an offer."""

from collections.abc import Callable

from agents.sip import events as sip

from ..phone_leg import PhoneLeg


class DialingLeg(PhoneLeg):
    """A phone that is rung, and is the caller of a call as soon as it has answered."""

    def progress(self, then: Callable[[], None]) -> None:
        """Go on: it has nothing to wait for."""
        then()

    def answer(self) -> None:
        """Do nothing: it is connected."""

    def reject(self, status: int, reason: str) -> None:
        """Hang up: nobody will answer."""
        self.end(f"{status} {reason}")


class OfferlessLeg(PhoneLeg):
    """A phone that is rung without an offer: its 200 makes one, and our ACK answers."""

    def ring(self) -> None:
        """Send the INVITE at once."""
        self.sound_here()
        self._invite(200, "")

    def _answered(self, event: sip.SessionAnswered) -> None:
        self.state = "answered"
        self.sound_here().reoffered(event.sdp, self._acknowledge)
        self._tell(lambda ends: ends.answered(self))

    def _acknowledge(self, status: int, sdp: str) -> None:
        if status >= 300:
            self._unusable(f"{status}")
        else:
            self._do(lambda _now: self._sessions.acknowledge(self.session_id, sdp))
