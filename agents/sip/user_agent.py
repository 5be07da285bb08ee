"""[core] A phone: one account's registration, its calls, and RingCentral's extras around them.

The shell makes the connection, calls :meth:`UserAgent.connected`, hands in frames, and after every call
does what :meth:`UserAgent.effects` returns: :class:`Send` goes out, :class:`CloseTransport` closes, the rest
is for the phone. Nothing that a peer sends makes :meth:`UserAgent.receive` raise.

What the user asks for raises :exc:`ActionRefused` when it cannot be done, and then nothing was sent.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.config import Account
from shared.errors import AccountError, ActionRefused, SipError

from .address import Uri
from .agent_channel import AgentChannel, AgentCommandDone, AgentMessageReceived
from .authentication import Authenticator
from .context import Output
from .dialog import Endpoint
from .digest import Credentials
from .events import DialogRequestReceived, InviteReceived, SessionEnded, SessionEvent
from .message import Request, Response, make_response, parse
from .outbound import Granted
from .outgoing import custom_fields, identity, target_uri
from .plain import ALLOW, plain_answer
from .refer import refer_to
from .refusal import refuse
from .registration import (
    CloseTransport,
    KeepAlive,
    Registration,
    RegistrationChanged,
    RegistrationState,
    SendRegister,
)
from .registration import Effect as RegistrationEffect
from .ringcentral import Command
from .sessions import Sessions
from .timers import TIMEOUT
from .transaction import RequestReceived, ResponseReceived, Send, TimedOut, TransactionKey


@dataclass(frozen=True, slots=True)
class FrameDropped:
    """A frame could not be read and was passed over; ``reason`` quotes nothing of it."""

    reason: str
    size_chars: int


Effect = (
    Send
    | CloseTransport
    | KeepAlive
    | RegistrationChanged
    | AgentMessageReceived
    | AgentCommandDone
    | FrameDropped
    | SessionEvent
)


class UserAgent:
    """One phone on one account.

    Args:
        account: Who we are. Its domain is also the only realm whose challenges are answered; see
            :mod:`.authentication`.
        instance_id: Names this phone to the registrar (RFC 5626): the same one replaces its old binding.
        new_id: Makes ids: unguessable, of letters, digits and ``-``, never the same twice.
        now: Monotonic seconds, as everywhere.
        expires: Lifetime of the registration to ask for, in seconds.
    """

    def __init__(
        self,
        account: Account,
        *,
        instance_id: str,
        new_id: Callable[[], str],
        now: float,
        expires: int = 60,
        user_agent: str = "sharedline",
        jitter: Callable[[float], float] = lambda longest: longest,
    ) -> None:
        self._account, self._new_id, self._aor = account, new_id, _aor(account)
        host = f"{new_id()}.invalid"  # a browser cannot know its address either (RFC 7118 §5)
        endpoint = Endpoint(host, f"<sip:{new_id()}@{host};transport=wss>", user_agent)
        self._endpoint = endpoint
        authenticator = Authenticator(
            Credentials(account.authorization_id, account.password), realm=account.domain, new_id=new_id
        )
        self._sessions = Sessions(endpoint, new_id=new_id, authenticator=authenticator, late_goodbyes=True)
        self.owed = self._sessions.owed  # calls that are over here, and of whose end the far end may not know
        self._registration = Registration(
            self._aor,
            account.domain,
            endpoint,
            instance_id=instance_id,
            authenticator=authenticator,
            new_id=new_id,
            expires=expires,
            jitter=jitter,
        )
        self._is_connected = False
        self._is_known = False  # by the service, on this connection: it takes what we send in a call
        self._abandon_at: float | None = now + TIMEOUT  # calls that were left to us
        self._register_key: TransactionKey | None = None
        self._agent = AgentChannel(account, endpoint, self._sessions, new_id)
        self._reported: deque[Output | RegistrationEffect] = deque()
        self._effects: list[Effect] = []

    # -- the connection

    @property
    def registration_state(self) -> RegistrationState:
        """Where the binding is, as :class:`RegistrationChanged` told last."""
        return self._registration.state

    @property
    def granted(self) -> Granted:
        """What the registrar gave besides a lifetime; calls name its GRUU as our Contact (RFC 5627 §4.4)."""
        return self._registration.granted

    def connected(self, now: float) -> None:
        """Take that there is a connection: register at once."""
        self._is_connected, self._is_known, self._abandon_at = True, False, None
        self._registration.register(now)
        self._advance(now)

    def disconnected(self, now: float) -> None:
        """Take that the connection is gone.

        Calls that ring end. Answered ones go on, as their sound does: it takes another way. If there is no
        connection again within 32 s, they end too, and the far ends are told when there is one.
        """
        if not self._is_connected:
            return
        self._is_connected = self._is_known = False
        self._registration.disconnected()
        self._sessions.disconnected(now)
        self._abandon_at = now + TIMEOUT if self._sessions.live() else None
        self._advance(now)

    def unregister(self, now: float) -> None:
        """Remove the binding. The state "unregistered" follows; wait for it before closing the connection."""
        if self._is_connected:
            self._registration.unregister(now)
        self._advance(now)

    # -- calls

    def invite(
        self,
        target: str,
        sdp: str,
        *,
        caller_id: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        now: float,
    ) -> str:
        """Call a number, extension or ``sip:`` URI, and return the session's id.

        ``caller_id`` is one of the account's numbers, to be shown to the far end.
        """
        if self._registration.state != "registered":
            raise ActionRefused("not_registered", "the phone is not registered, so it cannot call")
        domain = self._account.domain
        try:
            uri = target_uri(target, domain)
            shown = [identity(caller_id, domain)] if caller_id else []
            fields = [*self._introduction(), *shown, *custom_fields(headers)]
            session_id = self._sessions.invite(
                uri, from_=f"<{self._aor}>", to=f"<{uri}>", sdp=sdp, headers=fields, now=now
            )
        except SipError as exc:
            raise ActionRefused("bad_request", f"this cannot be called: {exc.reason}") from exc
        self._advance(now)
        return session_id

    def is_taken(self, session_id: str) -> bool:
        """Whether the service has our INVITE: it has answered something."""
        return self._sessions.is_taken(session_id)

    def answer(self, session_id: str, sdp: str, now: float) -> None:
        """Answer a call that rings."""
        self._sessions.answer(session_id, sdp, now, headers=self._introduction())
        self._advance(now)

    def reject(self, session_id: str, status: int, now: float) -> None:
        """Refuse a call that rings: 486 busy here, 603 declined everywhere, 480 not now."""
        self._sessions.reject(session_id, status, now)
        self._advance(now)

    def hangup(self, session_id: str, now: float) -> None:
        """End a call in whatever state: CANCEL, BYE or 603. :class:`SessionEnded` follows when done.

        An answered call whose far end cannot be told now is hung up over the next connection; if there is
        none within 32 s, it ends with status 408, and the far end is told later.
        """
        self._sessions.hangup(session_id, now, is_reachable=self._is_known)
        self._advance(now)

    def reinvite(self, session_id: str, sdp: str, now: float) -> None:
        """Offer other sound in an answered call (hold, another media host); :class:`ReinviteDone` follows."""
        self._require_connection()
        self._sessions.reinvite(session_id, sdp, now)
        self._advance(now)

    def accept_reinvite(self, session_id: str, sdp: str, now: float) -> None:
        """Answer the far end's offer of other sound."""
        self._sessions.accept_reinvite(session_id, sdp, now)
        self._advance(now)

    def reject_reinvite(self, session_id: str, status: int, now: float) -> None:
        """Refuse the far end's offer of other sound (488); the call goes on as it was."""
        self._sessions.reject_reinvite(session_id, status, now)
        self._advance(now)

    def request_in_dialog(
        self,
        session_id: str,
        method: str,
        now: float,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: str = "",
    ) -> str:
        """Send INFO, REFER … in an answered call; :class:`DialogRequestDone` with the returned id follows."""
        self._require_connection()
        request_id = self._sessions.request_in_dialog(session_id, method, now, headers=headers, body=body)
        self._advance(now)
        return request_id

    def refer(self, session_id: str, target: str, now: float, *, replaced: str | None = None) -> str:
        """Ask the far end to call ``target``, in place of our session ``replaced`` if one is given.

        :class:`DialogRequestDone` with the returned id says whether it will; NOTIFYs say what became of it,
        and name it by its :meth:`number_of`.
        """
        dialog = self._sessions.session(replaced).dialog if replaced is not None else None
        headers = (
            ("Refer-To", refer_to(target, self._account.domain, dialog)),
            ("Referred-By", f"<{self._aor}>"),
        )
        return self.request_in_dialog(session_id, "REFER", now, headers=headers)

    def number_of(self, session_id: str, request_id: str) -> int | None:
        """Return the CSeq number of a request in a call while it waits for its answer; None for any other."""
        return self._sessions.number_of(session_id, request_id)

    def agent_command(self, session_id: str, command: Command, body: Mapping[str, str], now: float) -> str:
        """Send RingCentral a command about a call that rings here (to voicemail, forward, reply).

        ``body`` are the attributes behind ``Cln``. Refused for a call that came without ``P-rc``.
        :class:`AgentCommandDone` with the returned id follows.
        """
        self._require_connection()
        request_id = self._agent.send(session_id, command, body, now)
        self._advance(now)
        return request_id

    def agent_sid(self, session_id: str) -> str:
        """Return what the service's messages call a call that rings here; "" if they do not tell of it."""
        return self._agent.sid_of(session_id)

    def export_session(self, session_id: str) -> dict[str, Any]:
        """Return an answered call as plain data, without secrets, for another process."""
        return self._sessions.export(session_id)

    def restore_session(self, data: Mapping[str, Any]) -> str:
        """Go on with a call that another process exported; returns its session id. Raises :exc:`SipError`."""
        return self._sessions.restore(data)

    # -- inputs

    def receive(self, frame: str, now: float) -> None:
        """Take a frame from the network. What cannot be read is dropped and told: :class:`FrameDropped`."""
        if not frame.strip("\r\n"):
            return  # keep-alive (RFC 5626 §3.5.1)
        try:
            message = parse(frame)
        except SipError as exc:
            self._effects.append(FrameDropped(exc.reason, len(frame)))
            self._refuse(refuse(frame, exc))
            return
        try:
            self._sessions.receive(message, now)
            self._advance(now)
        except SipError as exc:
            self._effects.append(FrameDropped(exc.reason, len(frame)))
            self._advance(now)

    def tick(self, now: float) -> None:
        """Let time pass. Harmless to call early or twice."""
        self._registration.tick(now)
        self._sessions.tick(now)
        if self._abandon_at is not None and now >= self._abandon_at:
            self._abandon_at = None
            for session in self._sessions.live():
                session.farewell.give_up("transport", None, "no connection again in time", now)
        self._advance(now)

    def next_deadline(self) -> float | None:
        """Return when to call :meth:`tick`, or None while there is no timer."""
        deadlines = (self._registration.next_deadline(), self._sessions.next_deadline(), self._abandon_at)
        return min((at for at in deadlines if at is not None), default=None)

    def effects(self) -> list[Effect]:
        """Drain what to send and tell, in order. Call after every input."""
        effects, self._effects = self._effects, []
        return effects

    # -- the parts

    def _refuse(self, answer: Response | None) -> None:
        if answer is not None:
            self._effects.append(Send(answer.encode(), "", answer))

    def _introduction(self) -> list[tuple[str, str]]:
        """Return what tells a far end that it may send us UPDATE (§13.2.1, RFC 3311 §5.1).

        RingCentral's clients do not say it, and get UPDATE all the same.
        """
        return [ALLOW] if self._registration.is_standard else []

    def _require_connection(self) -> None:
        if not self._is_connected:
            raise ActionRefused("not_registered", "there is no connection to the phone service")

    def _advance(self, now: float) -> None:
        """Move what the parts report to each other, until nobody has anything to say.

        What is reported is kept here until its turn: one that cannot be read does not take the others along.
        """
        while True:
            self._reported += [*self._registration.effects(), *self._sessions.effects()]
            if not self._reported:
                return
            output = self._reported.popleft()
            if isinstance(output, SendRegister):
                self._register_key = self._sessions.request(output.request, now)
            elif isinstance(output, RegistrationChanged):
                self._registration_changed(output, now)
            else:
                self._take(output, now)

    def _registration_changed(self, change: RegistrationChanged, now: float) -> None:
        self._effects.append(change)
        if change.state == "registered":
            self._is_known = True
            self._sessions.use_contact(self.granted.contact(self._endpoint.contact))
            self._sessions.reachable(now)

    def _take(self, output: Output | CloseTransport | KeepAlive, now: float) -> None:
        if isinstance(output, RequestReceived):
            self._take_request(output.key, output.request, now)
        elif isinstance(output, ResponseReceived | TimedOut):
            self._take_answer(output, now)
        else:
            self._effects.append(output)
            if isinstance(output, InviteReceived):
                self._sessions.progress(output.session_id, 180, now)
                self._agent.invited(output, now)
            elif isinstance(output, DialogRequestReceived):
                self._take_request(output.key, output.request, now)
            elif isinstance(output, SessionEnded):
                self._agent.ended(output.session_id)

    def _take_answer(self, output: ResponseReceived | TimedOut, now: float) -> None:
        if output.key == self._register_key:
            if isinstance(output, TimedOut):
                self._registration.not_answered()
            else:
                self._registration.answered(output.response, now)
        elif done := self._agent.settled(output):
            self._effects.append(done)

    def _take_request(self, key: TransactionKey, request: Request, now: float) -> None:
        status, headers = plain_answer(request)
        # Inside a dialog To has its tag already, and this one is not used.
        response = make_response(request, status, to_tag=self._new_id(), headers=headers)
        self._sessions.respond(key, response, now)
        if request.method == "MESSAGE" and request.body and status == 200:
            told = self._agent.received(request, now)
            if told is not None:
                self._effects.append(told)


def _aor(account: Account) -> str:
    """Return the address of record; raise :exc:`AccountError` if it cannot be written."""
    aor = f"sip:{account.username}@{account.domain}"
    try:
        Uri.parse(aor)
    except SipError as exc:
        raise AccountError(f"username or domain of the account cannot be used: {exc.reason}") from exc
    return aor
