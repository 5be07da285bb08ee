"""[core] What the SIP user agent reports, turned into calls and registration that windows can show."""

import contextlib
from functools import partial

from agents.sip.events import (
    DialogRequestDone,
    DialogRequestReceived,
    InviteReceived,
    ReinviteConfirmed,
    ReinviteDone,
    ReinviteReceived,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionEvent,
    SessionProgress,
)
from agents.sip.registration import RegistrationChanged
from agents.sip.ringcentral import call_info, call_message
from agents.sip.sdp import Sdp, mirror
from shared.errors import ActionRefused
from shared.messages import (
    Call,
    CallState,
    Cause,
    Direction,
    Hold,
    MediaDone,
    MediaState,
    Problem,
    Registration,
    RegistrationState,
)

from .actions import Actions, reoffer
from .auto_answer import AutoAnswer
from .calls import CallRecord
from .hosts import MediaHosts
from .ringing import Ringing
from .term import Term
from .transfers import Transfers

_CAUSES = {
    "remote_bye": Cause.HUNG_UP_THERE,
    "local_bye": Cause.HUNG_UP_HERE,
    "remote_cancel": Cause.CANCELLED,
    "local_cancel": Cause.HUNG_UP_HERE,
    "rejected": Cause.REJECTED,
    "local_reject": Cause.DECLINED,
    "timeout": Cause.TIMEOUT,
    "transport": Cause.LOST,
    "answered_elsewhere": Cause.ANSWERED_ELSEWHERE,
}
_REMEDIES = {
    401: "the password or the authorization id is wrong; get the account file anew",
    403: "the service does not accept this account; check the password and the authorization id",
    404: "the service does not know this extension; get the account file anew",
    603: "five devices are registered for it already; close one, or wait until its binding expires",
}


