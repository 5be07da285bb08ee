"""[core] What can be done with a call that rings, other than to answer it: by messages to the service.

The service takes the command (its 200), then the call from us (CANCEL), and goes on with the caller. What the
caller chooses after a reply it tells some time later (SessionClose).
"""

from dataclasses import dataclass
from typing import Literal

from agents.sip.agent_channel import AgentCommandDone
from agents.sip.ringcentral import AgentMessage, Command
from shared.errors import ActionRefused
from shared.messages import (
    Cause,
    Decline,
    Forward,
    Replied,
    ReplyKind,
    Request,
    SendReply,
    StartReply,
    ToVoicemail,
)
from shared.text import readable

from .calls import CallRecord
from .checks import require_number
from .term import Term

RingingAction = Decline | ToVoicemail | Forward | StartReply | SendReply

#: Seconds that the service has to take the call from us once it has our command.
_TAKING_TIME = 10.0
#: Seconds that the caller has to choose: it hears the reply, and may type a number.
CHOICE_TIME = 180.0
_LONGEST_TEXT = 500

_REPLIES = {
    ReplyKind.TEXT: 0,
    ReplyKind.CALL_YOU_BACK: 1,
    ReplyKind.ON_MY_WAY: 2,
    ReplyKind.ON_OTHER_LINE: 3,
    ReplyKind.CALL_YOU_BACK_LATER: 4,
    ReplyKind.IN_A_MEETING: 5,
    ReplyKind.ON_OTHER_LINE_NO_CALL: 6,
}
_DIRECTIONS = {"to_caller": "0", "from_caller": "1"}
_UNITS = {"minutes": "0", "hours": "1", "days": "2"}
_Answer = Literal["yes", "no", "urgent", "none"]
_ANSWERS: dict[str, _Answer] = {"1": "yes", "2": "no", "3": "urgent"}
_CAUSES = {
    Decline: Cause.DECLINED,
    ToVoicemail: Cause.VOICEMAIL,
    Forward: Cause.FORWARDED,
    SendReply: Cause.REPLIED,
}


@dataclass(slots=True)
class _UnderWay:
    request: Request
    action: RingingAction
    record: CallRecord
    sid: str
    request_id: str
    deadline: float
    is_taken: bool = False  # the service has the command


class Ringing:
    """The commands that are under way, one a call at most."""

    def __init__(self, term: Term) -> None:
        self._term = term
        self._under_way: dict[str, _UnderWay] = {}  # by call id

    def begin(self, request: Request, action: RingingAction, record: CallRecord, now: float) -> None:
        """Ask the service, or raise :exc:`ActionRefused`."""
        _check_allowed(action, record)
        command, body = _command(action)
        agent = self._term.user_agent
        sid = agent.agent_sid(record.session_id)
        request_id = agent.agent_command(record.session_id, command, body, now)
        self._under_way[record.call_id] = _UnderWay(
            request, action, record, sid, request_id, deadline=now + _TAKING_TIME
        )

    def require_idle(self, record: CallRecord) -> None:
        """Refuse the action if another one is under way."""
        other = self._under_way.get(record.call_id)
        if other is not None:
            name = self._term.presence.name(other.request.instance)
            raise ActionRefused("wrong_state", f"{name} has asked for something else for this call already")

    def told(self, event: AgentCommandDone, now: float) -> None:
        """Take the service's answer to a command."""
        one = next((one for one in self._under_way.values() if one.request_id == event.request_id), None)
        if one is None:
            return
        if event.status < 300:
            one.is_taken = True
            if isinstance(one.action, StartReply):
                self._finish(one, now)
        elif event.status in (408, 503):
            self._refuse(one, ActionRefused("unknown", "the service did not answer; look at the call"), now)
        else:
            text = f"the service refused: {event.status} {event.reason}"
            self._refuse(one, ActionRefused("far_end", text, event.status), now)

    def messaged(self, message: AgentMessage, now: float) -> None:
        """Take a message of the service's: it may say what the caller chose."""
        if message.command != Command.SESSION_CLOSE:
            return
        for one in list(self._under_way.values()):
            if one.sid == message.sid and isinstance(one.action, SendReply):
                self._finish(one, now, _chosen(message))

    def cause_of(self, record: CallRecord, cause: Cause) -> Cause:
        """Return why a call ended that was cancelled: perhaps we have asked for it."""
        one = self._under_way.get(record.call_id)
        if one is None or not one.is_taken or cause is not Cause.CANCELLED:
            return cause
        return _CAUSES.get(type(one.action), cause)

    def ended(self, record: CallRecord, now: float) -> None:
        """Take that a call is over."""
        one = self._under_way.get(record.call_id)
        if one is None:
            return
        if record.view.cause is not _CAUSES.get(type(one.action)):
            is_lost = record.view.cause is Cause.LOST
            text = (
                "the connection was lost before the service answered"
                if is_lost
                else "the call ended before it"
            )
            self._refuse(one, ActionRefused("unknown" if is_lost else "wrong_state", text), now)
        elif isinstance(one.action, SendReply):
            one.deadline = now + CHOICE_TIME
        else:
            self._finish(one, now)

    def tick(self, now: float) -> None:
        """Let time pass."""
        for one in [one for one in self._under_way.values() if one.deadline <= now]:
            text = "the service did nothing about it; look at the call"
            if isinstance(one.action, SendReply) and one.record.view.state.is_final:
                text = "the caller was told, and what it chose was not heard of"
            self._refuse(one, ActionRefused("unknown", text), now)

    def next_deadline(self) -> float | None:
        """Return when the first command has taken too long, or None."""
        return min((one.deadline for one in self._under_way.values()), default=None)

    def _finish(self, one: _UnderWay, now: float, value: Replied | None = None) -> None:
        del self._under_way[one.record.call_id]
        self._term.acknowledge(one.request, now, one.record.call_id, value)

    def _refuse(self, one: _UnderWay, error: ActionRefused, now: float) -> None:
        del self._under_way[one.record.call_id]
        self._term.refuse(one.request, error, now)


