"""[core] A 2xx to an INVITE, sent again until the ACK comes (RFC 3261 §13.3.1.4, §14.2)."""

from .context import Context
from .message import Request, Response
from .timers import T1, T2, TIMEOUT
from .transaction import TransactionKey


class UnacknowledgedAnswer:
    """Our 2xx between its first sending and its ACK.

    It is repeated even on a WebSocket, because a later hop may lose it; see ``repeat_2xx`` of the context.
    """

    def __init__(
        self,
        context: Context,
        session_id: str,
        key: TransactionKey,
        request: Request,
        response: Response,
        now: float,
    ) -> None:
        self._context, self._session_id, self._key = context, session_id, key
        self.response, self.cseq = response, request.cseq.number
        self._interval, self._give_up_at = T1, now + TIMEOUT
        self._arm(now)

    def acknowledged(self) -> None:
        """Stop: the ACK came, or nobody waits any more."""
        self._context.timers.cancel((self._session_id, "answer"))

    def timer(self, now: float) -> bool:
        """Send it again. Return False once 32 s have passed without ACK."""
        if now >= self._give_up_at:
            return False
        self._context.transactions.respond(self._key, self.response, now)
        self._context.flush()
        self._interval = min(2 * self._interval, T2)
        self._arm(now)
        return True

    def _arm(self, now: float) -> None:
        at = min(now + self._interval, self._give_up_at) if self._context.repeat_2xx else self._give_up_at
        self._context.timers.set((self._session_id, "answer"), at)
