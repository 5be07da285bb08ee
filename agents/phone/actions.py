"""[core] What each action does: checks first, then effects, then one answer to whoever asked.

A handler refuses by raising :exc:`ActionRefused`; until it does, or acknowledges, the action is under way.
"""

import re
from functools import partial

from agents.sip.sdp import Direction as SdpDirection
from agents.sip.sdp import Sdp
from shared.errors import ActionRefused
from shared.messages import (
    Answer,
    Call,
    CallState,
    Cause,
    CompleteTransfer,
    Decline,
    Dial,
    Direction,
    Forward,
    Hangup,
    Hold,
    MediaDone,
    MediaState,
    Mute,
    RegistrationState,
    Request,
    SendDtmf,
    SendReply,
    StartReply,
    ToVoicemail,
    Transfer,
    Unhold,
    Unmute,
)

from .calls import CallRecord
from .checks import require_headers, require_number
from .hosts import MediaHosts
from .ringing import Ringing, RingingAction
from .term import Term
from .transfers import Transfers

#: Calls that are not over. Far above what a person can use, far below what would hurt.
_MOST_CALLS = 50
_TONES = re.compile(r"[0-9A-Da-d*#]{1,32}")


class Actions:
    """The handlers, one for each kind of action."""

    def __init__(self, term: Term, hosts: MediaHosts, transfers: Transfers, ringing: Ringing) -> None:
        self._term, self._hosts, self._transfers, self._ringing = term, hosts, transfers, ringing

    def begin(self, request: Request, now: float) -> None:
        """Do an action, or raise :exc:`ActionRefused`."""
        action = request.action
        match action:
            case Dial():
                self._dial(request, action, now)
            case Answer():
                self._answer(request, action.call_id, now)
            case Decline() | ToVoicemail() | Forward() | StartReply() | SendReply():
                self._divert(request, action, now)
            case Hangup():
                self._hang_up(request, action.call_id, now)
            case Hold() | Unhold():
                self._hold(request, action.call_id, isinstance(action, Hold), now)
            case Mute() | Unmute():
                self._mute(request, action.call_id, isinstance(action, Mute), now)
            case SendDtmf():
                self._send_dtmf(request, action, now)
            case Transfer() | CompleteTransfer():
                self._transfers.begin(request, action, now)

    # -- an outbound call: the window's offer, then the INVITE -------------------------------------------

    def _dial(self, request: Request, action: Dial, now: float) -> None:
        term = self._term
        require_number(action.target)
        if action.caller_id:
            require_number(action.caller_id, "number to show")
        require_headers(action.headers)
        if term.registration.state is not RegistrationState.REGISTERED:
            detail = term.registration.detail or f"the phone is {term.registration.state}"
            raise ActionRefused("not_registered", f"no calls can be made now: {detail}")
        if len(term.calls.live()) >= _MOST_CALLS:
            raise ActionRefused("too_busy", f"there are {_MOST_CALLS} calls already")
        if action.transfer_of:
            term.calls.get(action.transfer_of, CallState.ANSWERED)
        self._hosts.require(request.instance)
        view = Call(
            call_id=term.new_id(),
            direction=Direction.OUTBOUND,
            state=CallState.INIT,
            remote_number=action.target,
            local_number=action.caller_id,
            media_host=request.instance,
            transfer_of=action.transfer_of,
            started_at=term.wall(now),
        )
        record = term.calls.add(CallRecord(view))
        term.has_changed = True
        self._hosts.offer(request.instance, record, partial(self._offered, request, action, record), now)

    def _offered(
        self, request: Request, action: Dial, record: CallRecord, done: MediaDone, now: float
    ) -> None:
        term = self._term
        if record.view.state.is_final:
            term.refuse(request, ActionRefused("wrong_state", "the call was hung up before it began"), now)
            return
        if done.error:
            term.end_call(record, Cause.NO_MEDIA, now, reason=done.error)
            term.refuse(request, ActionRefused("no_media", f"no sound at this window: {done.error}"), now)
            return
        record.local_sdp = done.sdp
        try:
            record.session_id = term.user_agent.invite(
                action.target, done.sdp, caller_id=action.caller_id or None, headers=action.headers, now=now
            )
        except ActionRefused as exc:
            term.end_call(record, Cause.REJECTED, now, reason=exc.message)
            term.refuse(request, exc, now)
            return
        term.acknowledge(request, now, record.call_id)

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
        if done.error:
            term.close_media(record)  # it may have opened its microphone, or still be about to
            record.taken_by = ""
            term.refuse(request, ActionRefused("no_media", f"no sound at this window: {done.error}"), now)
            return
        record.local_sdp = done.sdp
        term.user_agent.answer(record.session_id, done.sdp, now)
        term.change(
            record,
            state=CallState.ANSWERED,
            answered_at=term.wall(now),
            media_host=request.instance,
            media=MediaState.CONNECTING,
        )
        term.acknowledge(request, now, record.call_id)

    def _divert(self, request: Request, action: RingingAction, now: float) -> None:
        record = self._ringing_inbound(action.call_id)
        if isinstance(action, Decline) and not self._term.user_agent.agent_sid(record.session_id):
            # No message channel: a plain SIP service takes a plain refusal.
            self._term.user_agent.reject(record.session_id, 603, now)
            self._term.end_call(record, Cause.DECLINED, now)
            self._term.acknowledge(request, now, record.call_id)
            return
        self._ringing.begin(request, action, record, now)

    def _ringing_inbound(self, call_id: str) -> CallRecord:
        record = self._term.calls.get(call_id)
        if record.view.direction is not Direction.INBOUND:
            raise ActionRefused("wrong_state", "an outbound call can only be hung up")
        who = record.view.media_host or record.taken_by
        if record.view.state is CallState.ANSWERED:
            raise ActionRefused("wrong_state", f"{self._term.presence.name(who)} has answered it")
        if record.taken_by:
            raise ActionRefused("wrong_state", f"{self._term.presence.name(who)} is answering it")
        self._ringing.require_idle(record)
        return record

    # -- any call ----------------------------------------------------------------------------------------

    def _hang_up(self, request: Request, call_id: str, now: float) -> None:
        record = self._term.calls.get(call_id)
        record.hangups.append(request)
        self.end_here(record, Cause.HUNG_UP_HERE, now)

    def end_here(self, record: CallRecord, cause: Cause, now: float) -> None:
        """End a live call from our side; windows see it at once, the service's answer settles the rest."""
        has_session = bool(record.session_id)
        self._term.end_call(record, cause, now)
        if has_session:
            self._term.user_agent.hangup(record.session_id, now)
        else:
            self._term.settle_hangups(record, now)

    def _hold(self, request: Request, call_id: str, held: bool, now: float) -> None:
        term = self._term
        record = term.calls.get(call_id, CallState.ANSWERED)
        if record.changing:
            raise ActionRefused("wrong_state", "the call is being held or unheld at this moment")
        if record.view.held == held:
            term.acknowledge(request, now, call_id)
            return
        offer = reoffer(record.local_sdp, "sendonly" if held else "sendrecv")
        term.user_agent.reinvite(record.session_id, offer, now)  # may refuse, and then nothing has changed
        record.local_sdp, record.changing = offer, request
        if held:
            # The command leaves before the re-INVITE: nothing that is said from now on may reach the far end.
            self.shape(record, held=True, now=now)

    def _mute(self, request: Request, call_id: str, muted: bool, now: float) -> None:
        record = self._term.calls.get(call_id, CallState.ANSWERED)
        self._hosts.shape(
            record,
            muted=muted,
            held=record.told_held,
            then=partial(self._muted, request, record, muted),
            now=now,
        )

    def _muted(self, request: Request, record: CallRecord, muted: bool, done: MediaDone, now: float) -> None:
        if done.error:
            record.told_muted = record.view.muted
        else:
            self._term.change(record, muted=muted)
        self._settle(request, record, done, now)

    def _send_dtmf(self, request: Request, action: SendDtmf, now: float) -> None:
        if not _TONES.fullmatch(action.tones):
            raise ActionRefused("bad_request", f"{action.tones!r} are no tones: 1 to 32 of 0-9 * # A-D")
        record = self._term.calls.get(action.call_id, CallState.ANSWERED)
        then = partial(self._settle, request, record)
        self._hosts.play_dtmf(record, action.tones.upper(), then, now)

    def _settle(self, request: Request, record: CallRecord, done: MediaDone, now: float) -> None:
        if done.error:
            self._term.refuse(request, ActionRefused("no_media", done.error), now)
        else:
            self._term.acknowledge(request, now, record.call_id)

    def shape(self, record: CallRecord, *, held: bool, now: float) -> None:
        """Tell a call's host whether it is held. If it cannot do it, it is gone, and noticed elsewhere."""
        self._hosts.shape(record, muted=record.told_muted, held=held, then=lambda _done, _now: None, now=now)


def reoffer(local_sdp: str, direction: SdpDirection) -> str:
    """Return our description once more, as an offer with this direction (RFC 3264 §8.4, RFC 8842 §5.2)."""
    sdp = Sdp.parse(local_sdp)
    changed = sdp.with_version(sdp.version + 1).with_direction(direction).with_attribute("setup", "actpass")
    return changed.encode()
