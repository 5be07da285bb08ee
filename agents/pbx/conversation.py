"""Who talks with whom in a call, and where: the ends of a call, however it came about."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from .dialect import Caller, CallName
from .legs import Leg
from .media.room import Party, Role, Room
from .phone_leg import PhoneLeg
from .seats import Seats, anchor
from .service_leg import ServiceLeg
from .switch import Switch


@dataclass(slots=True, eq=False)
class Conversation(ABC):
    """The two ends of a call. :class:`~agents.pbx.calls.Call` adds how it is rung, answered and ended."""

    switch: Switch
    call: str
    name: CallName
    caller: Leg
    who: Caller
    callees: list[Leg] = field(default_factory=list)
    far: Leg | None = None
    """The callee's leg that answered."""

    seats: Seats = field(default_factory=Seats)
    """Where its ends talk, as far as their sound passes the service."""

    _over: bool = False
    _released: set[str] = field(default_factory=set)

    # -- who has which place

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._over

    def other(self, leg: Leg) -> Leg | None:
        """Return who talks with ``leg``; None before the answer, after the end, or if it was transferred."""
        if self.far is None or self._over or self._released:
            return None
        return self.far if leg is self.caller else self.caller

    def beyond(self, leg: Leg) -> Leg | None:
        """Return :meth:`other`, if it is somebody who could as well talk with someone else."""
        other = self.other(leg)
        return None if isinstance(other, ServiceLeg) else other

    def party(self, leg: Leg) -> Caller:
        """Return whom others see when ``leg`` calls them."""
        return self.who if leg is self.caller else Caller(leg.number, "")

    def ids(self, leg: Leg) -> tuple[str, str]:
        """Return the ids of session and party of an end, as it has been told them if it is a phone."""
        if isinstance(leg, PhoneLeg):
            return leg.call_id.session_id, leg.call_id.party_id(leg.place)
        return self.name.session_id, self.name.party_id(1 if leg is self.caller else 2)

    async def anchor(self) -> None:
        """Have the sound of both ends pass the service from now on; see :func:`~agents.pbx.seats.anchor`."""
        await anchor(self.caller, self.far)
        if not self._over:
            self.seat(self.caller, self.far)

    def seat(self, *legs: Leg | None) -> None:
        """Let ends, as far as their sound passes the service, talk in the call's room."""
        for leg in legs:
            if leg is not None:
                self.seats.sit(leg)
                self.sounds(leg)

    def enter(self, room: Room, role: Role = "talks", *, agent: Party | None = None) -> None:
        """Let the caller talk in a room that others share; the call's own is empty then."""
        self.seats.move(self.caller, room, role, agent=agent)
        self.sounds(self.caller)

    def release(self, leg: Leg) -> None:
        """Let an end go, which talks in another call from now on; the rest is to be hung up."""
        self._released.add(leg.name)
        self.seats.rise(leg)

    def replace(self, old: Leg, new: Leg, reason: str) -> None:
        """Put an end that is connected in the place of another one, which is hung up."""
        self.seats.rise(old)
        if old is self.caller:
            self.caller = new
        else:
            self.far, self.callees = new, [new]
        self._adopt(new)
        self.seat(new)
        self._record("LEG_REPLACED", leg=new.name, reason=reason)
        old.end(reason)

    def take_caller(self, leg: Leg) -> None:
        """Put a leg, that is connected already, in the caller's place."""
        self.caller = leg
        self._adopt(leg)
        self.seat(leg)

    # -- what its ends tell

    def sounds(self, leg: Leg) -> None:
        """Let the ends hear what is to be heard now."""
        if leg.party is not None:
            self.seats.room.hold(leg.party, leg.holds)
        if self.far is not None:
            self.far.partner_is(self.caller.media_state, holds=self.caller.holds)
            self.caller.partner_is(self.far.media_state, holds=self.far.holds)

    def pressed(self, leg: Leg, key: str) -> None:
        """Pass a key on."""
        other = self.other(leg)
        if isinstance(other, ServiceLeg):
            other.press(key)
        if leg.party is not None:
            self.seats.room.pressed(leg.party, key)

    # -- the parts

    @abstractmethod
    def _adopt(self, leg: Leg) -> None:
        """Let a leg tell this call what happens to it."""

    def _record(self, event: str, **facts: Any) -> None:
        self.switch.ledger.record(event, call=self.call, **facts)
