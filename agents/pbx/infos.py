"""What a phone wants in a call by INFO with JSON: record it, park it, flip it to another phone of its user.

The request is answered by 200 and then by an INFO of the service's. Code 0 is success; the real service's
other codes are not known, so that 1 means all that is impossible here. After a park or a flip the phone hangs
up, and its far end stays: parked until somebody dials ``*`` and the number of its place, or with whoever
answered the flip.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agents.sip.message import Request
from agents.sip.ringcentral import AgentMessage

from .accounts import canonical
from .legs import Ends, Leg, Place
from .robots import Robot

if TYPE_CHECKING:
    from .calls import Call
    from .phone_leg import PhoneLeg

_FIRST_PLACE, _PLACES = 801, 99


class _Asked(msgspec.Struct, frozen=True):
    reqid: int
    command: str
    target: str = ""


class _Document(msgspec.Struct, frozen=True):
    request: _Asked


def obey(call: "Call", leg: "PhoneLeg", body: str) -> str | None:
    """Do what the INFO asks for, and return the body of the service's own; None if it is no such request."""
    asked = read_request(body)
    if asked is None:
        return None
    done = _COMMANDS[asked.command](call, leg, asked) if asked.command in _COMMANDS else None
    code, description = (0, "Succeeded") if done is not None else (1, "Failed")
    result = {"code": code, "description": description, **(done or {})}
    response = {"reqid": asked.reqid, "command": asked.command, "result": result}
    return msgspec.json.encode({"response": response}).decode()


def read_request(body: str) -> _Asked | None:
    """Return what an INFO's JSON asks for; None if it is no such request, whatever it is instead."""
    try:
        return msgspec.json.decode(body, type=_Document).request
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


_Done = dict[str, str] | None
"""What the result says in addition; None if it cannot be done."""


def _start_recording(call: "Call", leg: "PhoneLeg", _asked: _Asked) -> _Done:
    far = call.other(leg)
    # Between two phones the sound does not pass the service.
    if not isinstance(far, Robot) or far.is_recorded:
        return None
    call.recordings += 1
    directory: Path = call.switch.settings.directory / "recordings"
    far.record(directory / f"{call.call}-{call.recordings}.wav")
    return {}


def _stop_recording(call: "Call", leg: "PhoneLeg", _asked: _Asked) -> _Done:
    far = call.other(leg)
    if not isinstance(far, Robot) or not far.is_recorded:
        return None
    far.record(None)
    return {}


def _park(call: "Call", leg: "PhoneLeg", _asked: _Asked) -> _Done:
    far, lot = call.other(leg), call.switch.transfers.lot
    if far is None or call.transfer is not None or (place := lot.park(far)) is None:
        return None
    call.release(far)
    return {"park extension": place}


def _flip(call: "Call", leg: "PhoneLeg", asked: _Asked) -> _Done:
    far = call.other(leg)
    if far is None or call.transfer is not None:
        return None
    if call.switch.plan.route(asked.target).kind == "bad":
        return None
    call.switch.transfers.flip(call, leg, far, asked.target)
    number = canonical(asked.target)
    return {"number": f"+{number}" if len(number) > 10 else number, "target": asked.target}


_COMMANDS: dict[str, Callable[["Call", "PhoneLeg", _Asked], _Done]] = {
    "startcallrecord": _start_recording,
    "stopcallrecord": _stop_recording,
    "callpark": _park,
    "callflip": _flip,
}


class Lot:
    """Who is parked, by the number of the place."""

    def __init__(self) -> None:
        self._parked: dict[str, Leg] = {}

    def park(self, leg: Leg) -> str | None:
        """Give an end a place, and be its call; None if none is free."""
        numbers = (str(_FIRST_PLACE + number) for number in range(_PLACES))
        place = next((number for number in numbers if number not in self._parked), None)
        if place is not None:
            self._parked[place] = leg
            parked: Ends = _Parked(self, place)
            leg.ends = parked
        return place

    def take(self, dialled: str) -> Leg | None:
        """Return who is parked at ``*PLACE``, who is so no longer."""
        return self._parked.pop(dialled[1:], None) if dialled.startswith("*") else None

    def forget(self, place: str) -> None:
        """Let a place be free: who was there has hung up."""
        self._parked.pop(place, None)


class _Parked:
    """The call of an end that is parked: nothing can be done but to hang up."""

    def __init__(self, lot: Lot, place: str) -> None:
        self._lot, self._place = lot, place

    def ringing(self, leg: Leg) -> None: ...

    def answered(self, leg: Leg, sdp: str) -> None: ...

    def refused(self, leg: Leg, status: int, reason: str) -> None: ...

    def reoffered(self, leg: Leg, sdp: str) -> None:
        leg.reanswer(491, "")

    def reanswered(self, leg: Place, status: int, sdp: str) -> None: ...

    def referred(self, leg: "PhoneLeg", request: Request, answer: Callable[[int], None]) -> None:
        answer(491)

    def commanded(self, leg: "PhoneLeg", message: AgentMessage) -> None: ...

    def informed(self, leg: "PhoneLeg", body: str) -> None: ...

    def ended(self, leg: Leg, reason: str) -> None:
        self._lot.forget(self._place)
