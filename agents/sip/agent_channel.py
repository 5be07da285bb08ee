"""[core] RingCentral's agent messages about calls that ring here: the service's, and ours (``x-rc/agent``).

A command of ours is a MESSAGE outside of any dialog. Its 200 says that the service has it; what comes of it
is told by messages of the service's own, and by the CANCEL of the call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.config import Account
from shared.errors import ActionRefused, SipError

from . import ringcentral
from .address import NameAddr, Uri
from .dialog import Endpoint
from .events import InviteReceived
from .message import Headers, Request
from .ringcentral import AgentMessage, Command
from .sessions import Sessions
from .transaction import ResponseReceived, TimedOut, TransactionKey


@dataclass(frozen=True, slots=True)
class AgentMessageReceived:
    """RingCentral told us something: see :class:`.ringcentral.Command`. Answered already."""

    message: AgentMessage = field(repr=False)


@dataclass(frozen=True, slots=True)
class AgentCommandDone:
    """Our command about a call has its final answer; 408 if none came, 503 if the connection was lost."""

    session_id: str
    request_id: str
    status: int
    reason: str


class AgentChannel:
    """The messages of one phone."""

    def __init__(
        self, account: Account, endpoint: Endpoint, sessions: Sessions, new_id: Callable[[], str]
    ) -> None:
        self._account, self._endpoint, self._sessions, self._new_id = account, endpoint, sessions, new_id
        self._calls: dict[str, AgentMessage] = {}  # session id -> its P-rc
        self._sent: dict[TransactionKey, tuple[str, str]] = {}  # -> session id, request id

    def invited(self, event: InviteReceived, now: float) -> None:
        """Take a call: if it came with ``P-rc``, confirm that we have it; without that no command works."""
        call = ringcentral.call_message(event.request.headers)
        if call is None or not _is_address(call.sender):
            return  # the call itself is sound: only the service's extras are lost
        self._calls[event.session_id] = call
        self.send(event.session_id, Command.CLIENT_RECEIVE_CONFIRM, {}, now)

    def ended(self, session_id: str) -> None:
        """Take that a session is over."""
        self._calls.pop(session_id, None)

    def sid_of(self, session_id: str) -> str:
        """Return what the service's messages call a call; "" if it has no such name."""
        call = self._calls.get(session_id)
        return call.sid if call else ""

    def send(self, session_id: str, command: Command, body: Mapping[str, str], now: float) -> str:
        """Send a command; :class:`AgentCommandDone` with the returned id follows.

        ``body`` are the attributes behind ``Cln``. Refused for a call that came without ``P-rc``.
        """
        call_id = self._sessions.session(session_id).call_id
        call = self._calls.get(session_id)
        if call is None:
            raise ActionRefused("not_allowed", "the service does not offer this for this call")
        message = call.reply(command, {"Cln": self._account.authorization_id, **body})
        request = self._request(f"sip:{call.sender}", call_id, f"{message.encode()}\r\n")
        request_id = self._new_id()
        self._sent[self._sessions.request(request, now)] = (session_id, request_id)
        return request_id

    def settled(self, effect: ResponseReceived | TimedOut) -> AgentCommandDone | None:
        """Take an answer, or that none came; None if it is of no command of ours, or not final."""
        if isinstance(effect, TimedOut):
            sent = self._sent.pop(effect.key, None)
            outcome = (503, "Connection Lost") if effect.is_transport else (408, "Request Timeout")
        elif effect.response.is_final:
            sent = self._sent.pop(effect.key, None)
            outcome = (effect.response.status, effect.response.reason)
        else:
            return None
        return AgentCommandDone(*sent, *outcome) if sent else None

    def received(self, request: Request, now: float) -> AgentMessageReceived | None:
        """Take a MESSAGE, which was answered already; None if it is no agent message, or not for us.

        Raises:
            SipError: If it is an agent message and cannot be read.
        """
        kind = (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        if kind != ringcentral.AGENT_CONTENT_TYPE:
            return None
        message = AgentMessage.parse(request.body)
        if message.client not in (None, "", self._account.authorization_id):
            return None  # for another device of the same extension
        if message.command == Command.ALREADY_PROCESSED:
            for session_id in [one for one, call in self._calls.items() if call.sid == message.sid]:
                # Has no effect on a call that was answered here, to whom the service tells the same.
                self._sessions.answered_elsewhere(session_id, now)
        return AgentMessageReceived(message)

    def _request(self, uri: str, call_id: str, body: str) -> Request:
        fields = {
            "Via": self._endpoint.via(self._new_id()),
            "Max-Forwards": "70",
            "From": f"<sip:{self._account.username}@{self._account.domain}>;tag={self._new_id()}",
            "To": str(NameAddr(Uri.parse(uri))),
            "Call-Id": call_id,
            "CSeq": "1 MESSAGE",
            "User-Agent": self._endpoint.user_agent,
            "Content-Type": ringcentral.AGENT_CONTENT_TYPE,
        }
        return Request("MESSAGE", uri, Headers(fields.items()), body)


def _is_address(sender: str) -> bool:
    """Whether messages can be sent to whom a document names as its sender."""
    try:
        return Uri.parse(f"sip:{sender}").user is not None
    except SipError:
        return False
