"""Supervision: a phone dials ``*80`` to ``*83``, and keys the number of an extension, and ``#``.

``*80`` monitors: it hears both, and nobody hears it. ``*81`` whispers: the extension hears it, too. ``*82``
barges in: both hear it. ``*83`` takes over: it has the call, and the extension is hung up; it is told by a
re-INVITE which call it has now. The call ends for the supervisor when it ends for the others.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.errors import SharedlineError

from .calls import Call
from .media.room import Role
from .media.tones import prompt, refusal
from .phone_leg import PhoneLeg
from .service_leg import ServiceLeg

if TYPE_CHECKING:
    from .service import Simulator

_ROLES: dict[str, Role | None] = {"*80": "monitors", "*81": "whispers", "*82": "barges", "*83": None}
_PATIENCE = 60.0  # seconds for the keys
_LONGEST_NUMBER = 16


class Supervision:
    """Who supervises whom, in one service."""

    def __init__(self, service: "Simulator") -> None:
        self._service = service

    def begin(self, call: Call, dialled: str) -> Callable[[], None] | None:
        """Answer a caller who has dialled one of the codes, and wait for keys."""
        if dialled not in _ROLES:
            return None
        return lambda: _Asked(self._service, call, dialled).begin()


class _Asked:
    """One supervisor's call."""

    def __init__(self, service: "Simulator", call: Call, code: str) -> None:
        self._service, self._call, self._code = service, call, code
        self._keys: str | None = ""  # None: the extension was found
        self._stop_waiting = service.later(_PATIENCE, lambda: call.hang_up("no extension was keyed"))

    def begin(self) -> None:
        """Answer."""
        self._call.ring(ServiceLeg(self._code, pressed=self._pressed, over=self._stop_waiting))
        if not self._call.is_over:
            self._call.seats.room.alone = prompt()

    def _pressed(self, key: str) -> None:
        if self._keys is None:
            return
        if key != "#":
            self._keys = (self._keys + key)[-_LONGEST_NUMBER:]
            self._call.seats.room.alone = None
            return
        found = self._find(self._keys)
        if found is None:
            self._keys = ""
            self._call.seats.room.alone = refusal()
        else:
            self._keys = None
            self._stop_waiting()
            self._service.transfers.spawn(self._supervise(*found))

    def _find(self, extension: str) -> tuple[Call, PhoneLeg] | None:
        for leg in self._service.legs_of(extension):
            call = leg.ends
            if isinstance(call, Call) and call is not self._call and call.beyond(leg) is not None:
                return call, leg
        return None

    async def _supervise(self, target: Call, agent: PhoneLeg) -> None:
        call, role = self._call, _ROLES[self._code]
        try:
            await target.anchor()
        except SharedlineError:
            call.hang_up("the call's sound cannot be fetched")
            return
        if call.is_over or target.beyond(agent) is None or agent.party is None:
            call.hang_up("the call has ended")
            return
        leg = call.caller
        facts = {"call": target.call, "leg": leg.name, "other_call": call.call, "number": agent.number}
        self._service.record("SUPERVISED", kind=role or "takes over", **facts)
        if role is not None:
            call.enter(target.seats.room, role, agent=agent.party)
            call.when_over(target.when_over(lambda: call.hang_up("the supervised call has ended")))
            return
        call.release(leg)
        target.replace(agent, leg, "taken over")
        call.hang_up("has taken over another call")
        if isinstance(leg, PhoneLeg):
            leg.place = agent.place
            await leg.rename(target.name)
