"""[core] What each action does: checks first, then effects, then one answer to whoever asked.

A handler refuses by raising :exc:`ActionRefused`; until it does, or acknowledges, the action is under way.
"""

from functools import partial

from shared.errors import ActionRefused
from shared.messages import (
    Answer,
    CallState,
    Cause,
    CompleteTransfer,
    Decline,
    Dial,
    Direction,
    Flip,
    Forward,
    Hangup,
    Hold,
    MediaDone,
    MediaState,
    Mute,
    Park,
    ReInvite,
    Request,
    SendDtmf,
    SendReply,
    StartRecording,
    StartReply,
    StopRecording,
    ToVoicemail,
    Transfer,
    Unhold,
    Unmute,
)

from .calls import CallRecord
from .checks import require_sound, require_time
from .parts import Parts
from .ringing import RingingAction


class Actions:
    """The handlers, one for each kind of action."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._term, self._hosts = parts, parts.term, parts.hosts

    def begin(self, request: Request, now: float) -> None:
        """Do an action, or raise :exc:`ActionRefused`."""
        action = request.action
        match action:
            case Dial():
                self._parts.dialling.begin(request, action, now)
            case Answer():
                self._answer(request, action.call_id, now)
            case Decline() | ToVoicemail() | Forward() | StartReply() | SendReply():
                self._divert(request, action, now)
            case Hangup():
                self._hang_up(request, action.call_id, now)
            case Hold() | Unhold():
                self._parts.changes.hold(request, action, now)
            case Mute() | Unmute():
                self._parts.changes.mute(request, action, now)
            case ReInvite():
                self._parts.changes.renew(request, action, now)
            case SendDtmf():
                self._parts.tones.begin(request, action, now)
            case Park(slot=slot) if slot:
                self._parts.transfers.begin(request, action, now)
            case Transfer() | CompleteTransfer():
                self._parts.transfers.begin(request, action, now)
            case StartRecording() | StopRecording() | Flip() | Park():
                self._parts.in_call.begin(request, action, now)

    # -- an inbound call: the window's answer, then the 200 ----------------------------------------------

    def _answer(self, request: Request, call_id: str, now: float) -> None:
        record = self._ringing_inbound(call_id)
        self._hosts.require(request.instance)
        record.taken_by = request.instance
        # An INVITE without an offer wants ours in the 200, and answers it in the ACK (RFC 3261 §13.2.1).
        describe = self._hosts.answer if record.remote_sdp else self._hosts.offer
        describe(request.instance, record, partial(self._answered, request, record), now)

    def _answered(self, request: Request, record: CallRecord, done: MediaDone, now: float) -> None:
        term = self._term
        if record.view.state is not CallState.RINGING:
            term.close_media(record)
            term.refuse(request, ActionRefused("no_such_call", "the caller was gone before the answer"), now)
            return
        try:
            require_sound(done)
            require_time(request, now)
        except ActionRefused as exc:
            term.close_media(record)  # it may have opened its microphone, or still be about to
            record.taken_by = ""
            term.refuse(request, exc, now)
            return
        record.local_sdp, record.answering = done.sdp, request
        term.user_agent.answer(record.session_id, done.sdp, now)
        term.change(
            record,
            state=CallState.ANSWERED,
            answered_at=term.wall(now),
            media_host=request.instance,
            media=MediaState.CONNECTING,
        )

    def _divert(self, request: Request, action: RingingAction, now: float) -> None:
        record = self._ringing_inbound(action.call_id)
        if isinstance(action, Decline) and not self._term.user_agent.agent_sid(record.session_id):
            # No message channel: a plain SIP service takes a plain refusal.
            self._term.user_agent.reject(record.session_id, 603, now)
            self._term.end_call(record, Cause.DECLINED, now)
            self._term.acknowledge(request, now, record.call_id)
            return
        self._parts.ringing.begin(request, action, record, now)

    def _ringing_inbound(self, call_id: str) -> CallRecord:
        record = self._term.calls.get(call_id)
        if record.view.direction is not Direction.INBOUND:
            raise ActionRefused("wrong_state", "an outbound call can only be hung up")
        who = record.view.media_host or record.taken_by
        if record.view.state is CallState.ANSWERED:
            raise ActionRefused("wrong_state", f"{self._term.presence.name(who)} has answered it")
        if record.taken_by:
            raise ActionRefused("wrong_state", f"{self._term.presence.name(who)} is answering it")
        self._parts.ringing.require_idle(record)
        return record

    # -- any call ----------------------------------------------------------------------------------------

    def _hang_up(self, request: Request, call_id: str, now: float) -> None:
        record = self._term.calls.get(call_id)
        record.hangups.append(request)
        self._term.end_here(record, Cause.HUNG_UP_HERE, now)
