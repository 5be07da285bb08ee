"""[core] Transactions over a reliable transport: a request and its responses (RFC 3261 §17, RFC 6026).

A WebSocket neither loses nor reorders, so requests are sent once: timers A, E and G do not exist and D, I, J
and K are zero. B, F and H stay (32 s), and so do L and M of RFC 6026, for which a 2xx may come again.

A user of this layer

* sends requests by :meth:`Transactions.request` and gets each response, or :class:`TimedOut`;
* gets each request once and answers by :meth:`Transactions.respond`, provisionally or finally;
* makes the ACK of a 2xx itself (§13.2.2.4) and sends it by :meth:`Transactions.send_ack`; the ACK of a
  failure is made here (§17.1.1.3).
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from shared.errors import SipError

from .message import Headers, Message, Request, Response, make_response
from .timers import TIMEOUT, Timers
from .via import Via


class TransactionKey(NamedTuple):
    """What names a transaction (§17.1.3, §17.2.3)."""

    side: str  # "client" or "server"
    branch: str
    sent_by: str
    method: str


@dataclass(frozen=True, slots=True)
class Send:
    """Effect: send this frame. ``method`` is the request's, or of the request that is answered."""

    text: str = field(repr=False)  # may hold a digest
    method: str
    message: Message = field(repr=False)

    @property
    def status(self) -> int | None:
        """The status of a response; None for a request."""
        return self.message.status if isinstance(self.message, Response) else None


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A new request came: answer it by ``respond(key, …)``."""

    key: TransactionKey
    request: Request


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """An answer came. The 2xx of an INVITE may come several times, each wanting its ACK."""

    key: TransactionKey
    response: Response


@dataclass(frozen=True, slots=True)
class AckReceived:
    """The ACK of a 2xx, or a stray one; ACKs of failures end here."""

    request: Request


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No final answer came within 32 s: as good as a 408 (§8.1.3.1). Or the connection is lost."""

    key: TransactionKey
    is_transport: bool = False


Effect = Send | RequestReceived | ResponseReceived | AckReceived | TimedOut


#: With what a branch begins that is like no other (§8.1.1.7).
_COOKIE = "z9hG4bK"
#: Requests that may wait for their answer, or their ACK, at a time; more are answered 503 and forgotten.
MAX_SERVER_TRANSACTIONS = 2_048


class _State(Enum):
    CALLING = auto()  # client: nothing heard; server: nothing answered ("trying")
    PROCEEDING = auto()
    ACCEPTED = auto()  # INVITE only: 2xx passed, more copies may come (RFC 6026)
    COMPLETED = auto()  # server INVITE only: failure sent, waiting for ACK


@dataclass(slots=True)
class _Transaction:
    request: Request | None = None  # client: until it is accepted, for a CANCEL or the ACK of a failure
    state: _State = _State.CALLING
    response: Response | None = None  # server: sent last, until it is accepted
    to_tag: str | None = None  # server: of what was accepted
    remains: tuple[str, ...] = ()  # client: of the call that it began, see .remains