def _check_allowed(action: RingingAction, record: CallRecord) -> None:
    """Refuse what the service does not offer for this call: the caller of a queue stays in the queue."""
    attributes = [text.strip() for text in record.view.call_info.get("callAttributes", "").split(",")]
    if not any(attributes) or isinstance(action, Decline):
        return
    if "queue-call" in attributes or (isinstance(action, ToVoicemail) and "send-vm" not in attributes):
        raise ActionRefused("not_allowed", "the service does not offer this for this call")


def _command(action: RingingAction) -> tuple[Command, dict[str, str]]:
    match action:
        case Decline():
            return Command.CLIENT_REJECT, {}
        case ToVoicemail():
            return Command.CLIENT_VOICEMAIL, {}
        case Forward():
            require_number(action.target)
            return Command.CLIENT_FORWARD, {"FwdDly": "0", "Phn": action.target, "PhnTp": "3"}
        case StartReply():
            return Command.CLIENT_START_REPLY, {}
        case SendReply():
            return Command.CLIENT_REPLY, reply_body(action)


def reply_body(action: SendReply) -> dict[str, str]:
    """Return what a reply says, as attributes in the order that the service expects."""
    body = {"RepTp": str(_REPLIES[action.kind])}
    if action.kind is ReplyKind.TEXT:
        if not action.text.strip() or len(action.text) > _LONGEST_TEXT:
            raise ActionRefused("bad_request", f"a reply has 1 to {_LONGEST_TEXT} characters")
        return body | {"Bdy": action.text}
    if action.text:
        raise ActionRefused("bad_request", f"the reply {action.kind} has no text of its own")
    if action.kind in (ReplyKind.CALL_YOU_BACK, ReplyKind.CALL_YOU_BACK_LATER):
        body["Dir"] = _DIRECTIONS[action.direction]
    if action.kind is ReplyKind.CALL_YOU_BACK:
        if not 1 <= action.delay <= 999:
            raise ActionRefused("bad_request", "call you back: in 1 to 999 minutes, hours or days")
        body |= {"Vl": str(action.delay), "Units": _UNITS[action.units]}
    return body


def _chosen(message: AgentMessage) -> Replied:
    body = message.body
    answer: _Answer = _ANSWERS.get(body.get("Resp", ""), "none") if body.get("Sts") == "0" else "none"
    return Replied(
        answer=answer,
        callback=readable(body.get("ExtNfo", ""), 64) if answer == "urgent" else "",
        number=readable(body.get("Phn", ""), 64),
        name=readable(body.get("Nm", ""), 128),
    )
