"""[core] Our INVITE of a session: challenged, taken back, answered by one phone or several (§13.2)."""

from typing import TYPE_CHECKING

from shared.errors import ActionRefused, SipError

from .acknowledgement import Acknowledgement, established
from .context import Context, Pairs
from .events import EndCause, SessionAnswered, SessionProgress, SessionState
from .message import Headers, Request, Response
from .remains import hang_up_stray
from .ringcentral import api_ids
from .transaction import TransactionKey

if TYPE_CHECKING:
    from .session import Session


class Caller:
    """The caller's side of one session, until the call is up."""

    def __init__(self, context: Context, session: "Session") -> None:
        self._context, self._session = context, session
        self._key: TransactionKey | None = None
        self._attempts = 1
        self._ack: Acknowledgement | None = None
        self._stray: Request | None = None  # the ACK of one answer too many, or too late

    @property
    def ack(self) -> Request | None:
        """The ACK of an answer, if there was one."""
        return self._ack.request if self._ack is not None else self._stray

    def call(self, invite: Request, now: float) -> None:
        """Send the INVITE."""
        session = self._session
        session.invite, session.local_tag = invite, invite.from_.tag or ""
        self._key = self._context.send_request(invite, session.session_id, "invite", now)

    def cancel(self, now: float, headers: Pairs = ()) -> None:
        """Take the INVITE back; something was answered to it."""
        assert self._key is not None
        key = self._context.transactions.cancel(self._key, now, Headers(headers))
        if key is not None:
            self._context.own(key, self._session.session_id, "cancel")
        self._context.flush()

    def acknowledge(self, sdp: str) -> None:
        """Answer the offer that the callee made in its 200, because our INVITE had none."""
        if self._ack is None or not self._ack.answer(sdp):
            raise ActionRefused("wrong_state", "the far end has made no offer that waits for an answer")

    def settle(self) -> None:
        """Send the ACK that still waits for our answer: the call is over before there is one."""
        if self._ack is not None:
            self._ack.answer()

    def answered(self, response: Response, now: float) -> None:
        """Take an answer to the INVITE."""
        session = self._session
        if response.status < 200:
            self._progressed(response, now)
        elif response.status < 300:
            self._accepted(response, now)
        elif session.state is not SessionState.ENDED and not self._try_again(response, now):
            cause: EndCause = "local_cancel" if session.wants_end else "rejected"
            session.end(cause, response.status, response.reason, now)

    def cancel_answered(self, response: Response, now: float) -> None:
        """Take the answer to our CANCEL. A 2xx to the INVITE that crossed it is hung up when it comes."""
        if response.is_final and response.status < 300:
            self._session.end("local_cancel", None, "", now)

    def _progressed(self, response: Response, now: float) -> None:
        session = self._session
        if session.state is SessionState.CALLING:
            session.state = SessionState.PROCEEDING
            if session.wants_end:
                self.cancel(now, session.last_words)
        if response.status > 100 and not session.wants_end and session.state is SessionState.PROCEEDING:
            ids = api_ids(response.headers)
            status, reason = response.status, response.reason
            self._context.emit(SessionProgress(session.session_id, status, reason, response.body, *ids))

    def _accepted(self, response: Response, now: float) -> None:
        session = self._session
        assert session.invite is not None
        try:
            dialog, ack = established(self._context, session.invite, response)
        except SipError as exc:
            # It can be neither acknowledged nor used; the peer will give up for want of our ACK.
            session.end("rejected", response.status, f"the answer cannot be read: {exc.reason}", now)
            return
        if session.dialog is not None and session.dialog.remote_tag == dialog.remote_tag:
            # The 2xx was repeated: our ACK may be lost further on.
            if self._ack is not None:
                self._ack.repeat()
        elif self._stray is not None and self._stray.to.tag == dialog.remote_tag:
            self._context.send_ack(self._stray)  # it is hung up already
        elif session.dialog is not None or session.state is SessionState.ENDED:
            self._stray = ack
            hang_up_stray(self._context, dialog, ack, now)
        else:
            session.dialog, session.state = dialog, SessionState.CONFIRMED
            self._ack = Acknowledgement(self._context, ack, waits=not session.invite.body)
            if session.wants_end:
                session.farewell.say(now, session.last_words)
            else:
                self._context.emit(SessionAnswered(session.session_id, response.body, response))

    def _try_again(self, response: Response, now: float) -> bool:
        session = self._session
        if session.wants_end or session.invite is None:
            return False
        again = self._context.answer_challenge(session.invite, response, self._attempts)
        if again is None:
            return False
        self._attempts += 1
        session.state = SessionState.CALLING
        self.call(again, now)
        return True
