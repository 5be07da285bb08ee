"""Conferences: rooms of many parties, each of which dials the conference's number or is brought in.

The number is a token that begins with ``conf_``, as the REST API gives it out. Everybody hears all others.
Whoever holds is not heard, and there is no music, which would be for all. A conference ends when it is ended,
or when the last party has left.

A party is brought in from another call by the names of both. As the web applications name their own party
there, that of the conference's owner means whoever it talks with: the owner's end of that call is hung up.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.errors import ActionRefused

from .calls import Call
from .dialect import CallName
from .legs import Leg
from .media.room import Room
from .phone_leg import PhoneLeg
from .roster import Roster
from .service_leg import ServiceLeg

if TYPE_CHECKING:
    from .service import Simulator

PREFIX = "conf_"
_MOST_CONFERENCES = 1000


@dataclass(frozen=True, slots=True)
class ConferenceParty:
    """One who is in a conference. ``call`` is the service's name of its call."""

    party_id: str
    number: str
    call: str


@dataclass(eq=False, slots=True)
class Conference:
    """One conference. ``number`` is what to dial; ``owner`` the extension that has made it, or empty."""

    name: CallName
    number: str
    owner: str
    room: Room = field(default_factory=lambda: Room(has_music=False))
    calls: dict[str, Call] = field(default_factory=dict)
    """Of its parties, by party id."""

    count: int = 0
    is_over: bool = False

    @property
    def session_id(self) -> str:
        """The telephony session's id."""
        return self.name.session_id

    def parties(self) -> list[ConferenceParty]:
        """Return who is in it, in the order in which they came."""
        return [
            ConferenceParty(party_id, call.caller.number, call.call) for party_id, call in self.calls.items()
        ]


class Conferences(Roster[Conference]):
    """All conferences of one service, by session id. Use it on the service's event loop."""

    def __init__(self, service: "Simulator") -> None:
        super().__init__("conference")
        self._service, self._most_parties = service, service.settings.conference_size

    def create(self, owner: str = "") -> Conference:
        """Make a conference for an extension. The oldest that nobody has joined makes room, if need be.

        Raises:
            ActionRefused: There are too many in which people talk.
        """
        if len(self) >= _MOST_CONFERENCES:
            self._make_room()
        conference = Conference(CallName(self._service.new_id()), PREFIX + secrets.token_hex(12), owner)
        self.add(conference.session_id, conference)
        self._record("CONFERENCE_CREATED", conference, extension=owner or None)
        return conference

    def end(self, session_id: str) -> None:
        """Hang up on all parties of a conference.

        Raises:
            ActionRefused: There is none of that session id.
        """
        conference = self.get(session_id)
        self._over(conference)
        for call in list(conference.calls.values()):
            call.hang_up("the conference has ended")

    async def bring_in(self, conference_id: str, session_id: str, party_id: str) -> ConferenceParty:
        """Move a party of another call into a conference; the rest of that call is hung up.

        Raises:
            ActionRefused: One of the three does not exist, the call is not answered, or the conference is
            full. SharedlineError: The sound of the call passed by the service, and cannot be fetched.
        """
        conference = self.get(conference_id)
        call, leg = self._find(session_id, party_id)
        is_owners = isinstance(leg, PhoneLeg) and leg.phone.extension == conference.owner
        moved = call.beyond(leg) if is_owners else leg
        if moved is None or call.far is None or call.transfer is not None:
            raise ActionRefused("wrong_state", "the call is not answered, or on its way elsewhere")
        self._check_room_in(conference)
        await call.anchor()
        if call.is_over or conference.is_over:
            raise ActionRefused("wrong_state", "the call or the conference has ended")
        self._check_room_in(conference)
        call.release(moved)
        new = self._service.make_call(moved, call.party(moved), conference.name)
        new.join(self._leg(conference, new))
        party = self._enter(conference, new)
        call.hang_up("brought into a conference")
        return party

    def begin(self, call: Call, dialled: str) -> Callable[[], None] | None:
        """Let a caller in who has dialled a conference's number."""
        if not dialled.startswith(PREFIX):
            return None
        conference = next((one for one in self.all() if one.number == dialled), None)
        if conference is None:
            return lambda: call.refuse(404, "there is no such conference")
        if isinstance(call.caller, PhoneLeg):
            conference.count += 1
            call.caller.call_id, call.caller.place = conference.name, conference.count
        return lambda: self._let_in(conference, call)

    def _let_in(self, conference: Conference, call: Call) -> None:
        """Let a caller in, unless things have changed since it dialled."""
        if conference.is_over:
            call.refuse(404, "the conference has ended")
        elif len(conference.calls) >= self._most_parties:
            call.refuse(486, "the conference is full")
        else:
            call.ring(self._leg(conference, call))
            if not call.is_over:
                self._enter(conference, call)

    def _leg(self, conference: Conference, call: Call) -> ServiceLeg:
        return ServiceLeg(conference.number, over=lambda: self._left(conference, call))

    def _enter(self, conference: Conference, call: Call) -> ConferenceParty:
        leg = call.caller
        if isinstance(leg, PhoneLeg) and leg.call_id is conference.name:
            party_id = leg.call_id.party_id(leg.place)
        else:
            conference.count += 1
            party_id = conference.name.party_id(conference.count)
        conference.calls[party_id] = call
        call.enter(conference.room)
        self._record("CONFERENCE_JOINED", conference, call=call.call, leg=leg.name)
        return ConferenceParty(party_id, leg.number, call.call)

    def _left(self, conference: Conference, call: Call) -> None:
        for party_id in [party_id for party_id, one in conference.calls.items() if one is call]:
            del conference.calls[party_id]
            self._record("CONFERENCE_LEFT", conference, call=call.call)
        if not conference.calls:
            self._over(conference)

    def _over(self, conference: Conference) -> None:
        if not conference.is_over:
            conference.is_over = True
            self.remove(conference.session_id)
            self._record("CONFERENCE_ENDED", conference)

    def _make_room(self) -> None:
        empty = next((one for one in self.all() if not one.calls), None)
        if empty is None:
            raise ActionRefused("wrong_state", f"there are {_MOST_CONFERENCES} conferences; end one first")
        self._over(empty)

    def _check_room_in(self, conference: Conference) -> None:
        if len(conference.calls) >= self._most_parties:
            raise ActionRefused("wrong_state", f"a conference has at most {self._most_parties} parties")

    def _find(self, session_id: str, party_id: str) -> tuple[Call, Leg]:
        for call in self._service.live_calls():
            for leg in (call.caller, *call.callees):
                if call.ids(leg) == (session_id, party_id):
                    return call, leg
        raise ActionRefused("no_such_call", f"no call {session_id!r} has a party {party_id!r}")

    def _record(self, event: str, conference: Conference, **facts: object) -> None:
        self._service.record(event, number=conference.number, session_id=conference.session_id, **facts)
