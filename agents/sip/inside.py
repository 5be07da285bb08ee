"""[core] Our other requests inside a dialog: INFO, REFER, UPDATE (RFC 3261 §12.2.1, RFC 6086, RFC 3515)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .context import Context
from .events import DialogRequestDone
from .message import Request, Response

if TYPE_CHECKING:
    from .session import Session


class InsideRequests:
    """The requests of one session that wait for their final answer, by id."""

    def __init__(self, context: Context, session: "Session") -> None:
        self._context, self._session = context, session
        self._pending: dict[str, tuple[Request, int]] = {}  # id -> (request, attempt)

    def start(self, method: str, now: float, *, headers: Iterable[tuple[str, str]], body: str) -> str:
        """Send a request and return its id."""
        request_id = self._context.new_id()
        self._send(request_id, self._session.next_request(method, headers=headers, body=body), 1, now)
        return request_id

    def number_of(self, request_id: str) -> int | None:
        """Return the CSeq number of the newest attempt of a request; None if it waits for no answer."""
        pending = self._pending.get(request_id)
        return pending[0].cseq.number if pending is not None else None

    def receive_response(self, request_id: str, response: Response, now: float) -> None:
        """Take an answer."""
        if not response.is_final or request_id not in self._pending:
            return
        request, attempt = self._pending.pop(request_id)
        again = self._session.answer_challenge(request, response, attempt)
        if again is not None:
            self._send(request_id, again, attempt + 1, now)
            return
        self._tell(request_id, response.status, response.reason, response)
        if response.status == 481:
            # The peer does not know the dialog any more (§12.2.1.2).
            self._session.fail("remote_bye", response.status, response.reason, now)

    def timed_out(self, request_id: str, status: int, reason: str) -> None:
        """Take that no answer will come."""
        if self._pending.pop(request_id, None) is not None:
            self._tell(request_id, status, reason, None)

    def terminated(self) -> None:
        """Take that the session ends: no answer counts any more."""
        for request_id in self._pending:
            self._tell(request_id, 487, "Call Ended", None)
        self._pending.clear()

    def _send(self, request_id: str, request: Request, attempt: int, now: float) -> None:
        self._pending[request_id] = (request, attempt)
        self._context.send_request(request, self._session.session_id, f"request {request_id}", now)

    def _tell(self, request_id: str, status: int, reason: str, response: Response | None) -> None:
        self._context.emit(DialogRequestDone(self._session.session_id, request_id, status, reason, response))
