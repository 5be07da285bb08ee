"""[core] One leader's term: the state that its parts share, and the only hands that change it."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from agents.sip.user_agent import UserAgent
from shared.errors import ActionRefused
from shared.messages import (
    Cause,
    CloseMedia,
    FromLeader,
    MediaCommand,
    MediaState,
    Outcome,
    Refused,
    Registration,
    RegistrationState,
    Request,
    Value,
)

from .calls import LONGEST_TEXT, CallRecord, CallTable
from .outcomes import Outcomes
from .presence import Presence


@dataclass(frozen=True, slots=True)
class SendSip:
    """Effect: send this SIP message to the phone service."""

    text: str = field(repr=False)  # may hold a digest
    method: str


@dataclass(frozen=True, slots=True)
class DropLine:
    """Effect: the connection to the service is of no use any more; make another."""

    reason: str


@dataclass(frozen=True, slots=True)
class LeaveProxy:
    """Effect: the service behind this proxy cannot serve: use the other one, if there is one."""

    reason: str
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class KeepLine:
    """Effect: let something pass the connection ``every`` so many seconds: so the service wants it."""

    every: float


@dataclass(frozen=True, slots=True)
class TellWindow:
    """Effect: send this to a window."""

    instance: str
    message: FromLeader


@dataclass(frozen=True, slots=True)
class CommandHost:
    """Effect: send this to an instance's media host."""

    instance: str
    command: MediaCommand


@dataclass(frozen=True, slots=True)
class AnswerAction:
    """Effect: publish, then tell ``instance`` that its action is done as of that snapshot."""

    instance: str
    action_id: str
    call_id: str
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class ForgetInstance:
    """Effect: forget how to reach this process; it has gone, or there are too many."""

    instance: str


@dataclass(frozen=True, slots=True)
class LeaveEstate:
    """Effect: what a successor would need is another now, although no SIP message may say so."""


Effect = (
    SendSip
    | DropLine
    | KeepLine
    | LeaveProxy
    | TellWindow
    | CommandHost
    | AnswerAction
    | ForgetInstance
    | LeaveEstate
)


class Term:
    """What a leader knows. Its parts read it freely, and change it by these methods."""

    def __init__(
        self,
        *,
        epoch: int,
        user_agent: UserAgent,
        calls: CallTable,
        presence: Presence,
        outcomes: Outcomes,
        new_id: Callable[[], str],
        wall_offset: float,
    ) -> None:
        self.epoch, self.user_agent, self.new_id = epoch, user_agent, new_id
        self.calls, self.presence, self.outcomes = calls, presence, outcomes
        self.registration = Registration()
        self.effects: list[Effect] = []
        self.has_changed = True
        self._wall_offset = wall_offset

    @property
    def is_registered(self) -> bool:
        """Whether the service knows us, and where we are."""
        return self.registration.state is RegistrationState.REGISTERED

    def wall(self, now: float) -> float:
        """Return ``now`` as Unix seconds, for people."""
        return now + self._wall_offset

    def change(self, record: CallRecord, **fields: object) -> None:
        """Change what windows see of a call."""
        record.change(**fields)
        self.has_changed = True

    def acknowledge(
        self, request: Request, now: float, call_id: str = "", value: Value | None = None
    ) -> None:
        """Tell whoever asked that the action has its effect."""
        self.outcomes.finish(Outcome(action_id=request.action_id, call_id=call_id, value=value), now)
        self.effects.append(AnswerAction(request.instance, request.action_id, call_id, value))
        self.has_changed = True

    def refuse(self, request: Request, error: ActionRefused, now: float) -> None:
        """Tell whoever asked that the action was not done."""
        message = error.message[:LONGEST_TEXT]
        outcome = Outcome(
            action_id=request.action_id, refused=error.code, message=message, status=error.status
        )
        self.outcomes.finish(outcome, now)
        refused = Refused(action_id=request.action_id, code=error.code, message=message, status=error.status)
        self.effects.append(TellWindow(request.instance, refused))
        self.has_changed = True

    def end_call(
        self, record: CallRecord, cause: Cause, now: float, *, status: int = 0, reason: str = ""
    ) -> None:
        """Show a live call as over, and free its sound. Whoever waits for the hang-up is told later."""
        if record.view.state.is_final:
            return
        self.calls.end(record, cause, now=now, wall=self.wall(now), status=status, reason=reason)
        self.has_changed = True
        if answering := record.answering:
            record.answering = None
            text = "the call ended before the far end had confirmed the answer; look at the call"
            self.refuse(answering, ActionRefused("unknown", text), now)
        if changing := record.changing:
            record.changing = None
            self.refuse(changing, ActionRefused("wrong_state", "the call ended meanwhile"), now)
        self.close_media(record)
        self.effects.append(LeaveEstate())

    def end_here(self, record: CallRecord, cause: Cause, now: float, *, reason: str = "") -> None:
        """End a live call from our side; windows see it at once, the service's answer settles the rest."""
        has_session = bool(record.session_id)
        self.end_call(record, cause, now, reason=reason)
        if not has_session:
            self.settle_hangups(record, now)
        else:
            with contextlib.suppress(ActionRefused):  # it is over there, too: the news is on its way to us
                self.user_agent.hangup(record.session_id, now)

    def close_media(self, record: CallRecord) -> None:
        """Free the sound of a call at whichever window may have it."""
        host = record.view.media_host or record.taken_by
        if host:
            self.free(host, record.call_id)
            record.change(media=MediaState.NONE)

    def free(self, host: str, call_id: str) -> None:
        """Have ``host`` end its sound of a call, which need not be known here."""
        command = CloseMedia(epoch=self.epoch, command_id=self.new_id(), call_id=call_id)
        self.effects.append(CommandHost(host, command))

    def settle_answer(self, record: CallRecord, now: float) -> None:
        """Tell whoever answered a call that the far end has it: a 200 can get lost on its way."""
        if answering := record.answering:
            record.answering = None
            self.acknowledge(answering, now, record.call_id)

    def settle_hangups(self, record: CallRecord, now: float) -> None:
        """Tell all who asked for the end of a call that it has come."""
        waiting, record.hangups = record.hangups, []
        for request in waiting:
            self.acknowledge(request, now, record.call_id)
