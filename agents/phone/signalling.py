"""[core] What the SIP user agent reports, turned into calls and registration that windows can show."""

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
from agents.sip.ringcentral import api_ids, call_info, call_message
from agents.sip.sdp import direction_of
from shared.messages import (
    Call,
    CallState,
    Cause,
    Direction,
    MediaDone,
    MediaState,
    Problem,
    Registration,
    RegistrationState,
)
from shared.text import readable

from .calls import CallRecord
from .changes import ice_of
from .parts import Parts
from .term import LeaveEstate

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

    def __init__(self, parts: Parts) -> None:
        self._parts, self._term, self._hosts = parts, parts.term, parts.hosts

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
                self._progress(event, record, now)
            case SessionAnswered():
                self._answered(event, record, now)
            case ReinviteDone():
                if 200 <= event.status < 300:
                    self._term.settle_answer(record, now)
                self._parts.changes.done(event, record, now)
                self._parts.anchors.answered(event, record, now)
            case ReinviteReceived():
                self._parts.changes.asked(event, record, now)
            case SessionEnded():
                self._ended(event, record, now)
            case DialogRequestDone():
                self._parts.transfers.answered(event, record, now)
                self._parts.in_call.answered(event, now)
                self._parts.tones.answered(event, record, now)
            case DialogRequestReceived():
                self._parts.transfers.notified(event, record, now)
                self._parts.in_call.informed(event, record, now)
                self._parts.tones.informed(event, record)
            case SessionConfirmed() | ReinviteConfirmed():
                self._confirmed(event, record, now)

    def disconnected(self, problem: Problem, detail: str, retry_in: float | None, now: float) -> None:
        """Show that there is no connection, why, and when the next attempt will be made."""
        retry_at = self._term.wall(now + retry_in) if retry_in is not None else 0.0
        self.show_registration(
            Registration(
                state=RegistrationState.CONNECTING,
                problem=problem,
                detail=detail,
                retry_at=round(retry_at, 1),
            )
        )

    def registration_changed(self, event: RegistrationChanged, now: float) -> None:
        """Take what the registrar said, with the remedy if it refused."""
        state, status = RegistrationState(event.state), event.status or 0
        problem, detail = Problem.NONE, ""
        if state is RegistrationState.FAILED:
            remedy = _REMEDIES.get(status, "ask the service's operator")
            problem = Problem.REFUSED
            if event.retry_after is not None:
                again = f"trying again in {event.retry_after:.0f} s"
                remedy = f"{remedy}; {again}" if status in _REMEDIES else again
                problem = Problem.REFUSED if status in _REMEDIES else Problem.UNREACHABLE
            detail = f"{status or ''} {event.reason}: {remedy}".strip()
        retry_at = self._term.wall(now + event.retry_after) if event.retry_after is not None else 0.0
        self.show_registration(
            Registration(
                state=state, problem=problem, status=status, detail=detail, retry_at=round(retry_at, 1)
            )
        )

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
            remote_name=event.remote_name or readable(names.get("Nm", "")),
            local_number=event.local_number,
            local_name=readable(names.get("ToNm", "")),
            started_at=term.wall(now),
            session_id=event.session_ref or "",
            party_id=event.party_id or "",
            call_info=call_info(headers),
        )
        record = term.calls.add(CallRecord(view, session_id=event.session_id, remote_sdp=event.sdp))
        self._parts.auto_answer.invited(headers, record, now)
        term.has_changed = True

    def _progress(self, event: SessionProgress, record: CallRecord, now: float) -> None:
        if record.view.state.is_final:
            return
        if record.view.state is CallState.INIT:
            self._term.change(record, state=CallState.RINGING)
        if event.party_id and not record.view.party_id:
            self._term.change(record, party_id=event.party_id, session_id=event.session_ref or "")
        if event.sdp and not record.early_sdp:
            # A voice may tell what is wrong, or ask for keys: it is heard before the answer (RFC 3960).
            record.early_sdp = record.remote_sdp = event.sdp
            self._hosts.apply(record, lambda _done, _now: None, now)

    def _answered(self, event: SessionAnswered, record: CallRecord, now: float) -> None:
        if record.view.state.is_final:
            return  # hung up while the answer was under way: the user agent sends the BYE
        party, session = api_ids(event.response.headers)
        early, record.remote_sdp = record.early_sdp, event.sdp or record.early_sdp
        self._term.change(
            record,
            state=CallState.ANSWERED,
            answered_at=self._term.wall(now),
            media=record.view.media if early else MediaState.CONNECTING,
            held_by_remote=direction_of(record.remote_sdp) in ("sendonly", "inactive"),
            party_id=record.view.party_id or party or "",
            session_id=record.view.session_id or session or "",
        )
        if early and ice_of(early) != ice_of(record.remote_sdp):
            # Whoever answered is not whom we have heard: its sound needs a connection of its own.
            self._parts.changes.replace(record, now)
        else:
            self._hosts.apply(record, partial(self._applied, record), now)

    def _confirmed(self, event: SessionConfirmed | ReinviteConfirmed, record: CallRecord, now: float) -> None:
        """Take an ACK: it brings the far end's answer, if ours was the offer."""
        if record.view.state.is_final:
            return
        if event.sdp:
            self._answered_late(event.sdp, record, now)
        elif not record.remote_sdp:
            self._term.end_here(record, Cause.NO_MEDIA, now, reason="the far end did not answer our offer")
        self._term.settle_answer(record, now)

    def _answered_late(self, sdp: str, record: CallRecord, now: float) -> None:
        before, record.remote_sdp = record.remote_sdp, sdp
        if not record.view.held:
            self._term.change(record, held_by_remote=direction_of(sdp) in ("sendonly", "inactive"))
        if before and ice_of(before) != ice_of(sdp):
            # The far end was connected to somebody else (RFC 3725): that one's sound needs a new connection.
            self._parts.changes.replace(record, now)
        else:
            self._hosts.apply(record, partial(self._applied, record), now)

    def _applied(self, record: CallRecord, done: MediaDone, now: float) -> None:
        if done.error and not record.view.state.is_final:
            self._term.end_here(record, Cause.NO_MEDIA, now)

    def _ended(self, event: SessionEnded, record: CallRecord, now: float) -> None:
        cause = self._parts.transfers.cause_of(record, _CAUSES[event.cause])
        cause = self._parts.ringing.cause_of(record, cause)
        if cause in (Cause.REJECTED, Cause.TIMEOUT) and record.view.answered_at is not None:
            cause = Cause.LOST  # the far end, or the way to it, does not know the call any more
        self._term.end_call(record, cause, now, status=event.status or 0, reason=event.reason)
        if event.cause == "transport" or (event.cause == "local_bye" and event.status in (408, 503)):
            record.hangups.clear()  # nobody knows whether the far end was told; whoever asked is told that
        self._term.settle_hangups(record, now)
        self._parts.transfers.ended(record, now)
        self._parts.ringing.ended(record, now)
        self._parts.in_call.ended(record, now)
        self._term.effects.append(LeaveEstate())
