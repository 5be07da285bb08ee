"""Parked calls: an end that waits, with music, until somebody picks it up.

Public places have numbers, and are picked up by dialling ``*`` and the number; private ones have names that
begin with ``prk``, and are picked up by dialling the name. A third way is a Replaces header that names the
parked end.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.sip.message import Request
from agents.sip.ringcentral import AgentMessage

from .legs import Ends, Leg
from .media.room import Room
from .media.tones import music

if TYPE_CHECKING:
    from .phone_leg import PhoneLeg

PRIVATE = "prk"
_MOST_PRIVATE = 1000


class Lot:
    """Who is parked, by the number or name of the place; public ones are numbered from ``first`` on."""

    def __init__(self, first: int = 801, places: int = 99) -> None:
        self._numbers = range(first, first + places)
        self._parked: dict[str, Parked] = {}

    def __len__(self) -> int:
        return len(self._parked)

    def free_place(self) -> str | None:
        """Return the first public place that is free; None if there is none."""
        return next((str(number) for number in self._numbers if str(number) not in self._parked), None)

    def is_free(self, name: str) -> bool:
        """Return whether a private place can be had."""
        return name not in self._parked and len(self._parked) < _MOST_PRIVATE

    def park(self, leg: Leg, place: str) -> "Parked":
        """Give an end a place that is free, and be its call."""
        self._parked[place] = parked = Parked(self, place, leg)
        leg.ends = parked
        parked.seat()
        return parked

    def __contains__(self, dialled: object) -> bool:
        return isinstance(dialled, str) and _place(dialled) in self._parked

    def take(self, dialled: str) -> "Parked | None":
        """Return who is parked at ``*PLACE`` or ``prkNAME``, who is so no longer."""
        parked = self._parked.pop(_place(dialled), None)
        if parked is not None:
            parked.leave()
        return parked

    def find(self, matches: Callable[[Leg], bool]) -> str | None:
        """Return what to dial for the first parked end that matches."""
        places = (place for place, parked in self._parked.items() if matches(parked.leg))
        place = next(places, None)
        return place if place is None or place.startswith(PRIVATE) else f"*{place}"

    def forget(self, parked: "Parked") -> None:
        """Let a place be free: who was there has hung up. Somebody else may have it by now."""
        if self._parked.get(parked.place) is parked:
            del self._parked[parked.place]
        parked.leave()

    def close(self) -> None:
        """Hang up on all."""
        for parked in list(self._parked.values()):
            self.forget(parked)
            parked.leg.end("service stopped")


def _place(dialled: str) -> str:
    """Return what place a number means; an empty one if none."""
    if dialled.startswith("*"):
        return dialled[1:]
    return dialled if dialled.startswith(PRIVATE) else ""


class Parked(Ends):
    """The call of an end that is parked: it hears music, and can do nothing but hang up."""

    def __init__(self, lot: Lot, place: str, leg: Leg) -> None:
        self.leg, self.is_over = leg, False
        self.place, self._lot = place, lot
        self._room = Room()
        self._room.alone = music()

    def seat(self) -> None:
        """Let it hear, as soon as its sound passes the service."""
        if self.leg.party is not None and self.leg.ends is self:
            self._room.add(self.leg.party)

    def leave(self) -> None:
        """Let it go."""
        self._room.clear()

    def ringing(self, leg: Leg) -> None:
        """Do nothing: it does not ring."""

    def answered(self, leg: Leg) -> None:
        """Do nothing: it has answered."""

    def refused(self, leg: Leg, status: int, reason: str) -> None:
        """Do nothing: it has answered."""

    def sounds(self, leg: Leg) -> None:
        """Play on."""

    def pressed(self, leg: Leg, key: str) -> None:
        """Ignore it."""

    def referred(self, leg: "PhoneLeg", request: Request, answer: Callable[[int], None]) -> None:
        """Refuse."""
        answer(491)

    def commanded(self, leg: "PhoneLeg", message: AgentMessage) -> None:
        """Ignore it."""

    def informed(self, leg: "PhoneLeg", body: str) -> None:
        """Ignore it."""

    def ended(self, leg: Leg, reason: str) -> None:
        """Free the place."""
        self.is_over = True
        self._lot.forget(self)
