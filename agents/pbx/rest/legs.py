"""Ends of calls that only the REST side makes: phones that are rung so that they call."""

from collections.abc import Callable

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