class Signalling:
    """The handlers, one for each kind of event."""

    def __init__(
        self,
        term: Term,
        hosts: MediaHosts,
        actions: Actions,
        transfers: Transfers,
        ringing: Ringing,
        auto_answer: AutoAnswer,
    ) -> None:
        self._term, self._hosts, self._actions = term, hosts, actions
        self._transfers, self._ringing, self._auto_answer = transfers, ringing, auto_answer

    def session_changed(self, event: SessionEvent, now: float) -> None:
        """Take what happened to one of the user agent's sessions."""
        if isinstance(event, InviteReceived):
            self._invited(event, now)
            return
        record = self._term.calls.of_session(event.session_id)
        if record is None:
            return  # a call of which windows know no more
        match event:
            case SessionProgress():
                self._progress(event, record)
            case SessionAnswered():
                self._answered(event, record, now)
            case ReinviteDone():
                self._reinvited(event, record, now)
            case ReinviteReceived():
                self._reinvited_by_remote(event, record, now)
            case SessionEnded():
                self._ended(event, record, now)
            case DialogRequestDone():
                self._transfers.answered(event, record, now)
            case DialogRequestReceived():
                self._transfers.notified(event, record, now)
            case SessionConfirmed() | ReinviteConfirmed():
                self._confirmed(event, record, now)

    def registration_changed(self, event: RegistrationChanged) -> None:
        """Take what the registrar said, with the remedy if it refused."""
        state, status = RegistrationState(event.state), event.status or 0
        problem, detail = Problem.NONE, ""
        if state is RegistrationState.FAILED:
            remedy = _REMEDIES.get(status, "ask the service's operator")
            problem = Problem.REFUSED
            if event.retry_after is not None:
                problem, remedy = Problem.UNREACHABLE, f"trying again in {event.retry_after:.0f} s"
            detail = f"{status or ''} {event.reason}: {remedy}".strip()
        self.show_registration(Registration(state=state, problem=problem, status=status, detail=detail))

    def show_registration(self, registration: Registration) -> None:
        """Show where the registration is."""
        if registration != self._term.registration:
            self._term.registration = registration
            self._term.has_changed = True

    def _invited(self, event: InviteReceived, now: float) -> None:
        term, headers = self._term, event.request.headers
        names = told.body if (told := call_message(headers)) else {}
        view = Call(
            call_id=term.new_id(),
            direction=Direction.INBOUND,
            state=CallState.RINGING,
            remote_number=event.remote_number,
            remote_name=event.remote_name or names.get("Nm", ""),
            local_number=event.local_number,
            local_name=names.get("ToNm", ""),
            started_at=term.wall(now),
            session_id=event.session_ref or "",
            party_id=event.party_id or "",
            call_info=call_info(headers),
        )
        record = term.calls.add(CallRecord(view, session_id=event.session_id, remote_sdp=event.sdp))
        self._auto_answer.invited(headers, record, now)
        term.has_changed = True

    def _progress(self, event: SessionProgress, record: CallRecord) -> None:
        if record.view.state is CallState.INIT:
            self._term.change(record, state=CallState.RINGING)
        if event.party_id and not record.view.party_id:
            self._term.change(record, party_id=event.party_id, session_id=event.session_ref or "")

    def _answered(self, event: SessionAnswered, record: CallRecord, now: float) -> None:
        if record.view.state.is_final:
            return  # hung up while the answer was under way: the user agent sends the BYE
        record.remote_sdp = event.sdp
        self._term.change(
            record,
            state=CallState.ANSWERED,
            answered_at=self._term.wall(now),
            media=MediaState.CONNECTING,
        )
        self._hosts.apply(record, partial(self._applied, record), now)

    def _confirmed(self, event: SessionConfirmed | ReinviteConfirmed, record: CallRecord, now: float) -> None:
        """Take an ACK: it brings the far end's answer, if ours was the offer."""
        if event.sdp and not record.view.state.is_final:
            record.remote_sdp = event.sdp
            self._hosts.apply(record, partial(self._applied, record), now)

    def _applied(self, record: CallRecord, done: MediaDone, now: float) -> None:
        if done.error and not record.view.state.is_final:
            self._actions.end_here(record, Cause.NO_MEDIA, now)

    def _reinvited(self, event: ReinviteDone, record: CallRecord, now: float) -> None:
        request, record.changing = record.changing, None
        if request is None:
            return
        held = isinstance(request.action, Hold)
        if 200 <= event.status < 300:
            self._term.change(record, held=held)
            if not held:
                self._actions.shape(record, held=False, now=now)
            self._term.acknowledge(request, now, record.call_id)
            return
        if held:
            self._actions.shape(record, held=False, now=now)
        error = ActionRefused("far_end", f"the far end refused: {event.status} {event.reason}", event.status)
        self._term.refuse(request, error, now)

    def _reinvited_by_remote(self, event: ReinviteReceived, record: CallRecord, now: float) -> None:
        if not event.sdp:
            record.local_sdp = reoffer(record.local_sdp, "sendonly" if record.view.held else "sendrecv")
            self._term.user_agent.accept_reinvite(event.session_id, record.local_sdp, now)
            return
        self._term.change(record, held_by_remote=event.direction in ("sendonly", "inactive"))
        before, record.remote_sdp = record.remote_sdp, event.sdp
        if _ice_of(before) != _ice_of(event.sdp):
            # New ICE credentials need a new connection, so the host answers as if the call was new.
            self._hosts.answer(
                record.view.media_host, record, partial(self._reanswered, event.session_id, record), now
            )
            return
        record.local_sdp = _same_answer(record, event)
        self._term.user_agent.accept_reinvite(event.session_id, record.local_sdp, now)

    def _reanswered(self, session_id: str, record: CallRecord, done: MediaDone, now: float) -> None:
        if record.view.state.is_final:
            return
        if done.error:
            self._actions.end_here(record, Cause.NO_MEDIA, now)
            return
        record.local_sdp = done.sdp
        with contextlib.suppress(ActionRefused):  # withdrawn meanwhile, or the connection was lost
            self._term.user_agent.accept_reinvite(session_id, done.sdp, now)

    def _ended(self, event: SessionEnded, record: CallRecord, now: float) -> None:
        cause = self._transfers.cause_of(record, _CAUSES[event.cause])
        cause = self._ringing.cause_of(record, cause)
        if cause in (Cause.REJECTED, Cause.TIMEOUT) and record.view.answered_at is not None:
            cause = Cause.LOST  # the far end, or the way to it, does not know the call any more
        self._term.end_call(record, cause, now, status=event.status or 0, reason=event.reason)
        self._term.settle_hangups(record, now)
        self._transfers.ended(record, now)
        self._ringing.ended(record, now)


def _same_answer(record: CallRecord, event: ReinviteReceived) -> str:
    """Answer a re-INVITE that changes nothing but the direction: our description again (RFC 3264 §8)."""
    local, remote = Sdp.parse(record.local_sdp), Sdp.parse(event.sdp)
    direction = "inactive" if record.view.held else mirror(event.direction)
    setup = "passive" if remote.attribute("setup") == "active" else "active"
    answer = local.with_version(local.version + 1).with_direction(direction).with_attribute("setup", setup)
    return answer.encode()


def _ice_of(sdp: str) -> str:
    return next((line for line in sdp.splitlines() if line.startswith("a=ice-ufrag:")), "")
