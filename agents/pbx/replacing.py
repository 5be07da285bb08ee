"""An INVITE with a Replaces header: a phone takes the place of another one, or of nobody, in a call that is.

The header is as RingCentral's clients write it: the telephony session's id, where RFC 3891 has a Call-Id, and
the tags of the dialog that is replaced. For a parked call the tags are swapped; either order is taken for
either case. ``early-only`` is no condition: the real service is sent it for answered calls, too.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.sip.refer import Replaced, parse_replaces
from shared.errors import SharedlineError, SipError

from .calls import Call
from .legs import Leg
from .phone_leg import PhoneLeg

if TYPE_CHECKING:
    from .service import Simulator


class Replacing:
    """Takes INVITEs that are to replace a leg."""

    def __init__(self, service: "Simulator") -> None:
        self._service = service

    def begin(self, call: Call, _dialled: str) -> Callable[[], None] | None:
        """Let the caller, if it says so, have somebody's place."""
        leg = call.caller
        if not isinstance(leg, PhoneLeg) or not leg.replaces:
            return None
        try:
            named = parse_replaces(leg.replaces)
        except SipError as exc:
            reason = exc.reason
            return lambda: call.refuse(400, reason)
        place = self._service.transfers.lot.find(lambda one: _is(one, named))
        if place is not None:
            return self._service.transfers.begin(call, place)
        legs = (one for target in self._service.live_calls() for one in (target.caller, *target.callees))
        old = next((one for one in legs if one is not leg and _is(one, named)), None)
        if not isinstance(old, PhoneLeg):
            return lambda: call.refuse(481, "there is no such call to take over")
        leg.call_id, leg.place = old.call_id, old.place
        return lambda: self._service.transfers.start(self._replace(call, leg, old))

    async def _replace(self, call: Call, leg: PhoneLeg, old: PhoneLeg) -> None:
        target = old.ends
        try:
            if isinstance(target, Call):
                await target.anchor()
        except SharedlineError as exc:
            call.refuse(480, str(exc))
            return
        if not isinstance(target, Call) or target.is_over or call.is_over:
            call.refuse(481, "the call has ended")
            return
        leg.sound_here()
        leg.answer()
        call.release(leg)
        target.replace(old, leg, "switched to another phone")
        call.hang_up("has taken the place of another phone")


def _is(leg: Leg, named: Replaced) -> bool:
    if not isinstance(leg, PhoneLeg) or leg.call_id.session_id != named.call_id:
        return False
    return sorted(leg.tags()) == sorted((named.to_tag, named.from_tag))
