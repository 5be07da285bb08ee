"""[core] One INVITE session, from either end, from its first INVITE to its BYE (RFC 3261 §13 to §15).

::

    caller   CALLING -> PROCEEDING -> CONFIRMED -> ENDING -> ENDED
    callee   RINGING -> ANSWERED (2xx sent) -> CONFIRMED -> ENDING -> ENDED

A session is driven by :class:`.sessions.Sessions`, which finds it for a message. What it does about each of
its requests is in a part of its own: :mod:`.caller` and :mod:`.callee` for the INVITE, :mod:`.reinvite` and
:mod:`.inside` for what comes later, :mod:`.farewell` for the BYE. A session that is ENDED still takes the
answers that it waits for: a 2xx that crossed our CANCEL is acknowledged and hung up. Then only its
:mod:`.remains` are kept.
"""

from collections.abc import Mapping
from typing import Any, Literal
from weakref import proxy

from shared.errors import ActionRefused, SipError

from .callee import Callee
from .caller import Caller
from .context import Context, Pairs
from .dialog import Dialog
from .events import DialogRequestReceived, EndCause, SessionEnded, SessionState
from .farewell import Farewell
from .inside import InsideRequests
from .message import Request, Response, parse
from .reason import reason_of
from .reinvite import Renegotiation
from .remains import as_remains
from .transaction import TransactionKey

_TIMERS = ("answer", "reinvite", "invitation", "ringing", "farewell")


