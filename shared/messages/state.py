"""[core] The state of a group, as every window shows it.

Nothing here may ever hold a password, a key or an SDP: a snapshot goes to every window and to logs.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal

import msgspec

from shared.errors import RefusalCode

from .base import Name, Version, Wire


class Direction(StrEnum):
    """Who began the call."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class CallState(StrEnum):
    """Where a call is in its life. A call in a final state stays visible for some seconds."""

    INIT = "init"
    RINGING = "ringing"
    ANSWERED = "answered"
    FAILED = "failed"
    DISPOSED = "disposed"

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to the call."""
        return self in (CallState.FAILED, CallState.DISPOSED)


class Cause(StrEnum):
    """Why a call is over."""

    TRANSFERRED = "transferred"
    HUNG_UP_HERE = "hung_up_here"
    HUNG_UP_THERE = "hung_up_there"
    CANCELLED = "cancelled"
    DECLINED = "declined"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    REJECTED = "rejected"
    VOICEMAIL = "voicemail"
    FORWARDED = "forwarded"
    REPLIED = "replied"
    PARKED = "parked"
    NO_MEDIA = "no_media"
    TIMEOUT = "timeout"
    LOST = "lost"


class ReplyKind(StrEnum):
    """What the caller of a ringing call is told: a text of our own, or one of the service's sentences."""

    TEXT = "text"
    CALL_YOU_BACK = "call_you_back"
    ON_MY_WAY = "on_my_way"
    ON_OTHER_LINE = "on_other_line"
    CALL_YOU_BACK_LATER = "call_you_back_later"
    IN_A_MEETING = "in_a_meeting"
    ON_OTHER_LINE_NO_CALL = "on_other_line_no_call"


class Replied(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="replied"):
    """What the caller chose after our reply. ``none``: hung up, went to voicemail, or chose nothing.

    ``callback`` is the number to call back of an ``urgent`` one; ``number`` and ``name`` are the caller's.
    """

    answer: Literal["yes", "no", "urgent", "none"] = "none"
    callback: str = ""
    number: str = ""
    name: str = ""


class Parked(msgspec.Struct, frozen=True, kw_only=True, tag="parked"):
    """Where a call was parked: dial ``*`` and this number to talk with it."""

    location: str


class Flipped(msgspec.Struct, frozen=True, kw_only=True, tag="flipped"):
    """The number that the service calls for a flip."""

    number: str


Value = Replied | Parked | Flipped
"""What an action returns, if it returns anything."""


class MediaState(StrEnum):
    """What the instance that hosts a call's sound last said of it."""

    NONE = "none"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"


class Quality(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How well the sound of a call arrives, as its media host measured it; None: not known (yet).

    Packets are counted since the call began, ``concealed`` are frames of 20 ms that were made up. ``loss``
    and ``loss_there`` are shares, 0 to 1, of what the far end and we sent lately. ``mos`` is the E-model's
    (ITU-T G.107), 1 to 4.5.
    """

    codec: Name = ""
    sent: int = 0
    received: int = 0
    lost: int = 0
    concealed: int = 0
    loss: float | None = None
    loss_there: float | None = None
    jitter_ms: float | None = None
    round_trip_ms: float | None = None
    mos: float | None = None


class Keys(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the far end of a call has pressed: ``newest`` are the last 32 of ``count`` keys.

    ``host_count`` of them were heard on the media stream by ``host``, the instance that has the sound now.
    """

    newest: str = ""
    count: int = 0
    host: str = ""
    host_count: int = 0

    def after(self, newest: str, count: int) -> "Keys":
        """Return them with ``count`` keys more, of which ``newest`` are the last ones."""
        known = (self.newest + newest[-count:])[-MOST_KEYS:] if count > 0 else self.newest
        return msgspec.structs.replace(self, newest=known, count=self.count + max(count, 0))

    def since(self, before: int) -> str:
        """Return what was pressed after the first ``before`` keys, the last 32 at most."""
        return self.newest[-(self.count - before) :] if self.count > before else ""


#: Keys that travel with a call.
MOST_KEYS = 32


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call as every window shows it. Times are Unix seconds."""

    call_id: str
    direction: Direction
    state: CallState
    remote_number: str
    remote_name: str = ""
    local_number: str = ""
    local_name: str = ""
    media_host: str = ""  # instance id of the process whose microphone and speaker the call uses
    media: MediaState = MediaState.NONE
    quality: Quality | None = None  # changes at most every few seconds
    keys: Keys = Keys()
    transfer_of: str = ""  # the held call that this one consults about
    held: bool = False
    held_by_remote: bool = False
    muted: bool = False
    recording: bool = False  # by the service
    started_at: float = 0.0
    answered_at: float | None = None
    ended_at: float | None = None
    cause: Cause | None = None
    status: int = 0  # the far end's final SIP status, where one ended the call
    reason: str = ""
    session_id: str = ""  # the service's own ids (p-rc-api-ids), for its REST interface
    party_id: str = ""
    call_info: dict[str, str] = {}  # the service's p-rc-api-call-info


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One process that joined the group."""

    instance: Name
    name: Name
    pid: int
    media: bool = False  # whether it can host the sound of a call
    candidate: bool = True  # whether it may lead


class RegistrationState(StrEnum):
    """Where the group's one binding at the registrar is."""

    UNREGISTERED = "unregistered"
    CONNECTING = "connecting"
    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILED = "failed"


class Problem(StrEnum):
    """Why there is no registration: whose move it is."""

    NONE = "none"
    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"
    REFUSED = "refused"


class Registration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The group's registration. ``detail`` is one line for people: cause and remedy.

    ``retry_at`` is when the phone will try again by itself, in Unix seconds; 0 if it does not, or need not.
    """

    state: RegistrationState = RegistrationState.UNREGISTERED
    problem: Problem = Problem.NONE
    status: int = 0
    detail: str = ""
    retry_at: float = 0.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a recent action: travels in the snapshot, so that the next leader knows it too."""

    action_id: str
    refused: RefusalCode | None = None
    message: str = ""
    status: int | None = None
    call_id: str = ""
    value: Value | None = None


class Snapshot(Wire, tag="snapshot", frozen=True, kw_only=True, omit_defaults=True):
    """The whole state of the group at ``version``."""

    version: Version
    group: str
    leader: str  # instance id
    number: str = ""  # the extension's own user part
    registration: Registration = Registration()
    windows: tuple[Window, ...] = ()
    calls: tuple[Call, ...] = ()
    outcomes: tuple[Outcome, ...] = ()

    @property
    def is_leader_leaving(self) -> bool:
        """Whether the leader's own window has left: then its term is about to end."""
        return all(window.instance != self.leader for window in self.windows)

    def heir(self) -> str:
        """Return the instance that should lead next: of the others that may, the one that joined first."""
        return next(self._successors(), "")

    def rank(self, instance: str) -> int | None:
        """Return how many others would lead before ``instance`` if this leader died; None: it would not."""
        return next((rank for rank, other in enumerate(self._successors()) if other == instance), None)

    def _successors(self) -> Iterator[str]:
        leader = self.leader
        return (window.instance for window in self.windows if window.candidate and window.instance != leader)

    def call(self, call_id: str) -> Call | None:
        """Return the call of this id, or None."""
        return next((call for call in self.calls if call.call_id == call_id), None)
