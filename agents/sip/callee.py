"""[core] The peer's INVITE of a session: it rings, is answered, refused, or taken back (RFC 3261 §13.3)."""

from typing import TYPE_CHECKING

from shared.errors import SipError

from .answer import UnacknowledgedAnswer
from .context import SDP_TYPE, Context, Pairs
from .dialog import Dialog
from .events import EndCause, SessionConfirmed, SessionState
from .grammar import parse_number
from .message import Request, Response
from .reason import reason_of
from .transaction import TransactionKey

if TYPE_CHECKING:
    from .session import Session

#: A proxy cancels a call of which it has not heard for three minutes; so it hears each minute (§13.3.1.1).
RING_AGAIN = 60.0
_LONGEST_INVITATION = 86_400


class Callee:
    """The callee's side of one session, until our answer is acknowledged."""

    def __init__(self, context: Context, session: "Session") -> None:
        self._context, self._session = context, session
        self._key: TransactionKey | None = None
        self._progress: Response | None = None
        self._answer: UnacknowledgedAnswer | None = None
        self._unheard: Response | None = None  # an answer that a lost connection may have cut, or its ACK

    def was_made_by(self, key: TransactionKey | None) -> bool:
        """Whether the INVITE of this transaction made the session."""
        return key is not None and key == self._key

    def is_copy(self, invite: Request) -> bool:
        """Whether ``invite`` is the one that made the session, come on another way (§8.2.2.2)."""
        mine = self._session.invite
        if mine is None or self._key is None or self._session.state is SessionState.ENDED:
            return False
        return (mine.call_id, mine.cseq, mine.from_.tag) == (invite.call_id, invite.cseq, invite.from_.tag)

    def ring(self, invite: Request, key: TransactionKey, now: float) -> None:
        """Take an INVITE. Answers 100."""
        session, tag = self._session, self._context.new_id()
        session.dialog = Dialog.from_request(invite, local_tag=tag, first_cseq=self._context.first_cseq)
        session.local_tag, session.invite, self._key = tag, invite, key
        self._context.respond(key, invite, 100, now)
        if (expires := _lifetime(invite)) is not None:
            self._context.timers.set((session.session_id, "invitation"), now + expires)

    def progress(self, status: int, now: float, *, reason: str | None, headers: Pairs, sdp: str) -> None:
        """Send a provisional answer, 101 to 199."""
        self._progress = self.respond(status, now, reason=reason, headers=headers, sdp=sdp)
        self._ring_again_later(now)

    def answer(self, sdp: str, now: float, headers: Pairs) -> None:
        """Answer the call with 200."""
        session = self._session
        response = self.respond(200, now, headers=headers, sdp=sdp)
        assert session.invite is not None
        assert self._key is not None
        session.state = SessionState.ANSWERED
        self._stop_ringing()
        self._answer = UnacknowledgedAnswer(
            self._context, session.session_id, self._key, session.invite, response, now
        )

    def give_up(self, cause: EndCause, status: int | None, reason: str, now: float) -> None:
        """End the ringing because the call is not for us any more: with 487."""
        self.respond(487, now, contact=False)
        self._session.end(cause, status, reason, now)

    def cancelled(self, cancel: Request, now: float) -> None:
        """Take a CANCEL, which was answered already."""
        status, reason = reason_of(cancel)
        self.give_up("answered_elsewhere" if status == 200 else "remote_cancel", status, reason, now)

    def acknowledged(self, ack: Request, now: float) -> bool:
        """Take an ACK; return whether it is the one of our answer."""
        session, unheard = self._session, self.unacknowledged
        if unheard is None or ack.cseq.number != unheard.cseq.number:
            return False
        self.cut_off()
        self.settle()
        if session.state is SessionState.CONFIRMED:
            self._context.emit(SessionConfirmed(session.session_id, ack.body))
        elif session.state is SessionState.ANSWERED:
            session.state = SessionState.CONFIRMED
            if session.wants_end:
                session.farewell.say(now, session.last_words)
            else:
                self._context.emit(SessionConfirmed(session.session_id, ack.body))
                session.renegotiation.confirmed(now)
        return True

    def cut_off(self) -> None:
        """Send the answer no more: its ACK came, or the connection is gone."""
        if self._answer is not None:
            self._answer.acknowledged()
            self._unheard, self._answer = self._answer.response, None

    def inherit(self, answer: Response) -> None:
        """Take that another process gave ``answer``, and saw no ACK of it."""
        self._unheard = answer

    def settle(self) -> None:
        """Take that the far end has the answer."""
        self._unheard = None

    def say_again(self) -> None:
        """Give the answer once more, over another connection; whoever has heard it only repeats the ACK."""
        if self._unheard is not None:
            self._context.transactions.send_again(self._unheard)
            self._context.flush()

    def timer(self, name: str, now: float) -> None:
        """Take that a timer is due: of the ringing, or of the answer that has no ACK."""
        session = self._session
        is_ringing = session.state is SessionState.RINGING
        if name == "answer" and self._answer is not None and not self._answer.timer(now):
            self._answer, session.state = None, SessionState.CONFIRMED
            session.fail("timeout", None, "no ACK", now)
        elif name == "invitation" and is_ringing:
            self.give_up("remote_cancel", None, "the invitation has expired", now)
        elif name == "ringing" and is_ringing and self._progress is not None and self._key is not None:
            self._context.transactions.respond(self._key, self._progress, now)
            self._context.flush()
            self._ring_again_later(now)

    @property
    def is_unacknowledged(self) -> bool:
        """Whether our answer waits for its ACK, on this connection."""
        return self._answer is not None

    @property
    def unacknowledged(self) -> Response | None:
        """The answer that has no ACK yet, be it on this connection or on one before."""
        return self._answer.response if self._answer is not None else self._unheard

    def respond(
        self,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: Pairs = (),
        sdp: str = "",
        contact: bool = True,
    ) -> Response:
        """Answer the INVITE."""
        session = self._session
        assert session.invite is not None
        assert self._key is not None
        fields = [("Contact", self._context.endpoint.contact), *headers] if contact else [*headers]
        if sdp:
            fields.append(SDP_TYPE)
        tag = session.local_tag
        return self._context.respond(
            self._key, session.invite, status, now, reason=reason, to_tag=tag, headers=fields, body=sdp
        )

    def _ring_again_later(self, now: float) -> None:
        if self._context.repeat_2xx:
            self._context.timers.set((self._session.session_id, "ringing"), now + RING_AGAIN)

    def _stop_ringing(self) -> None:
        for name in ("ringing", "invitation"):
            self._context.timers.cancel((self._session.session_id, name))


def _lifetime(invite: Request) -> int | None:
    """Return how long the caller wants it to ring, in seconds; None if it does not say (§20.19)."""
    try:
        return parse_number(invite.headers.get("Expires") or "", "Expires", below=_LONGEST_INVITATION)
    except SipError:
        return None