class Transactions:
    """All transactions of one connection, client and server side.

    A finished transaction is forgotten; late responses to it are dropped.
    """

    def __init__(self) -> None:
        self._transactions: dict[TransactionKey, _Transaction] = {}
        self._timers: Timers[TransactionKey] = Timers()
        self._effects: list[Effect] = []

    def request(self, request: Request, now: float) -> TransactionKey:
        """Send a request and wait up to 32 s for an answer; an INVITE may ring for longer.

        Raises:
            SipError: If it cannot be written; then nothing was sent.
        """
        key = _client_key(request.via, request.method)
        self._send(request)
        self._transactions[key] = _Transaction(request)
        self._timers.set(key, now + TIMEOUT)  # B or F
        return key

    def cancel(
        self, key: TransactionKey, now: float, headers: Headers | None = None
    ) -> TransactionKey | None:
        """Send a CANCEL for our INVITE (§9.1) with ``headers`` (Reason); None if there is nothing to cancel.

        Call it only after a provisional response. If no final answer follows, the INVITE times out.
        """
        invite = self._transactions.get(key)
        if invite is None or invite.request is None or invite.state is not _State.PROCEEDING:
            return None
        self._timers.set(key, now + TIMEOUT)
        return self.request(_make_cancel(invite.request, headers), now)

    def send_ack(self, request: Request) -> None:
        """Send the ACK of a 2xx: it has no transaction and no answer (§13.2.2.4)."""
        self._send(request)

    def respond(self, key: TransactionKey, response: Response, now: float) -> bool:
        """Answer a request. Return False, sending nothing, if it was answered finally or is forgotten.

        A 2xx to an INVITE may be sent again until it is acknowledged (§13.3.1.4).
        """
        transaction = self._transactions.get(key)
        if transaction is None or key.side != "server" or transaction.state is _State.COMPLETED:
            return False
        if transaction.state is _State.ACCEPTED and not 200 <= response.status < 300:
            return False
        self._send(response)
        transaction.response = response
        if not response.is_final:
            transaction.state = _State.PROCEEDING
        elif key.method != "INVITE":
            del self._transactions[key]  # J is zero
        elif response.status < 300:
            if transaction.state is not _State.ACCEPTED:
                self._timers.set(key, now + TIMEOUT)  # L
            transaction.state = _State.ACCEPTED
            transaction.response, transaction.to_tag = None, response.to.tag
        else:
            transaction.state = _State.COMPLETED
            self._timers.set(key, now + TIMEOUT)  # H
        return True

    def send_again(self, response: Response) -> None:
        """Send an answer whose connection is gone, and with it the transaction, over this one (§18.2.2)."""
        self._send(response)

    def invite_of(self, cancel: Request) -> TransactionKey | None:
        """Return the key of the INVITE that a CANCEL is for, or None (§9.2)."""
        key = _server_key(cancel, "INVITE")
        return key if key in self._transactions else None

    def to_tag(self, invite: TransactionKey) -> str | None:
        """Return the To tag of what an INVITE was answered with; None if it had none."""
        transaction = self._transactions[invite]
        return transaction.to_tag if transaction.response is None else transaction.response.to.tag

    def is_waiting(self, key: TransactionKey) -> bool:
        """Whether a request of ours awaits its final answer."""
        transaction = self._transactions.get(key)
        return transaction is not None and transaction.state in (_State.CALLING, _State.PROCEEDING)

    def is_accepted(self, key: TransactionKey) -> bool:
        """Whether an INVITE of ours had a 2xx, so that more may come."""
        transaction = self._transactions.get(key)
        return transaction is not None and transaction.state is _State.ACCEPTED

    def bequeath(self, key: TransactionKey, remains: tuple[str, ...]) -> None:
        """Keep ``remains`` of a call that is over for as long as its INVITE may have another 2xx."""
        self._transactions[key].remains = remains

    def remains(self, key: TransactionKey) -> tuple[str, ...]:
        """Return what was left here by :meth:`bequeath`."""
        transaction = self._transactions.get(key)
        return transaction.remains if transaction is not None else ()

    def receive(self, message: Message, now: float) -> None:
        """Take a message from the network.

        Raises:
            SipError: If its Via cannot be read. A request is answered 400 all the same.
        """
        if isinstance(message, Response):
            self._receive_response(message, now)
        elif message.method == "ACK":
            self._receive_ack(message)
        else:
            self._receive_request(message)

    def tick(self, now: float) -> None:
        """Let time pass. Harmless to call early or twice."""
        for key in self._timers.due(now):
            transaction = self._transactions.pop(key)
            # Ends of H, L and M are no news: some clients never acknowledge a failure, and a 2xx without ACK
            # is the session's to notice.
            if key.side == "client" and transaction.state in (_State.CALLING, _State.PROCEEDING):
                self._effects.append(TimedOut(key))

    def disconnected(self) -> None:
        """Forget all: the connection is gone, and no answer can come or be sent on it (RFC 5923 §4)."""
        transactions, self._transactions = self._transactions, {}
        self._timers = Timers()
        for key, transaction in transactions.items():
            if key.side == "client" and transaction.state in (_State.CALLING, _State.PROCEEDING):
                self._effects.append(TimedOut(key, is_transport=True))

    def next_deadline(self) -> float | None:
        """Return when to call :meth:`tick`, or None while there is no timer."""
        return self._timers.next_deadline()

    def effects(self) -> list[Effect]:
        """Drain what to send and what came, in order. Call after every input."""
        effects, self._effects = self._effects, []
        return effects

    def __len__(self) -> int:
        return len(self._transactions)

    def _send(self, message: Message) -> None:
        method = message.method if isinstance(message, Request) else message.cseq.method
        self._effects.append(Send(message.encode(), method, message))

    def _receive_response(self, response: Response, now: float) -> None:
        method = response.cseq.method
        key = _client_key(response.via, method)
        transaction = self._transactions.get(key)
        if transaction is None or len(response.headers.get_list("Via")) > 1:
            return  # of nothing that we sent, or astray: whoever is next below was to get it (§8.1.3.3)
        if response.status < 200:
            if transaction.state is _State.ACCEPTED:
                return
            if method == "INVITE" and transaction.state is _State.CALLING:
                self._timers.cancel(key)  # B guards the first answer only; how long it may ring is not ours
            transaction.state = _State.PROCEEDING
        elif method == "INVITE" and response.status < 300:
            if transaction.state is not _State.ACCEPTED:
                self._timers.set(key, now + TIMEOUT)  # M
            transaction.state, transaction.request = _State.ACCEPTED, None
        elif transaction.state is _State.ACCEPTED:
            return
        else:
            if method == "INVITE" and transaction.request is not None:
                self._send(_make_ack(transaction.request, response))
            self._timers.cancel(key)
            del self._transactions[key]  # D and K are zero
        self._effects.append(ResponseReceived(key, response))

    def _receive_request(self, request: Request) -> None:
        try:
            key = _server_key(request, request.method)
        except SipError as exc:
            self._send(make_response(request, 400, f"Bad Request: {exc.reason}"))
            raise
        transaction = self._transactions.get(key)
        if transaction is None and len(self._transactions) >= MAX_SERVER_TRANSACTIONS:
            self._send(make_response(request, 503, headers=[("Retry-After", str(round(TIMEOUT)))]))
        elif transaction is None:
            self._transactions[key] = _Transaction()
            self._effects.append(RequestReceived(key, request))
        elif transaction.response is not None:
            self._send(transaction.response)

    def _receive_ack(self, ack: Request) -> None:
        key = _server_key(ack, "INVITE")
        transaction = self._transactions.get(key)
        if transaction is not None and transaction.state is _State.COMPLETED:
            self._timers.cancel(key)
            del self._transactions[key]  # I is zero
        else:
            # Usually the ACK of a 2xx: a new branch by the RFC, the INVITE's in RingCentral's clients.
            self._effects.append(AckReceived(ack))


