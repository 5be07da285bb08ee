"""Where the ends of one call talk: a room of its own, or one that several calls share."""

from .legs import Leg
from .media.room import Party, Role, Room
from .phone_leg import PhoneLeg


class Seats:
    """The ends of one call that sit in a room. An end whose sound passes the service by has no seat."""

    def __init__(self) -> None:
        self.room = Room()
        self._parties: dict[str, Party] = {}  # by leg: a leg that has ended has none any more

    def sit(self, leg: Leg) -> None:
        """Let an end talk in the room; harmless twice."""
        if leg.party is not None and leg.party not in self.room:
            self._parties[leg.name] = leg.party
            self.room.add(leg.party)

    def rise(self, leg: Leg) -> None:
        """Let an end go, which hears nobody then; harmless twice."""
        party = self._parties.pop(leg.name, None)
        if party is not None:
            self.room.remove(party)

    def move(self, leg: Leg, room: Room, role: Role = "talks", *, agent: Party | None = None) -> None:
        """Let one end talk in a room that others share, and the rest nowhere."""
        party = leg.party
        self.clear()
        self.room = room
        if party is not None:
            self._parties[leg.name] = party
            room.add(party, role, agent=agent)

    def clear(self) -> None:
        """Let all go."""
        parties, self._parties = self._parties, {}
        for party in parties.values():
            self.room.remove(party)


async def anchor(*legs: Leg | None) -> None:
    """Have the sound of these pass the service from now on, if it does not yet.

    Raises:
        SharedlineError: One of the phones does not agree; what has changed by then stays.
    """
    for leg in legs:
        if isinstance(leg, PhoneLeg):
            await leg.anchor()
