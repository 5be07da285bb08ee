"""[core] All sessions of one connection: what its user does with them, and what comes for them (RFC 3261 §8).

A phone has one of these, and a server one for each phone that is connected to it. It takes every frame,
answers what a user agent must answer by itself, and reports the rest:

* session events of :mod:`.events`;
* :class:`RequestReceived` for requests outside of sessions (REGISTER, MESSAGE, OPTIONS), to be answered by
  :meth:`Sessions.respond`;
* :class:`ResponseReceived` and :class:`TimedOut` for what the owner sent by :meth:`Sessions.request`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from shared.errors import ActionRefused, SipError
from shared.text import readable

from .address import NameAddr
from .authentication import Authenticator
from .context import SDP_TYPE, Context, Output, Pairs, Pending
from .dialog import Endpoint
from .events import InviteReceived, SessionState
from .message import Headers, Message, Request, Response, make_response
from .refusal import objection
from .remains import answer_late
from .ringcentral import api_ids
from .session import Session
from .session_table import SessionTable
from .transaction import AckReceived, RequestReceived, ResponseReceived, TransactionKey

#: What a phone answers with anything but 405.
METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "INFO", "NOTIFY", "MESSAGE", "OPTIONS")


class Sessions:
    """The sessions and transactions of one connection.

    Args:
        endpoint: What we call ourselves on it.
        new_id: Makes ids of tags, branches, calls and sessions: unguessable, never twice.
        authenticator: Answers challenges; None to let them fail the request.
        first_cseq: Number of our first request in each dialog. RingCentral's clients count from a small
            number and mix up both directions, so that a server must start at 100,000,000 or above.
        repeat_2xx: Whether to repeat an answer until its ACK comes; RingCentral's clients expect that not.
        late_goodbyes: Whether a BYE that a lost connection cut waits for the next one: see
            :meth:`reachable`.
        max_sessions: More calls than this at a time are answered 486.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        new_id: Callable[[], str],
        authenticator: Authenticator | None = None,
        first_cseq: int = 1,
        repeat_2xx: bool = True,
        late_goodbyes: bool = False,
        max_sessions: int = 64,
    ) -> None:
        self._context = Context(
            endpoint,
            new_id=new_id,
            authenticator=authenticator,
            first_cseq=first_cseq,
            repeat_2xx=repeat_2xx,
            late_goodbyes=late_goodbyes,
        )
        self._table = SessionTable(most=max_sessions)
        self.owed = self._context.owed  # what far ends have not been told yet; see :meth:`reachable`
        self.owed.sessions = self._table

    # -- calls

    def invite(
        self,
        target: str,
        *,
        from_: NameAddr | str,
        to: NameAddr | str,
        sdp: str,
        now: float,
        headers: Pairs = (),
        call_id: str | None = None,
    ) -> str:
        """Call ``target``, a URI, and return the session's id. ``from_`` and ``to`` carry no tag.

        Raises:
            SipError: If an argument cannot be written, for example because it contains a line break.
        """
        context = self._context
        fields = Headers([("Via", context.endpoint.via(context.new_id())), ("Max-Forwards", "70")])
        fields.add("From", f"{from_};tag={context.new_id()}")
        fields.add("To", str(to))
        fields.add("Call-Id", call_id or context.new_id())
        fields.add("CSeq", f"{context.first_cseq} INVITE")
        fields.add("Contact", context.endpoint.contact)
        fields.add("User-Agent", context.endpoint.user_agent)
        for name, value in headers:
            fields.add(name, value)
        if sdp:
            fields.add(*SDP_TYPE)
        session = Session(context, context.new_id(), "outbound")
        session.caller.call(Request("INVITE", target, fields, sdp), now)
        self._table.add(session)
        return session.session_id

    def acknowledge(self, session_id: str, sdp: str) -> None:
        """Answer the offer of a 200 to an INVITE of ours without one: with the ACK, which waits for it."""
        self.session(session_id).caller.acknowledge(sdp)

    def progress(
        self,
        session_id: str,
        status: int,
        now: float,
        *,
        sdp: str = "",
        headers: Pairs = (),
        reason: str | None = None,
    ) -> None:
        """Answer an inbound call provisionally, 101 to 199."""
        self.session(session_id).progress(status, now, sdp=sdp, headers=headers, reason=reason)

    def answer(self, session_id: str, sdp: str, now: float, *, headers: Pairs = ()) -> None:
        """Answer an inbound call with 200."""
        self.session(session_id).answer(sdp, now, headers=headers)

    def reject(
        self, session_id: str, status: int, now: float, *, reason: str | None = None, headers: Pairs = ()
    ) -> None:
        """Refuse an inbound call with a status from 300 to 699; a challenge (407) is a refusal too."""
        self.session(session_id).reject(status, now, reason=reason, headers=headers)

    def hangup(
        self,
        session_id: str,
        now: float,
        *,
        headers: Pairs = (),
        status: int = 603,
        is_reachable: bool = True,
    ) -> None:
        """End a call as its state demands: CANCEL, refusal with ``status``, or BYE.

        If no request would reach the far end now, the BYE waits for :meth:`reachable`.
        """
        session = self.session(session_id)
        session.hangup(now, headers=headers, status=status, is_reachable=is_reachable)

    def reachable(self, now: float) -> None:
        """Take that what we send is heard again: send each BYE that has waited, each 200 without an ACK."""
        for session in self.live():
            session.reachable(now)
        self._context.owed.reachable(now)

    def use_contact(self, contact: str) -> None:
        """Name ``contact`` as ours in whatever is sent from now on."""
        self._context.endpoint = replace(self._context.endpoint, contact=contact)

    def reinvite(self, session_id: str, sdp: str, now: float, *, headers: Pairs = ()) -> None:
        """Offer other sound in an established call; if our answer awaits its ACK, as soon as that is here."""
        session = self.session(session_id)
        if session.state is not SessionState.ANSWERED:
            session = self._established(session_id)
        session.renegotiation.start(sdp, now, headers=headers)

    def accept_reinvite(self, session_id: str, sdp: str, now: float) -> None:
        """Answer the peer's offer of other sound."""
        self._established(session_id).renegotiation.accept(sdp, now)

    def reject_reinvite(self, session_id: str, status: int, now: float) -> None:
        """Refuse the peer's offer of other sound; the call goes on as it was."""
        self._established(session_id).renegotiation.reject(status, now)

    def request_in_dialog(
        self, session_id: str, method: str, now: float, *, headers: Pairs = (), body: str = ""
    ) -> str:
        """Send another request in an established call; :class:`DialogRequestDone` brings its answer."""
        return self.session(session_id).request(method, now, headers=headers, body=body)

    def number_of(self, session_id: str, request_id: str) -> int | None:
        """Return the CSeq number of such a request while it waits for its answer; None for any other."""
        session = self._table.find(session_id)
        return session.number_of(request_id) if session is not None else None

    def answered_elsewhere(self, session_id: str, now: float) -> None:
        """End an inbound call that rings, because another phone has it."""
        self.session(session_id).answered_elsewhere(now)

    def export(self, session_id: str) -> dict[str, Any]:
        """Return an established call as plain data, for :meth:`restore` in another process."""
        return self.session(session_id).export()

    def restore(self, data: Mapping[str, Any]) -> str:
        """Take over a call that another process exported, and return its session's id."""
        session = Session.restore(self._context, data)
        if session.session_id in self._table:
            raise ActionRefused("wrong_state", "this call is here already")
        self._table.add(session)
        return session.session_id

    def session(self, session_id: str) -> Session:
        """Return a session that has not ended, to look at; raises :exc:`ActionRefused` if there is none."""
        return self._table.get(session_id)

    def is_taken(self, session_id: str) -> bool:
        """Whether anybody has answered our INVITE yet, provisionally or with a challenge."""
        session = self._table.find(session_id)
        if session is None or session.state is not SessionState.CALLING or session.invite is None:
            return True
        return session.invite.cseq.number > self._context.first_cseq

    def live(self) -> list[Session]:
        """Return all sessions that have not ended, oldest first."""
        return self._table.live()

    # -- requests outside of sessions

    def request(self, request: Request, now: float) -> TransactionKey:
        """Send a request of the owner's own."""
        return self._context.transactions.request(request, now)

    def respond(self, key: TransactionKey, response: Response, now: float) -> None:
        """Answer a request that was reported, once or provisionally first. Harmless if answered before."""
        self._context.transactions.respond(key, response, now)

    # -- inputs

    def receive(self, message: Message, now: float) -> None:
        """Take a message from the network.

        Raises :exc:`SipError` if a part that is needed cannot be read: it is dropped, all else goes on.
        """
        self._context.transactions.receive(message, now)
        self._pump(now)

    def tick(self, now: float) -> None:
        """Let time pass. Harmless to call early or twice."""
        self._context.transactions.tick(now)
        self._pump(now)
        for session_id, name in self._context.timers.due(now):
            if session_id in self._table:
                self._table[session_id].timer(name, now)
        self._pump(now)

    def disconnected(self, now: float) -> None:
        """Take that the connection is gone: calls that are not answered end, established ones go on."""
        self._context.transactions.disconnected()
        self._pump(now)
        for session in self.live():
            session.disconnected(now)

    def next_deadline(self) -> float | None:
        """Return when to call :meth:`tick`, or None while there is no timer."""
        deadlines = (self._context.transactions.next_deadline(), self._context.timers.next_deadline())
        return min((at for at in deadlines if at is not None), default=None)

    def effects(self) -> list[Output]:
        """Drain frames and events, in order. Call after every input."""
        self._context.flush()
        self._bury()
        outputs, self._context.outputs = self._context.outputs, []
        return outputs

    # -- the parts

    def _established(self, session_id: str) -> Session:
        session = self.session(session_id)
        if not session.is_confirmed:
            raise ActionRefused("wrong_state", f"the call is {session.state.name.lower()}")
        return session

    def _bury(self) -> None:
        """Keep of sessions that are over, and wait for no answer, no more than is needed."""
        settled, self._context.settled = self._context.settled, []
        for session_id in settled:
            session = self._table.find(session_id)
            is_over = session is not None and session.state is SessionState.ENDED
            if session is not None and is_over and not self._context.is_waiting(session_id):
                session.leave()
                self._table.forget(session_id)

    def _pump(self, now: float) -> None:
        self._context.flush()
        pending = self._context.pending
        while pending:
            self._take(pending.popleft(), now)

    def _take(self, effect: Pending, now: float) -> None:
        if isinstance(effect, RequestReceived):
            self._take_request(effect, now)
        elif isinstance(effect, AckReceived):
            self._take_ack(effect.request, now)
        else:
            self._take_answer(effect, now)

    def _take_answer(self, effect: Any, now: float) -> None:
        owner = self._context.owners.get(effect.key)
        if owner is None:
            self._take_unowned(effect, now)
            return
        session_id, role = owner
        session = self._table.find(session_id)
        is_response = isinstance(effect, ResponseReceived)
        if session is not None and is_response:
            session.receive_response(role, effect.response, now)
        elif session is not None:
            session.timed_out(role, now, is_transport=effect.is_transport)
        if not is_response or effect.response.is_final:
            self._context.answered(effect.key)

    def _take_unowned(self, effect: Any, now: float) -> None:
        if effect.key.method != "INVITE":
            if not self._context.owed.settled(effect, now):
                self._context.emit(effect)
        elif isinstance(effect, ResponseReceived) and 200 <= effect.response.status < 300:
            remains = self._context.transactions.remains(effect.key)
            answer_late(self._context, remains, effect.response, now)

    def _take_ack(self, ack: Request, now: float) -> None:
        session = self._table.of_dialog(ack)
        if session is not None:
            session.receive_ack(ack, now)

    def _take_request(self, effect: RequestReceived, now: float) -> None:
        key, request = effect.key, effect.request
        try:
            self._route(effect, now)
        except SipError as exc:
            # It has a Via and the rest of what an answer copies, so its sender may as well be told (§8.2).
            self._context.transactions.respond(key, _bad_request(request), now)
            self._context.flush()
            raise SipError(f"{request.method}: {exc.reason}") from exc

    def _route(self, effect: RequestReceived, now: float) -> None:
        key, request = effect.key, effect.request
        if request.method == "CANCEL":
            self._take_cancel(key, request, now)
        elif refused := objection(request):
            status, headers = refused
            self._context.respond(key, request, status, now, to_tag=self._context.new_id(), headers=headers)
        elif request.to.tag is not None:
            self._take_in_dialog(key, request, now)
        elif request.method == "INVITE":
            self._take_invite(key, request, now)
        else:
            self._context.emit(effect)

    def _take_in_dialog(self, key: TransactionKey, request: Request, now: float) -> None:
        session = self._table.of_dialog(request)
        if session is None or session.state is SessionState.ENDED:
            self._context.respond(key, request, 481, now)
        else:
            session.receive_request(key, request, now)

    def _take_cancel(self, key: TransactionKey, request: Request, now: float) -> None:
        invite = self._context.transactions.invite_of(request)
        session = self._table.of_cancel(request, invite)
        if session is not None:
            self._context.respond(key, request, 200, now, to_tag=session.local_tag)
            session.receive_cancel(request, now)
        elif invite is not None:  # it is answered: too late to take it back
            to_tag = self._context.transactions.to_tag(invite)
            self._context.respond(key, request, 200, now, to_tag=to_tag)
        else:
            self._context.respond(key, request, 481, now, to_tag=self._context.new_id())

    def _take_invite(self, key: TransactionKey, request: Request, now: float) -> None:
        context = self._context
        if self._table.has_copy(request):
            context.respond(key, request, 482, now, to_tag=context.new_id())
            return
        if self._table.is_full:
            context.respond(key, request, 486, now, to_tag=context.new_id())
            return
        caller, callee = request.from_, request.to
        session = Session(context, context.new_id(), "inbound")
        session.callee.ring(request, key, now)
        self._table.add(session)
        party, session_ref = api_ids(request.headers)
        context.emit(
            InviteReceived(
                session_id=session.session_id,
                remote_number=readable(caller.uri.number),
                remote_name=readable(caller.display),
                local_number=readable(callee.uri.number),
                sdp=request.body,
                party_id=party,
                session_ref=session_ref,
                request=request,
            )
        )


def _bad_request(request: Request) -> Response:
    # No To tag: reading To may be what went wrong.
    return make_response(request, 400)
