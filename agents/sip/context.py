"""[core] What the sessions of one connection share: transactions, timers, identity, the way out."""

from collections import deque
from collections.abc import Callable, Iterable

from .authentication import MAX_ATTEMPTS, Authenticator
from .dialog import Endpoint
from .events import SessionEvent
from .message import Request, Response, make_response
from .owed import Owed
from .timers import Timers
from .transaction import (
    AckReceived,
    RequestReceived,
    ResponseReceived,
    Send,
    TimedOut,
    TransactionKey,
    Transactions,
)

#: Requests of one session whose answers are still listened to: a call of many hours may send thousands.
_MAX_KEYS = 32

Pairs = Iterable[tuple[str, str]]
"""Header fields: names and values."""

SDP_TYPE = ("Content-Type", "application/sdp")
Output = Send | SessionEvent | RequestReceived | ResponseReceived | TimedOut
Pending = RequestReceived | ResponseReceived | AckReceived | TimedOut


class Context:
    """Shared by the sessions of one connection, and owned by :class:`.sessions.Sessions`.

    ``first_cseq`` numbers the first request of each dialog; ``repeat_2xx`` says whether an answer is sent
    again until its ACK comes, and a provisional one each minute, as RFC 3261 §13.3.1 asks. RingCentral's
    service does neither. ``late_goodbyes``: a BYE that has no connection waits for the next one,
    also when the call is given up meanwhile.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        new_id: Callable[[], str],
        authenticator: Authenticator | None,
        first_cseq: int,
        repeat_2xx: bool,
        late_goodbyes: bool,
    ) -> None:
        self.endpoint, self.new_id, self.authenticator = endpoint, new_id, authenticator
        self.first_cseq, self.repeat_2xx, self.late_goodbyes = first_cseq, repeat_2xx, late_goodbyes
        self.transactions = Transactions()
        self.timers: Timers[tuple[str, str]] = Timers()  # (session id, timer's name)
        self.owners: dict[TransactionKey, tuple[str, str]] = {}  # (session id, role)
        self._keys: dict[str, list[TransactionKey]] = {}  # the other way round
        self.settled: list[str] = []  # sessions that ended, or had an answer
        self.owed = Owed(self)
        self.outputs: list[Output] = []
        self.pending: deque[Pending] = deque()

    def emit(self, event: Output) -> None:
        """Report ``event`` after all that was sent before it."""
        self.outputs.append(event)

    def send_request(self, request: Request, session_id: str, role: str, now: float) -> TransactionKey:
        """Send a request whose answers are the session's, marked with ``role``."""
        key = self.transactions.request(request, now)
        self.own(key, session_id, role)
        self.flush()
        return key

    def own(self, key: TransactionKey, session_id: str, role: str) -> None:
        """Give the answers to a request to a session."""
        self.owners[key] = (session_id, role)
        keys = self._keys.setdefault(session_id, [])
        keys.append(key)
        if len(keys) > _MAX_KEYS:
            self.owners.pop(keys.pop(0), None)

    def answered(self, key: TransactionKey) -> None:
        """Take that a session has its final answer to a request; 2xx to an INVITE may come again."""
        if key not in self.owners:
            return
        session_id, _role = self.owners[key]
        self.settled.append(session_id)
        if not self.transactions.is_accepted(key):
            del self.owners[key]
            self._keys[session_id].remove(key)

    def is_waiting(self, session_id: str) -> bool:
        """Whether a request of a session awaits its final answer."""
        return any(self.transactions.is_waiting(key) for key in self._keys.get(session_id, ()))

    def accepted(self, session_id: str) -> list[TransactionKey]:
        """Return the INVITEs of a session that had a 2xx within the last 32 s."""
        return [key for key in self._keys.get(session_id, ()) if self.transactions.is_accepted(key)]

    def disown(self, session_id: str) -> None:
        """Forget the requests of a session."""
        for key in self._keys.pop(session_id, ()):
            self.owners.pop(key, None)

    def send_ack(self, request: Request) -> None:
        """Send the ACK of a 2xx."""
        self.transactions.send_ack(request)
        self.flush()

    def respond(
        self,
        key: TransactionKey,
        request: Request,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        to_tag: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: str = "",
    ) -> Response:
        """Answer ``request`` and return the answer. Nothing is sent if it was answered before."""
        response = make_response(request, status, reason, to_tag=to_tag, headers=headers, body=body)
        self.transactions.respond(key, response, now)
        self.flush()
        return response

    def answer_challenge(self, request: Request, response: Response, attempt: int) -> Request | None:
        """Return the request to send instead, or None if ``response`` is no challenge that we can answer."""
        if self.authenticator is None or attempt >= MAX_ATTEMPTS:
            return None
        return self.authenticator.retry(request, response)

    def flush(self) -> None:
        """Move frames to the outputs, in order; what else the transactions report goes to ``pending``."""
        for effect in self.transactions.effects():
            if isinstance(effect, Send):
                self.outputs.append(effect)
            else:
                self.pending.append(effect)
