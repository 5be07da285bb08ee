"""What a phone wants in a call by INFO with JSON: record it, park it, flip it to another phone of its user.

The request is answered by 200 and then by an INFO of the service's. Code 0 is success; the real service's
other codes are not known, so that 1 means all that is impossible here. After a park or a flip the phone hangs
up, and its far end stays: parked until somebody dials ``*`` and the number of its place, or with whoever
answered the flip.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from shared.errors import MediaError
from shared.log import log

from .accounts import canonical

if TYPE_CHECKING:
    from .calls import Call
    from .phone_leg import PhoneLeg


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
    # Between two phones the sound may pass the service by; then there is nothing to record.
    if call.recording is not None or leg.party is None or call.other(leg) is None:
        return None
    call.recordings += 1
    return {} if record(call) else None


def _stop_recording(call: "Call", leg: "PhoneLeg", _asked: _Asked) -> _Done:
    if call.recording is None or call.other(leg) is None:
        return None
    call.recording.stop()
    return {}


def record(call: "Call") -> bool:
    """Record all who talk in a call from now on; False if no recorder is free."""
    switch, name = call.switch, f"{call.call}-{call.recordings}"

    def ended() -> None:
        call.recording = None
        switch.ledger.record("RECORDING_ENDED", call=call.call, recording=name)

    try:
        call.recording = switch.recorders.record(call.seats.room, name, switch.settings.max_recording, ended)
    except MediaError as exc:
        log.warning("recording.refused", call=call.call, reason=str(exc))
    if call.recording is None:
        return False
    switch.ledger.record("RECORDING_STARTED", call=call.call, recording=name)
    return True


def _park(call: "Call", leg: "PhoneLeg", _asked: _Asked) -> _Done:
    far, lot = call.beyond(leg), call.switch.transfers.lot
    if far is None or call.transfer is not None or (place := lot.free_place()) is None:
        return None
    call.switch.transfers.park(call, far, place)
    return {"park extension": place}


def _flip(call: "Call", leg: "PhoneLeg", asked: _Asked) -> _Done:
    far = call.beyond(leg)
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