def _client_key(via: Via, method: str) -> TransactionKey:
    # With our address, as the transport is to look at that first (§18.1.2).
    return TransactionKey("client", via.branch, via.sent_by, method)


def _server_key(request: Request, method: str) -> TransactionKey:
    via = request.via
    branch = via.branch
    if len(branch) <= len(_COOKIE) or not branch.startswith(_COOKIE):
        # A peer older than RFC 3261, or one that forgot the rest: what the RFC before compared (§17.2.3).
        branch = f"{branch} {request.cseq.number} {request.call_id} {request.from_.tag}"
    return TransactionKey("server", branch, via.sent_by, method)


def _same_hop(invite: Request, method: str, to: str) -> Request:
    """Return a request with the INVITE's Via, Call-Id, From, Route and number (§9.1, §17.1.1.3)."""
    source = invite.headers
    headers = Headers([("Via", source.get_all("Via")[0])])
    for route in source.get_all("Route"):
        headers.add("Route", route)
    headers.add("Max-Forwards", "70")
    headers.add("From", str(source.get("From")))
    headers.add("To", to)
    headers.add("Call-Id", invite.call_id)
    headers.add("CSeq", f"{invite.cseq.number} {method}")
    return Request(method, invite.uri, headers)


def _make_ack(invite: Request, response: Response) -> Request:
    return _same_hop(invite, "ACK", str(response.headers.get("To")))


def _make_cancel(invite: Request, headers: Headers | None) -> Request:
    cancel = _same_hop(invite, "CANCEL", str(invite.headers.get("To")))
    for name, value in headers or ():
        cancel.headers.add(name, value)
    return cancel
