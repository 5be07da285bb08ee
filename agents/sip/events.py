"""[core] What the session layer and a user agent report, besides frames to send.

Every event names its session by the id that ``invite()`` returned or :class:`InviteReceived` brought.
Bodies and messages are left out of the repr: they hold keys of the sound.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal

from .message import Request, Response
from .sdp import Direction
from .transaction import TransactionKey


class SessionState(Enum):
    """Where a session is; the ways between are drawn in :mod:`.session`."""

    CALLING = auto()
    PROCEEDING = auto()
    RINGING = auto()
    ANSWERED = auto()
    CONFIRMED = auto()
    ENDING = auto()
    ENDED = auto()


EndCause = Literal[
    "remote_bye",
    "local_bye",
    "remote_cancel",
    "local_cancel",
    "rejected",
    "local_reject",
    "answered_elsewhere",
    "timeout",
    "transport",
]


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """Somebody calls. ``sdp`` is "" if the caller wants our offer in the 2xx and answers in its ACK.

    Numbers are the user parts of From and To. ``party_id`` and ``session_ref`` are RingCentral's names of
    the call (``p-rc-api-ids``). ``request`` has everything else.
    """

    session_id: str
    remote_number: str
    remote_name: str
    local_number: str
    sdp: str = field(repr=False)
    party_id: str | None
    session_ref: str | None
    request: Request = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionProgress:
    """Our call gets on: 180 rings, 183 may bring early sound. Never 100."""

    session_id: str
    status: int
    reason: str
    sdp: str = field(repr=False)
    party_id: str | None
    session_ref: str | None


@dataclass(frozen=True, slots=True)
class SessionAnswered:
    """Our call was answered; the ACK is sent. Give ``sdp`` to the sound."""

    session_id: str
    sdp: str = field(repr=False)
    response: Response = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionConfirmed:
    """The caller acknowledged our answer. ``sdp`` is "" unless our answer was an offer."""

    session_id: str
    sdp: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReinviteReceived:
    """The peer wants to change the sound: call ``accept_reinvite`` or ``reject_reinvite``.

    ``direction`` is as the peer sees it; ``sdp`` is "" if the peer wants our offer.
    """

    session_id: str
    sdp: str = field(repr=False)
    direction: Direction


@dataclass(frozen=True, slots=True)
class ReinviteConfirmed:
    """The peer acknowledged our answer to its re-INVITE. ``sdp`` is "" unless our answer was an offer."""

    session_id: str
    sdp: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReinviteDone:
    """Our re-INVITE has its final answer; ``status`` is 408 if none came, 503 if the connection was lost.

    In both of these cases ``is_answered`` is False: nobody can know whether the peer has changed anything.
    After a failure the session goes on as it was, unless a :class:`SessionEnded` follows.
    """

    session_id: str
    status: int
    reason: str
    sdp: str = field(repr=False)
    is_answered: bool = True


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session is over. Comes exactly once a session, and last.

    ``status`` is the answer or the CANCEL's or BYE's ``Reason`` that ended it, if there was one.
    """

    session_id: str
    cause: EndCause
    status: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class DialogRequestReceived:
    """A request inside the session that the session does not answer itself (INFO, NOTIFY, REFER, MESSAGE)."""

    session_id: str
    key: TransactionKey
    request: Request = field(repr=False)


@dataclass(frozen=True, slots=True)
class DialogRequestDone:
    """Our request inside the session has its final answer; ``response`` is None if none came."""

    session_id: str
    request_id: str
    status: int
    reason: str
    response: Response | None = field(repr=False)


SessionEvent = (
    InviteReceived
    | SessionProgress
    | SessionAnswered
    | SessionConfirmed
    | ReinviteReceived
    | ReinviteConfirmed
    | ReinviteDone
    | SessionEnded
    | DialogRequestReceived
    | DialogRequestDone
)