class Session:
    """One session. Public attributes are for reading; its parts write them, too."""

    def __init__(self, context: Context, session_id: str, direction: Literal["outbound", "inbound"]) -> None:
        self.session_id, self.direction = session_id, direction
        self.state = SessionState.CALLING if direction == "outbound" else SessionState.RINGING
        self.invite: Request | None = None  # the newest attempt; None in a session that was restored
        self.dialog: Dialog | None = None  # from the 2xx (caller) or the INVITE (callee) on
        self.local_tag = ""
        self.wants_end = False  # hung up here before that was possible
        self.last_words: list[tuple[str, str]] = []  # fields of the CANCEL or BYE that is to come then
        self._context = context
        # Its parts do not keep it: a call that is forgotten does not wait for the garbage collector.
        session: Session = proxy(self)
        self.caller, self.callee = Caller(context, session), Callee(context, session)
        self.farewell = Farewell(context, session)
        self.renegotiation = Renegotiation(context, session)
        self._inside = InsideRequests(context, session)

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

    # -- what its user does

    def progress(
        self, status: int, now: float, *, sdp: str = "", headers: Pairs = (), reason: str | None = None
    ) -> None:
        """Send a provisional answer, 101 to 199."""
        self._require(SessionState.RINGING)
        self.callee.progress(status, now, reason=reason, headers=headers, sdp=sdp)

    def answer(self, sdp: str, now: float, *, headers: Pairs = ()) -> None:
        """Answer the call with 200."""
        self._require(SessionState.RINGING)
        self.callee.answer(sdp, now, headers)

    def reject(self, status: int, now: float, *, reason: str | None = None, headers: Pairs = ()) -> None:
        """Refuse the call with a status from 300 on."""
        self._require(SessionState.RINGING)
        response = self.callee.respond(status, now, reason=reason, headers=headers, contact=status < 400)
        self.end("local_reject", response.status, response.reason, now)

    def hangup(
        self, now: float, *, headers: Pairs = (), status: int = 603, is_reachable: bool = True
    ) -> None:
        """End it as its state demands: CANCEL, refuse with ``status``, or BYE. Harmless to call again.

        ``headers`` (Reason) go into the CANCEL or BYE. What cannot be ended yet, because no answer or no ACK
        came, is ended as soon as it can; so is a call whose far end is not ``is_reachable`` now.
        """
        if self.state is SessionState.RINGING:
            self.reject(status, now, headers=headers)
        elif self.state is SessionState.CONFIRMED:
            (self.farewell.say if is_reachable else self.farewell.say_later)(now, headers)
        elif self.state in (SessionState.CALLING, SessionState.PROCEEDING, SessionState.ANSWERED):
            is_first, self.wants_end = not self.wants_end, True
            if is_first:
                self.last_words = [*headers]
            if is_first and self.state is SessionState.PROCEEDING:
                self.caller.cancel(now, headers)
        elif self.state is SessionState.ENDED:
            raise ActionRefused("no_such_call", "the call is over")

    def request(self, method: str, now: float, *, headers: Pairs = (), body: str = "") -> str:
        """Send another request in the dialog (INFO, REFER); return its id for :class:`DialogRequestDone`."""
        self._require(SessionState.CONFIRMED, SessionState.ANSWERED)
        return self._inside.start(method, now, headers=headers, body=body)

    def number_of(self, request_id: str) -> int | None:
        """Return the CSeq number of a request that waits for its answer, None for any other."""
        return self._inside.number_of(request_id)

    def next_request(self, method: str, *, headers: Pairs = (), body: str = "") -> Request:
        """Return the dialog's next request, numbered, without sending it."""
        if self.dialog is None:
            raise ActionRefused("wrong_state", "the call is not established yet")
        self.dialog, request = self.dialog.request(
            method, self._context.endpoint, self._context.new_id(), headers=headers, body=body
        )
        return request

    def answer_challenge(self, request: Request, response: Response, attempt: int) -> Request | None:
        """Return what to send instead of a request in the dialog, numbered; None if ``response`` stands.

        When we have hung up, nothing but the BYE is sent again (§15.1.1).
        """
        is_over = self.state in (SessionState.ENDING, SessionState.ENDED) and request.method != "BYE"
        again = None if is_over else self._context.answer_challenge(request, response, attempt)
        if again is None or self.dialog is None:
            return None
        self.dialog, again = self.dialog.numbered(again)
        return again

    # -- what happens to it

    def receive_response(self, role: str, response: Response, now: float) -> None:
        """Take the answer to a request of ours."""
        if role == "invite":
            self.caller.answered(response, now)
        elif role == "cancel":
            self.caller.cancel_answered(response, now)
        elif role == "reinvite":
            self.renegotiation.receive_response(response, now)
        elif role == "bye":
            self.farewell.answered(response, now)
        else:
            self._inside.receive_response(role.removeprefix("request "), response, now)

    def timed_out(self, role: str, now: float, *, is_transport: bool) -> None:
        """Take that no answer will come."""
        cause: EndCause = "transport" if is_transport else "timeout"
        status, reason = (503, "Connection Lost") if is_transport else (408, "Request Timeout")
        if role == "invite":
            self.end("local_cancel" if self.wants_end and not is_transport else cause, status, reason, now)
        elif role == "bye":
            self.farewell.timed_out(status, reason, now, is_transport=is_transport)
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
        if not self.callee.acknowledged(request, now):
            self.renegotiation.receive_ack(request, now)

    def receive_cancel(self, request: Request, now: float) -> None:
        """Take a CANCEL, which was answered already: it has an effect only before our final answer (§9.2)."""
        if self.state is SessionState.RINGING:
            self.callee.cancelled(request, now)
        elif self.state is SessionState.CONFIRMED:
            self.renegotiation.receive_cancel(request, now)

    def answered_elsewhere(self, now: float) -> None:
        """Take it from the service that another phone answered; its CANCEL may still come, or not."""
        if self.state is SessionState.RINGING:
            self.callee.give_up("answered_elsewhere", None, "", now)

    def timer(self, name: str, now: float) -> None:
        """Take that one of this session's timers is due."""
        if name == "farewell":
            self.farewell.timer(now)
        elif name == "reinvite" or (name == "answer" and not self.callee.is_unacknowledged):
            self.renegotiation.timer(name, now)
        else:
            self.callee.timer(name, now)

    def fail(self, cause: EndCause, status: int | None, reason: str, now: float) -> None:
        """End a session that cannot go on: tell the user now, and the peer by a BYE."""
        if self.state is SessionState.CONFIRMED:
            self.farewell.say(now)
            self.end(cause, status, reason, now)

    def disconnected(self, now: float) -> None:
        """Take that the connection is gone. An answered call goes on without it, one that rings does not.

        Our 200 may have been on its way, or its ACK. The far end has a call as soon as it has the 200
        (§13.2.2.4): it is sent once more over the next connection, before anything else is asked there.
        """
        is_lost = self.wants_end and not self._context.late_goodbyes
        if self.state is SessionState.RINGING or (self.state is SessionState.ANSWERED and is_lost):
            self.end("transport", None, "connection lost", now)
            return
        if self.state is SessionState.ANSWERED:
            self.callee.cut_off()
            self.state = SessionState.CONFIRMED
            if self.wants_end:
                self.farewell.say_later(now, self.last_words)
        if self.state is SessionState.CONFIRMED:
            self.renegotiation.disconnected()

    def reachable(self, now: float) -> None:
        """Take that there is a connection again: send what has waited for it."""
        self.callee.say_again()
        self.farewell.reachable(now)

    def end(self, cause: EndCause, status: int | None, reason: str, now: float) -> None:
        """Report the end, once."""
        if self.state is SessionState.ENDED:
            return
        self.renegotiation.terminated(now)
        self._inside.terminated()
        self.state = SessionState.ENDED
        for name in _TIMERS:
            self._context.timers.cancel((self.session_id, name))
        self._context.settled.append(self.session_id)
        self._context.emit(SessionEnded(self.session_id, cause, status, reason))

    def leave(self) -> None:
        """Leave behind what is still needed of a session that is over and waits for no answer."""
        accepted = self._context.accepted(self.session_id)
        acks = [ack for ack in (self.caller.ack, *self.renegotiation.acks()) if ack is not None]
        for key in accepted:
            self._context.transactions.bequeath(key, as_remains(acks))
        self._context.disown(self.session_id)

    # -- moving to another process

    def export(self) -> dict[str, Any]:
        """Return an answered session as plain data for :meth:`restore`.

        An answer that has no ACK yet is part of it, and has the passwords of the call's sound in it.
        """
        self._require(SessionState.CONFIRMED, SessionState.ANSWERED)
        assert self.dialog is not None
        data = {"session_id": self.session_id, "direction": self.direction, "dialog": self.dialog.export()}
        if (answer := self.callee.unacknowledged) is not None:
            data["answer"] = answer.encode()
        return data

    @classmethod
    def restore(cls, context: Context, data: Mapping[str, Any]) -> "Session":
        """Return a session that goes on where :meth:`export` left it; raises :exc:`SipError` for bad data."""
        try:
            session = cls(context, str(data["session_id"]), "inbound")
            session.direction = "outbound" if data["direction"] == "outbound" else "inbound"
            session.dialog = Dialog.restore(data["dialog"])
            if isinstance(answer := parse(data["answer"]) if "answer" in data else None, Response):
                session.callee.inherit(answer)
        except (KeyError, TypeError) as exc:
            raise SipError(f"not an exported session: {exc}") from exc
        session.local_tag, session.state = session.dialog.local_tag, SessionState.CONFIRMED
        return session

    # -- the parts

    def _require(self, *states: SessionState) -> None:
        if self.state is SessionState.ENDED:
            raise ActionRefused("no_such_call", "the call is over")
        if self.state not in states or self.wants_end:
            raise ActionRefused("wrong_state", f"the call is {self.state.name.lower()}")

    def _remote_bye(self, request: Request, now: float) -> None:
        if self.state is SessionState.RINGING:
            self.callee.respond(487, now, contact=False)
        status, reason = reason_of(request)
        self.end("local_bye" if self.state is SessionState.ENDING else "remote_bye", status, reason, now)
