"""[core] What RingCentral does with an answered call on request: record, park, flip to another phone.

The request is an INFO with JSON, numbered in its call. Its 200 says only that it came; what became of it is
said by an INFO of the service's with the same number.
"""

from dataclasses import dataclass

import msgspec

from agents.sip.events import DialogRequestDone, DialogRequestReceived
from shared.errors import ActionRefused
from shared.messages import (
    CallState,
    Cause,
    Flip,
    Flipped,
    Park,
    Parked,
    Request,
    StartRecording,
    StopRecording,
    Value,
)
from shared.text import readable

from .calls import CallRecord
from .checks import failure_of, require_number
from .term import Term

InCallAction = StartRecording | StopRecording | Flip | Park

#: Seconds that the service has to say what became of a request.
_RESULT_TIME = 10.0
_MAX_BODY_CHARS = 16_384
_COMMANDS = {
    StartRecording: "startcallrecord",
    StopRecording: "stopcallrecord",
    Flip: "callflip",
    Park: "callpark",
}
_TYPE = ("Content-Type", "application/json;charset=utf-8")


class _Result(msgspec.Struct, frozen=True):
    code: int
    description: str = ""
    number: str = ""
    place: str = msgspec.field(default="", name="park extension")


class _Response(msgspec.Struct, frozen=True):
    reqid: int
    command: str = ""
    result: msgspec.Raw = msgspec.Raw(b"")


class _Document(msgspec.Struct, frozen=True):
    response: _Response


_decoder = msgspec.json.Decoder(_Document)
_result_decoder = msgspec.json.Decoder(_Result)


@dataclass(slots=True)
class _UnderWay:
    request: Request
    action: InCallAction
    record: CallRecord
    number: int
    request_id: str
    deadline: float


class InCall:
    """The requests that are under way, one of each kind a call."""

    def __init__(self, term: Term) -> None:
        self._term = term
        self._under_way: list[_UnderWay] = []

    def begin(self, request: Request, action: InCallAction, now: float) -> None:
        """Ask the service, or raise :exc:`ActionRefused`."""
        record = self._term.calls.get(action.call_id, CallState.ANSWERED)
        wanted = {StartRecording: True, StopRecording: False}.get(type(action))
        if wanted is record.view.recording:
            self._term.acknowledge(request, now, record.call_id)
            return
        if any(one.record is record and type(one.action) is type(action) for one in self._under_way):
            raise ActionRefused("wrong_state", "the service has been asked for this already; wait for it")
        record.reqid += 1
        asked: dict[str, object] = {"reqid": record.reqid, "command": _COMMANDS[type(action)]}
        if isinstance(action, Flip):
            require_number(action.target)
            asked["target"] = action.target
        request_id = self._term.user_agent.request_in_dialog(
            record.session_id, "INFO", now, headers=[_TYPE], body=_encode(asked)
        )
        self._under_way.append(
            _UnderWay(request, action, record, record.reqid, request_id, now + _RESULT_TIME)
        )

    def answered(self, event: DialogRequestDone, now: float) -> None:
        """Take the answer to an INFO: one that is refused has no result."""
        if event.status >= 300:
            for one in [one for one in self._under_way if one.request_id == event.request_id]:
                self._refuse(one, failure_of(event, "the service refused"), now)

    def informed(self, event: DialogRequestReceived, record: CallRecord, now: float) -> None:
        """Take a request in a call: an INFO may be the result of one of ours."""
        request = event.request
        if request.method != "INFO" or len(request.body) > _MAX_BODY_CHARS:
            return
        response = _read(request.body)
        if response is None:
            return  # of another kind: keys, for example
        matching = (one for one in self._under_way if one.record is record and one.number == response.reqid)
        one = next(matching, None)
        if one is None or response.command != _COMMANDS[type(one.action)]:
            return
        result = _read_result(response)
        if result is None:
            text = "what the service says of it cannot be read; look at the call"
            self._refuse(one, ActionRefused("unknown", text), now)
        elif result.code == 0:
            self._succeeded(one, result, now)
        else:
            text = f"the service cannot do it: {readable(result.description, 200) or 'no reason given'}"
            self._refuse(one, ActionRefused("far_end", text), now)

    def ended(self, record: CallRecord, now: float) -> None:
        """Take that a call is over."""
        for one in [one for one in self._under_way if one.record is record]:
            self._refuse(one, ActionRefused("wrong_state", "the call ended before it"), now)

    def tick(self, now: float) -> None:
        """Let time pass."""
        for one in [one for one in self._under_way if one.deadline <= now]:
            text = "the service did not say what became of it; look at the call"
            self._refuse(one, ActionRefused("unknown", text), now)

    def next_deadline(self) -> float | None:
        """Return when the first request has taken too long, or None."""
        return min((one.deadline for one in self._under_way), default=None)

    def _succeeded(self, one: _UnderWay, result: _Result, now: float) -> None:
        self._under_way.remove(one)
        value: Value | None = None
        match one.action:
            case StartRecording() | StopRecording():
                self._term.change(one.record, recording=isinstance(one.action, StartRecording))
            case Flip():
                value = Flipped(number=readable(result.number, 64) or one.action.target)
            case Park():
                value = Parked(location=readable(result.place, 64))
                # The far end stays where it was parked; our end is to be hung up by us.
                self._term.end_here(one.record, Cause.PARKED, now)
        self._term.acknowledge(one.request, now, one.record.call_id, value)

    def _refuse(self, one: _UnderWay, error: ActionRefused, now: float) -> None:
        self._under_way.remove(one)
        self._term.refuse(one.request, error, now)


def _read(body: str) -> _Response | None:
    """Return what an INFO answers; None if it is no answer."""
    try:
        return _decoder.decode(body).response
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _read_result(response: _Response) -> _Result | None:
    try:
        return _result_decoder.decode(response.result)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _encode(asked: dict[str, object]) -> str:
    return msgspec.json.encode({"request": asked}).decode() + "\r\n"
