"""[core] One INVITE session, from either end, from its first INVITE to its BYE (RFC 3261 §13 to §15).

::

    caller   CALLING -> PROCEEDING -> CONFIRMED -> ENDING -> ENDED
    callee   RINGING -> ANSWERED (2xx sent) -> CONFIRMED -> ENDING -> ENDED

A session is driven by :class:`.sessions.Sessions`, which finds it for a message. A session that is ENDED
still looks after its transactions for 32 s: a 2xx that crossed our CANCEL is acknowledged and hung up.
"""

from collections.abc import Mapping
from typing import Any, Literal

from shared.errors import ActionRefused, SipError

from .acknowledgement import Acknowledgement, established
from .answer import UnacknowledgedAnswer
from .context import SDP_TYPE, Context, Pairs
from .dialog import Dialog
from .events import (
    DialogRequestReceived,
    EndCause,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionProgress,
    SessionState,
)
from .inside import InsideRequests
from .message import Headers, Request, Response
from .reason import reason_of
from .reinvite import Renegotiation
from .ringcentral import api_ids
from .timers import TIMEOUT
from .transaction import TransactionKey


class Session:
    """One session. Public attributes are for reading."""

    def __init__(self, context: Context, session_id: str, direction: Literal["outbound", "inbound"]) -> None:
        self.session_id, self.direction = session_id, direction
        self.state = SessionState.CALLING if direction == "outbound" else SessionState.RINGING
        self.invite: Request | None = None  # the newest attempt; None in a session that was restored
        self.dialog: Dialog | None = None  # from the 2xx (caller) or the INVITE (callee) on
        self.local_tag = ""
        self._context = context
        self._invite_key: TransactionKey | None = None
        self._attempts = {"invite": 1, "bye": 1}
        self._wants_end = False  # hung up here before that was possible
        self._ack: Acknowledgement | None = None
        self._answer: UnacknowledgedAnswer | None = None
        self._inside = InsideRequests(context, self)
        self.renegotiation = Renegotiation(context, self)

    @property
    def call_id(self) -> str:
        """The Call-Id of all its messages."""
        if self.dialog is not None:
            return self.dialog.call_id
        assert self.invite is not None
        return self.invite.call_id

    @property
    def is_confirmed(self) -> bool:
        """Whether the call is up, so that its sound may change."""
        return self.state is SessionState.CONFIRMED

    def was_made_by(self, key: TransactionKey | None) -> bool:
        """Whether the INVITE of this transaction made this session."""
        return key is not None and key == self._invite_key

    def is_copy(self, invite: Request) -> bool:
        """Whether ``invite`` is the one that made this session, come on another way (§8.2.2.2)."""
        mine = self.invite
        if mine is None or self.direction == "outbound" or self.state is SessionState.ENDED:
            return False
        return (mine.call_id, mine.cseq, mine.from_.tag) == (invite.call_id, invite.cseq, invite.from_.tag)

    # -- what its user does

    def call(self, invite: Request, now: float) -> None:
        """Send the INVITE: be the caller."""
        self.invite, self.local_tag = invite, invite.from_.tag or ""
        self._invite_key = self._context.send_request(invite, self.session_id, "invite", now)

    def ring(self, invite: Request, key: TransactionKey, now: float) -> None:
        """Take an INVITE: be the callee. Answers 100."""
        self.local_tag = self._context.new_id()
        dialog = Dialog.from_request(invite, local_tag=self.local_tag, first_cseq=self._context.first_cseq)
        self.invite, self._invite_key, self.dialog = invite, key, dialog
        self._context.respond(key, invite, 100, now)

    def progress(
        self, status: int, now: float, *, sdp: str = "", headers: Pairs = (), reason: str | None = None
    ) -> None:
        """Send a provisional answer, 101 to 199."""
        self._require(SessionState.RINGING)
        self._respond(status, now, reason=reason, headers=headers, sdp=sdp)

    def answer(self, sdp: str, now: float, *, headers: Pairs = ()) -> None:
        """Answer the call with 200."""
        self._require(SessionState.RINGING)
        response = self._respond(200, now, headers=headers, sdp=sdp)
        assert self.invite is not None
        assert self._invite_key is not None
        self.state = SessionState.ANSWERED
        self._answer = UnacknowledgedAnswer(
            self._context, self.session_id, self._invite_key, self.invite, response, now
        )

    def acknowledge(self, sdp: str) -> None:
        """Answer the offer that the callee made in its 200, because our INVITE had none."""
        if self._ack is None or not self._ack.answer(sdp):
            raise ActionRefused("wrong_state", "the far end has made no offer that waits for an answer")

    def reject(self, status: int, now: float, *, reason: str | None = None, headers: Pairs = ()) -> None:
        """Refuse the call with a status from 300 on."""
        self._require(SessionState.RINGING)
        response = self._respond(status, now, reason=reason, headers=headers, contact=status < 400)
        self.end("local_reject", response.status, response.reason, now)

    def hangup(self, now: float, *, headers: Pairs = (), status: int = 603) -> None:
        """End it as its state demands: CANCEL, refuse with ``status``, or BYE. Harmless to call again.

        ``headers`` (Reason) go into the CANCEL or BYE. What cannot be ended yet, because no answer or no ACK
        came, is ended as soon as it can.
        """
        if self.state is SessionState.RINGING:
            self.reject(status, now, headers=headers)
        elif self.state is SessionState.CONFIRMED:
            self._bye(now, headers)
        elif self.state in (SessionState.CALLING, SessionState.PROCEEDING, SessionState.ANSWERED):
            is_first, self._wants_end = not self._wants_end, True
            if is_first and self.state is SessionState.PROCEEDING:
                self._cancel(now, headers)
        elif self.state is SessionState.ENDED:
            raise ActionRefused("no_such_call", "the call is over")

    def request(self, method: str, now: float, *, headers: Pairs = (), body: str = "") -> str:
        """Send another request in the dialog (INFO, REFER); return its id for :class:`DialogRequestDone`."""
        self._require(SessionState.CONFIRMED, SessionState.ANSWERED)
        return self._inside.start(method, now, headers=headers, body=body)

    def next_request(self, method: str, *, headers: Pairs = (), body: str = "") -> Request:
        """Return the dialog's next request, numbered, without sending it."""
        if self.dialog is None:
            raise ActionRefused("wrong_state", "the call is not established yet")
        self.dialog, request = self.dialog.request(
            method, self._context.endpoint, self._context.new_id(), headers=headers, body=body
        )
        return request

    # -- what happens to it

    def receive_response(self, role: str, response: Response, now: float) -> None:
        """Take the answer to a request of ours."""
        if role == "invite":
            self._invite_answered(response, now)
        elif role == "reinvite":
            self.renegotiation.receive_response(response, now)
        elif role == "cancel":
            # The peer has stopped ringing. A 2xx that crossed is looked after below, unheard by the user.
            if response.is_final and response.status < 300:
                self.end("local_cancel", None, "", now)
        elif role == "bye":
            self._bye_answered(response, now)
        else:
            self._inside.receive_response(role.removeprefix("request "), response, now)

    def timed_out(self, role: str, now: float, *, is_transport: bool) -> None:
        """Take that no answer will come."""
        cause: EndCause = "transport" if is_transport else "timeout"
        status, reason = (503, "Connection Lost") if is_transport else (408, "Request Timeout")
        if role == "invite":
            self.end("local_cancel" if self._wants_end and not is_transport else cause, status, reason, now)
        elif role == "bye":
            self.end("local_bye", status, reason, now)
        elif role == "reinvite":
            self.renegotiation.timed_out(status, reason, now)
        else:
            self._inside.timed_out(role.removeprefix("request "), status, reason)

    def receive_request(self, key: TransactionKey, request: Request, now: float) -> None:
        """Take a request in the dialog (§12.2.2)."""
        after = self.dialog.received(request) if self.dialog is not None else None
        if self.dialog is not None and after is None:
            self._context.respond(key, request, 500, now, reason="CSeq Out Of Order")
            return
        self.dialog = after
        if request.method == "BYE":
            self._context.respond(key, request, 200, now)
            self._remote_bye(request, now)
        elif request.method in ("INVITE", "UPDATE"):
            self.renegotiation.receive_request(key, request, now)
        else:
            self._context.emit(DialogRequestReceived(self.session_id, key, request))

    def receive_ack(self, request: Request, now: float) -> None:
        """Take the ACK of a 2xx of ours."""
        if self._answer is None or request.cseq.number != self._answer.cseq:
            self.renegotiation.receive_ack(request, now)
            return
        self._answer.acknowledged()
        self._answer = None
        if self.state is SessionState.ANSWERED:
            self.state = SessionState.CONFIRMED
            if self._wants_end:
                self._bye(now)
            else:
                self._context.emit(SessionConfirmed(self.session_id, request.body))
                self.renegotiation.confirmed(now)

    def receive_cancel(self, request: Request, now: float) -> None:
        """Take a CANCEL, which was answered already: it has an effect only before our final answer (§9.2)."""
        if self.state is SessionState.RINGING:
            status, reason = reason_of(request)
            self._respond(487, now, contact=False)
            self.end("answered_elsewhere" if status == 200 else "remote_cancel", status, reason, now)
        elif self.state is SessionState.CONFIRMED:
            self.renegotiation.receive_cancel(request, now)

    def answered_elsewhere(self, now: float) -> None:
        """Take it from the service that another phone answered; its CANCEL may still come, or not."""
        if self.state is SessionState.RINGING:
            self._respond(487, now, contact=False)
            self.end("answered_elsewhere", None, "", now)

    def timer(self, name: str, now: float) -> None:
        """Take that one of this session's timers is due."""
        if name == "reinvite" or (name == "answer" and self._answer is None):
            self.renegotiation.timer(name, now)
        elif name == "answer" and self._answer is not None and not self._answer.timer(now):
            self._answer, self.state = None, SessionState.CONFIRMED
            self.fail("timeout", None, "no ACK", now)

    def fail(self, cause: EndCause, status: int | None, reason: str, now: float) -> None:
        """End a session that cannot go on: tell the user now, and the peer by a BYE."""
        if self.state is SessionState.CONFIRMED:
            self._bye(now)
            self.end(cause, status, reason, now)

    def disconnected(self, now: float) -> None:
        """Take that the connection is gone. An answered call goes on without it, one that rings does not."""
        if self.state in (SessionState.RINGING, SessionState.ANSWERED):
            self.end("transport", None, "connection lost", now)
        elif self.state is SessionState.CONFIRMED:
            self.renegotiation.disconnected()

    def end(self, cause: EndCause, status: int | None, reason: str, now: float) -> None:
        """Report the end, once."""
        if self.state is SessionState.ENDED:
            return
        self.renegotiation.terminated(now)
        self._inside.terminated()
        self.state = SessionState.ENDED
        for name in ("answer", "reinvite"):
            self._context.timers.cancel((self.session_id, name))
        self._context.timers.set((self.session_id, "forget"), now + TIMEOUT)
        self._context.emit(SessionEnded(self.session_id, cause, status, reason))

    # -- moving to another process

    def export(self) -> dict[str, Any]:
        """Return an answered session as plain data for :meth:`restore`; it holds no secret and no sound."""
        self._require(SessionState.CONFIRMED, SessionState.ANSWERED)
        assert self.dialog is not None
        return {"session_id": self.session_id, "direction": self.direction, "dialog": self.dialog.export()}

    @classmethod
    def restore(cls, context: Context, data: Mapping[str, Any]) -> "Session":
        """Return a session that goes on where :meth:`export` left it; raises :exc:`SipError` for bad data."""
        try:
            session = cls(context, str(data["session_id"]), "inbound")
            session.direction = "outbound" if data["direction"] == "outbound" else "inbound"
            session.dialog = Dialog.restore(data["dialog"])
        except (KeyError, TypeError) as exc:
            raise SipError(f"not an exported session: {exc}") from exc
        session.local_tag, session.state = session.dialog.local_tag, SessionState.CONFIRMED
        return session

    # -- the parts

    def _require(self, *states: SessionState) -> None:
        if self.state is SessionState.ENDED:
            raise ActionRefused("no_such_call", "the call is over")
        if self.state not in states or self._wants_end:
            raise ActionRefused("wrong_state", f"the call is {self.state.name.lower()}")

    def _respond(
        self,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: Pairs = (),
        sdp: str = "",
        contact: bool = True,
    ) -> Response:
        assert self.invite is not None
        assert self._invite_key is not None
        fields = [("Contact", self._context.endpoint.contact), *headers] if contact else [*headers]
        if sdp:
            fields.append(SDP_TYPE)
        tag, request, key = self.local_tag, self.invite, self._invite_key
        return self._context.respond(
            key, request, status, now, reason=reason, to_tag=tag, headers=fields, body=sdp
        )

    def _invite_answered(self, response: Response, now: float) -> None:
        if response.status < 200:
            self._progressed(response, now)
        elif response.status < 300:
            self._accepted(response, now)
        elif self.state is not SessionState.ENDED and not self._try_again(response, now):
            cause: EndCause = "local_cancel" if self._wants_end else "rejected"
            self.end(cause, response.status, response.reason, now)

    def _progressed(self, response: Response, now: float) -> None:
        if self.state is SessionState.CALLING:
            self.state = SessionState.PROCEEDING
            if self._wants_end:
                self._cancel(now)
        if response.status > 100 and not self._wants_end and self.state is SessionState.PROCEEDING:
            party, session = api_ids(response.headers)
            self._context.emit(
                SessionProgress(
                    self.session_id, response.status, response.reason, response.body, party, session
                )
            )

    def _accepted(self, response: Response, now: float) -> None:
        assert self.invite is not None
        try:
            dialog, ack = established(self._context, self.invite, response)
        except SipError as exc:
            # It can be neither acknowledged nor used; the peer will give up for want of our ACK.
            self.end("rejected", response.status, f"the answer cannot be read: {exc.reason}", now)
            return
        if self.dialog is not None and self.dialog.remote_tag == dialog.remote_tag:
            # The 2xx was repeated: our ACK may be lost further on.
            if self._ack is not None:
                self._ack.repeat()
            return
        if self.dialog is not None or self.state is SessionState.ENDED:
            self._context.send_ack(ack)
            # A second phone answered too, or the call was given up: hang that one up (§13.2.2.4).
            _, bye = dialog.request("BYE", self._context.endpoint, self._context.new_id())
            self._context.send_request(bye, self.session_id, "stray", now)
            return
        self.dialog, self.state = dialog, SessionState.CONFIRMED
        self._ack = Acknowledgement(self._context, ack, waits=not self.invite.body)
        if self._wants_end:
            self._bye(now)
        else:
            self._context.emit(SessionAnswered(self.session_id, response.body, response))

    def _try_again(self, response: Response, now: float) -> bool:
        assert self.invite is not None
        attempts = self._attempts["invite"]
        again = None if self._wants_end else self._context.answer_challenge(self.invite, response, attempts)
        if again is None:
            return False
        self._attempts["invite"] += 1
        self.state = SessionState.CALLING
        self.call(again, now)
        return True

    def _cancel(self, now: float, headers: Pairs = ()) -> None:
        assert self._invite_key is not None
        key = self._context.transactions.cancel(self._invite_key, now, Headers(headers))
        if key is not None:
            self._context.own(key, self.session_id, "cancel")
        self._context.flush()

    def _bye(self, now: float, headers: Pairs = ()) -> None:
        if self._ack is not None:
            self._ack.answer()
        self.state = SessionState.ENDING
        self._bye_request = self.next_request("BYE", headers=headers)
        self._context.send_request(self._bye_request, self.session_id, "bye", now)

    def _bye_answered(self, response: Response, now: float) -> None:
        if not response.is_final:
            return
        again = self._context.answer_challenge(self._bye_request, response, self._attempts["bye"])
        if again is not None and self.dialog is not None:
            self._attempts["bye"] += 1
            self._bye_request, self.dialog = again, self.dialog.sent(again)
            self._context.send_request(again, self.session_id, "bye", now)
        else:
            # Whatever the answer, the session is over (§15.1.1); 481 says that the peer knew already.
            self.end("local_bye", response.status, response.reason, now)

    def _remote_bye(self, request: Request, now: float) -> None:
        if self.state is SessionState.RINGING:
            self._respond(487, now, contact=False)
        status, reason = reason_of(request)
        self.end("local_bye" if self.state is SessionState.ENDING else "remote_bye", status, reason, now)
