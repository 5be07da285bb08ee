"""[core] Change the sound of an established session, from either end (RFC 3261 §14, RFC 3311).

One change at a time: while one is under way, the peer's gets 491 (ours first) or 500 (its own first), and
asking for another one of ours is refused. When both ends start at once, both get 491 and try again after
different times (§14.1).
"""

import contextlib
import zlib
from typing import TYPE_CHECKING

from shared.errors import ActionRefused, SipError

from .answer import UnacknowledgedAnswer
from .context import SDP_TYPE, Context, Pairs
from .dialog import Dialog
from .events import ReinviteConfirmed, ReinviteDone, ReinviteReceived, SessionState
from .message import Request, Response
from .sdp import direction_of, later
from .timers import TIMEOUT
from .transaction import TransactionKey

if TYPE_CHECKING:
    from .session import Session

_MAX_GLARES = 4
#: Changes whose 2xx may come again; a call that changes more often within 32 s forgets the oldest.
_MOST_ACKS = 4


class Renegotiation:
    """The re-INVITEs of one session."""

    def __init__(self, context: Context, session: "Session") -> None:
        self._context, self._session = context, session
        self._request: Request | None = None  # ours, not finally answered or waiting to be sent again
        self._sdp, self._headers = "", list[tuple[str, str]]()
        self._is_queued = False  # to be sent when our answer is acknowledged
        self._is_waiting = False  # after a 491: the peer's turn comes first
        self._attempts = self._glares = 0
        self._key: TransactionKey | None = None  # of its newest attempt
        self._acks: dict[int, Request] = {}  # of our newest finished ones, by CSeq number
        self._incoming: tuple[TransactionKey, Request] | None = None  # the peer's, not answered
        self._answer: UnacknowledgedAnswer | None = None

    def acks(self) -> list[Request]:
        """Return the ACKs of our re-INVITEs whose 2xx may come again."""
        return [*self._acks.values()]

    def start(self, sdp: str, now: float, *, headers: Pairs = ()) -> None:
        """Offer ``sdp`` to the peer; :class:`ReinviteDone` tells the outcome."""
        if self._request is not None or self._incoming is not None or self._is_queued:
            raise ActionRefused("wrong_state", "another change of this call is under way; wait for it")
        self._sdp, self._headers, self._glares = sdp, [*headers, SDP_TYPE], 0
        if self._answer is None and self._session.is_confirmed:
            self._send(now)
        else:
            self._is_queued = True  # the call, or the peer's change, is not settled before its ACK is here

    def confirmed(self, now: float) -> None:
        """Take that the session's own answer was acknowledged: what was asked for before is sent now."""
        if self._is_queued:
            self._send(now)

    def accept(self, sdp: str, now: float) -> None:
        """Answer the peer's re-INVITE or UPDATE with ``sdp``."""
        key, request = self._take_incoming()
        if self._is_waiting:
            self._sdp = later(self._sdp, sdp)
        response = self._agree(key, request, now, sdp)
        if request.method == "INVITE":
            self._answer = UnacknowledgedAnswer(
                self._context, self._session.session_id, key, request, response, now
            )

    def reject(self, status: int, now: float) -> None:
        """Refuse the peer's re-INVITE, for example with 488; the session goes on as it was."""
        key, request = self._take_incoming()
        self._context.respond(key, request, status, now)

    def receive_request(self, key: TransactionKey, request: Request, now: float) -> None:
        """Take the peer's re-INVITE or UPDATE."""
        session = self._session
        if session.state is SessionState.ENDING:
            self._context.respond(key, request, 481, now)
        elif request.method == "UPDATE" and not request.body:
            self._agree(key, request, now)
        elif session.dialog is None:  # our INVITE is not answered, nor the offer in it (RFC 3311 §5.2)
            self._context.respond(key, request, 491, now)
        elif self._incoming is not None or not self._session.is_confirmed:
            self._context.respond(key, request, 500, now, headers=[("Retry-After", "2")])
        elif self._request is not None and not self._is_waiting:
            self._context.respond(key, request, 491, now)
        else:
            if request.method == "INVITE":
                self._context.respond(key, request, 100, now)
            self._incoming = (key, request)
            direction = direction_of(request.body)
            self._context.emit(ReinviteReceived(self._session.session_id, request.body, direction))

    def receive_ack(self, ack: Request, now: float) -> None:
        """Take an ACK that is not of the first answer."""
        if self._answer is not None and ack.cseq.number == self._answer.cseq:
            self._answer.acknowledged()
            self._answer = None
            self._context.emit(ReinviteConfirmed(self._session.session_id, ack.body))
            if self._is_queued and self._session.is_confirmed:
                self._send(now)

    def receive_cancel(self, cancel: Request, now: float) -> None:
        """Take a CANCEL of the peer's re-INVITE: accepting it will be refused as gone."""
        if self._incoming is not None and self._incoming[1].cseq.number == cancel.cseq.number:
            key, request = self._take_incoming()
            self._context.respond(key, request, 487, now)

    def receive_response(self, response: Response, now: float) -> None:
        """Take an answer to our re-INVITE."""
        number, is_2xx = response.cseq.number, 200 <= response.status < 300
        if is_2xx and number in self._acks:
            self._context.send_ack(self._acks[number])  # it was repeated, or came when the call was over
        elif self._request is None or number != self._request.cseq.number:
            return
        elif is_2xx:
            self._accepted(self._request, response)
        elif response.status == 491 and self._glares < _MAX_GLARES and self._session.is_confirmed:
            self._glares += 1
            self._wait(now)
        elif response.is_final and not self._try_again(self._request, response, now):
            self._failed(response.status, response.reason, now)

    def timed_out(self, status: int, reason: str, now: float) -> None:
        """Take that our re-INVITE will not be answered."""
        if self._request is not None:
            self._failed(status, reason, now, is_answered=False)

    def timer(self, name: str, now: float) -> None:
        """Take that a timer is due: of our re-INVITE, or the repetition of our answer."""
        if name == "reinvite" and not self._is_waiting:
            self._take_back(now)
        elif name == "reinvite" and (self._incoming is not None or self._answer is not None):
            self._wait(now)
        elif name == "reinvite" and self._session.is_confirmed:
            self._send(now)
        elif name == "answer" and self._answer is not None and not self._answer.timer(now):
            self._answer = None
            self._session.fail("timeout", None, "no ACK", now)

    def terminated(self, now: float) -> None:
        """Take that the session ends: what the peer still asks gets 487 (§15.1.2), and so does our user."""
        if self._request is not None and self._session.dialog is not None and not self._is_waiting:
            # A 2xx that is under way has its ACK all the same (§13.2.2.4).
            self._keep_ack(self._session.dialog, self._request)
        if self._request is not None or self._is_queued:
            self._done(487, "Call Ended")
        if self._incoming is not None:
            key, request = self._take_incoming()
            self._context.respond(key, request, 487, now)
        self._answer = None  # its ACK may still come, and is no news

    def disconnected(self) -> None:
        """Take that the connection is gone: nothing is under way any more, and the session goes on."""
        self._incoming = None
        if self._answer is not None:
            self._answer.acknowledged()
            self._answer = None
        if self._request is not None or self._is_queued:  # no transaction is there to tell it
            self._done(503, "Connection Lost", is_answered=False)

    def _send(self, now: float) -> None:
        self._attempts, self._is_waiting, self._is_queued = 1, False, False
        self._attempt(self._session.next_request("INVITE", headers=self._headers, body=self._sdp), now)

    def _attempt(self, request: Request, now: float) -> None:
        session_id = self._session.session_id
        self._request = request
        self._key = self._context.send_request(request, session_id, "reinvite", now)
        self._context.timers.set((session_id, "reinvite"), now + TIMEOUT)

    def _take_back(self, now: float) -> None:
        """Cancel what got no further than 100: nobody is to be asked, so it takes no time to answer it.

        Without an answer to that, either, the transaction times out.
        """
        cancel = self._context.transactions.cancel(self._key, now) if self._key is not None else None
        if cancel is not None:
            self._context.own(cancel, self._session.session_id, "cancel of reinvite")
        self._context.flush()

    def _wait(self, now: float) -> None:
        self._is_waiting = True
        self._context.timers.set((self._session.session_id, "reinvite"), now + self._glare_delay())

    def _accepted(self, request: Request, response: Response) -> None:
        dialog = self._session.dialog
        assert dialog is not None
        self._session.callee.settle()
        with contextlib.suppress(SipError):  # an address that cannot be read leaves the one that worked
            self._session.dialog = dialog = dialog.refreshed(response)
        self._context.send_ack(self._keep_ack(dialog, request))
        self._done(response.status, response.reason, response.body)

    def _try_again(self, request: Request, response: Response, now: float) -> bool:
        again = self._session.answer_challenge(request, response, self._attempts)
        if again is None:
            return False
        self._attempts += 1
        self._attempt(again, now)
        return True

    def _failed(self, status: int, reason: str, now: float, *, is_answered: bool = True) -> None:
        self._done(status, reason, is_answered=is_answered)
        if status in (408, 481):
            # The peer does not know the dialog any more, or does not live (§12.2.1.2).
            self._session.fail("remote_bye" if status == 481 else "timeout", status, reason, now)

    def _done(self, status: int, reason: str, sdp: str = "", *, is_answered: bool = True) -> None:
        self._request = self._key = None
        self._is_waiting = self._is_queued = False
        self._context.timers.cancel((self._session.session_id, "reinvite"))
        self._context.emit(ReinviteDone(self._session.session_id, status, reason, sdp, is_answered))

    def _keep_ack(self, dialog: Dialog, request: Request) -> Request:
        ack = dialog.ack(request, self._context.endpoint, self._context.new_id())
        self._acks[request.cseq.number] = ack
        if len(self._acks) > _MOST_ACKS:
            del self._acks[min(self._acks)]
        return ack

    def _agree(self, key: TransactionKey, request: Request, now: float, sdp: str = "") -> Response:
        """Answer the peer's change with 200: from now on it is where that change says."""
        session = self._session
        if session.dialog is not None:
            session.dialog = session.dialog.refreshed(request)
        fields = [("Contact", self._context.endpoint.contact), *([SDP_TYPE] if sdp else [])]
        return self._context.respond(key, request, 200, now, headers=fields, body=sdp)

    def _take_incoming(self) -> tuple[TransactionKey, Request]:
        if self._incoming is None:
            raise ActionRefused("wrong_state", "the far end's change of this call is answered or withdrawn")
        incoming, self._incoming = self._incoming, None
        return incoming

    def _glare_delay(self) -> float:
        # §14.1: who made the Call-Id waits 2.1 to 4 s, the other one up to 2 s. The id stands in for chance.
        chance = zlib.crc32(self._context.new_id().encode()) / 2**32
        is_caller = self._session.dialog is not None and self._session.dialog.is_caller
        return 2.1 + 1.9 * chance if is_caller else 2.0 * chance
