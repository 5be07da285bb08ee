"""[core] The BYE of a session: now, or when the far end can be reached again (RFC 3261 §15).

A far end that is not told goes on speaking into a call that is over. So a BYE that a lost connection may have
cut is said once more over the next one: whoever had heard it answers 481, and that does no harm.
"""

from typing import TYPE_CHECKING

from .context import Context, Pairs
from .events import EndCause, SessionState
from .message import Request, Response
from .timers import TIMEOUT

if TYPE_CHECKING:
    from .session import Session


class Farewell:
    """How one session is hung up by us."""

    def __init__(self, context: Context, session: "Session") -> None:
        self._context, self._session = context, session
        self._request: Request | None = None
        self._attempts = 1
        self._headers: list[tuple[str, str]] = []
        self.is_waiting = False  # for a connection
        self._is_unheard = False  # sent, and not answered yet

    @property
    def is_owed(self) -> bool:
        """Whether we have hung up, and nobody can say that the far end knows."""
        waits_for_ack = self._session.wants_end and self._session.state is SessionState.ANSWERED
        return self.is_waiting or self._is_unheard or waits_for_ack

    def say(self, now: float, headers: Pairs = ()) -> None:
        """Send the BYE."""
        self._session.caller.settle()
        self.is_waiting, self._attempts, self._headers = False, 1, [*headers]
        self._session.state = SessionState.ENDING
        self._context.timers.cancel((self._session.session_id, "farewell"))
        self._send(self._session.next_request("BYE", headers=self._headers), now)

    def say_later(self, now: float, headers: Pairs = ()) -> None:
        """Keep the BYE for the next connection. If there is none within 32 s, the session ends without."""
        self.is_waiting, self._is_unheard, self._headers = True, False, [*headers]
        self._session.state = SessionState.ENDING
        self._context.timers.set((self._session.session_id, "farewell"), now + TIMEOUT)

    def reachable(self, now: float) -> None:
        """Take that there is a connection again."""
        if self.is_waiting:
            self.say(now, self._headers)

    def answered(self, response: Response, now: float) -> None:
        """Take the answer to the BYE. Whatever it is, the session is over (§15.1.1)."""
        session = self._session
        if not response.is_final or self._request is None:
            return
        again = session.answer_challenge(self._request, response, self._attempts)
        if again is not None:
            self._attempts += 1
            self._send(again, now)
        else:
            self._is_unheard = False
            session.end("local_bye", response.status, response.reason, now)

    def timed_out(self, status: int, reason: str, now: float, *, is_transport: bool) -> None:
        """Take that no answer will come."""
        session, self._is_unheard = self._session, False
        if is_transport and self._context.late_goodbyes and session.state is not SessionState.ENDED:
            self.say_later(now, self._headers)
        elif is_transport and self._context.late_goodbyes and session.dialog is not None:
            self._context.owed.say_later(session.dialog, now)
        else:
            session.end("local_bye", status, reason, now)

    def timer(self, now: float) -> None:
        """Take that there was no connection in time."""
        if self.is_waiting:
            self.give_up("local_bye", 408, "no connection to tell the far end", now)

    def give_up(self, cause: EndCause, status: int | None, reason: str, now: float) -> None:
        """End the session without a BYE: the far end is told by :mod:`.owed`, if it ever can be."""
        self.is_waiting = False
        if self._context.late_goodbyes and self._session.dialog is not None:
            self._context.owed.say_later(self._session.dialog, now)
        self._session.end(cause, status, reason, now)

    def _send(self, request: Request, now: float) -> None:
        self._request, self._is_unheard = request, True
        self._context.send_request(request, self._session.session_id, "bye", now)
