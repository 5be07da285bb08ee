"""[core] The sessions of one connection, and whose a message is (RFC 3261 §8.2, §9.2, §12.2.2)."""

from collections.abc import Iterator

from shared.errors import ActionRefused

from .events import SessionState
from .message import Request
from .session import Session
from .transaction import TransactionKey

#: Calls that are over stay while an answer is awaited; with these there are not more than so many times the
#: calls that may be at a time, however fast somebody calls and hangs up.
_KNOWN = 16


class SessionTable:
    """Sessions by id and by Call-Id. Those that are over stay until they are forgotten."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._live_at_most = 0  # counted when it matters: some thousand may be known that are over
        self._sessions: dict[str, Session] = {}
        self._by_call_id: dict[str, list[Session]] = {}  # several: a second attempt keeps its Call-Id

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._sessions

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions.values())

    def __getitem__(self, session_id: str) -> Session:
        return self._sessions[session_id]

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, session_id: str) -> Session | None:
        """Return a session, be it over; None if it is forgotten."""
        return self._sessions.get(session_id)

    def get(self, session_id: str) -> Session:
        """Return a session that has not ended; raises :exc:`ActionRefused` if there is none."""
        session = self._sessions.get(session_id)
        if session is None or session.state is SessionState.ENDED:
            raise ActionRefused("no_such_call", "there is no such call, or it is over")
        return session

    def live(self) -> list[Session]:
        """Return all sessions that have not ended, oldest first."""
        return [session for session in self._sessions.values() if session.state is not SessionState.ENDED]

    @property
    def is_full(self) -> bool:
        """Whether there are as many as may be."""
        if self._live_at_most >= self._most:
            self._live_at_most = len(self.live())
        return self._live_at_most >= self._most or len(self._sessions) >= _KNOWN * self._most

    def add(self, session: Session) -> None:
        """Add a session, whose Call-Id is known."""
        self._sessions[session.session_id] = session
        self._live_at_most += 1
        self._by_call_id.setdefault(session.call_id, []).append(session)

    def forget(self, session_id: str) -> None:
        """Forget a session."""
        session = self._sessions.pop(session_id, None)
        call_id = session.call_id if session is not None else ""
        others = [one for one in self._by_call_id.pop(call_id, ()) if one is not session]
        if others:
            self._by_call_id[call_id] = others

    def of_dialog(self, request: Request) -> Session | None:
        """Return the session that a request inside a dialog is for."""
        local_tag, remote_tag = request.to.tag or "", request.from_.tag or ""
        for session in self._by_call_id.get(request.call_id, ()):
            if session.local_tag == local_tag and session.dialog is None:
                return session  # our call rings there, and the ringing phone sends something
            if session.local_tag == local_tag and session.dialog and session.dialog.remote_tag == remote_tag:
                return session
        return None

    def of_cancel(self, cancel: Request, invite: TransactionKey | None) -> Session | None:
        """Return the session that a CANCEL is for; ``invite`` is the transaction that it names."""
        sessions = self._by_call_id.get(cancel.call_id, ())
        exact = (one for one in sessions if one.callee.was_made_by(invite))
        # For a peer that gives its CANCEL a branch of its own, and for a CANCEL of a re-INVITE.
        similar = (one for one in sessions if one.state is not SessionState.ENDED and one.dialog is not None)
        return next(exact, None) or next(similar, None)

    def has_copy(self, invite: Request) -> bool:
        """Whether this INVITE is here already, on another way (§8.2.2.2)."""
        return any(one.callee.is_copy(invite) for one in self._by_call_id.get(invite.call_id, ()))
