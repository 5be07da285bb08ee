"""[core] The schema of all that crosses a process boundary inside a group.

Add fields with a default; never rename, retype or remove one. Tags are written by hand, so that renaming
a class does not change the wire. Nothing here may ever hold a password, a key or an SDP that reaches a
snapshot: the snapshot goes to every window, to logs and to traces.

Direction of each kind:

====================  =========================  ==================================================
kind                  way                        socket
====================  =========================  ==================================================
:class:`Snapshot`     leader -> every window     XPUB -> SUB, one frame, conflated
:data:`ToLeader`      window, host -> leader     DEALER -> ROUTER
:data:`FromLeader`    leader -> window, host     ROUTER -> DEALER
====================  =========================  ==================================================
"""

from enum import StrEnum
from typing import NamedTuple, TypeVar

import msgspec

from .errors import MessageError, RefusalCode

T = TypeVar("T")

#: No frame of a group is longer. A peer that sends more is cut off by ZeroMQ (ZMQ_MAXMSGSIZE).
MAX_FRAME_BYTES = 256 * 1024


class Version(NamedTuple):
    """Order of snapshots: a later leader's first one beats any sequence of an earlier leader."""

    epoch: int
    sequence: int


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """Base of everything that is sent."""


# -- state ---------------------------------------------------------------------------------------------


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

    HUNG_UP_HERE = "hung_up_here"
    HUNG_UP_THERE = "hung_up_there"
    CANCELLED = "cancelled"
    DECLINED = "declined"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    REJECTED = "rejected"
    NO_MEDIA = "no_media"
    TIMEOUT = "timeout"
    LOST = "lost"


class MediaState(StrEnum):
    """What the instance that hosts a call's sound last said of it."""

    NONE = "none"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call as every window shows it. Times are Unix seconds."""

    call_id: str
    direction: Direction
    state: CallState
    remote_number: str
    remote_name: str = ""
    local_number: str = ""
    media_host: str = ""  # instance id of the process whose microphone and speaker the call uses
    media: MediaState = MediaState.NONE
    held: bool = False
    held_by_remote: bool = False
    muted: bool = False
    started_at: float = 0.0
    answered_at: float | None = None
    ended_at: float | None = None
    cause: Cause | None = None
    status: int = 0  # the far end's final SIP status, where one ended the call
    reason: str = ""
    session_id: str = ""  # the service's own ids (p-rc-api-ids), for its REST interface
    party_id: str = ""


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One process that joined the group."""

    instance: str
    name: str
    pid: int
    media: bool = False  # whether it can host the sound of a call


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
    """The group's registration. ``detail`` is one line for people: cause and remedy."""

    state: RegistrationState = RegistrationState.UNREGISTERED
    problem: Problem = Problem.NONE
    status: int = 0
    detail: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a recent action: travels in the snapshot, so that the next leader knows it too."""

    action_id: str
    refused: RefusalCode | None = None
    message: str = ""
    status: int | None = None
    call_id: str = ""


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

    def call(self, call_id: str) -> Call | None:
        """Return the call of this id, or None."""
        return next((call for call in self.calls if call.call_id == call_id), None)


# -- actions: what a user wants ------------------------------------------------------------------------


class Dial(Wire, tag="dial", frozen=True, kw_only=True, omit_defaults=True):
    """Call ``target``, a number or extension. Done, with the new call's id, when the INVITE was sent."""

    target: str
    caller_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Answer(Wire, tag="answer", frozen=True, kw_only=True):
    """Answer a ringing inbound call, with the sound at the window that asks."""

    call_id: str


class Decline(Wire, tag="decline", frozen=True, kw_only=True):
    """Refuse a ringing inbound call."""

    call_id: str


class Hangup(Wire, tag="hangup", frozen=True, kw_only=True):
    """End a call in whatever state it is: CANCEL, BYE or a refusal."""

    call_id: str


class Hold(Wire, tag="hold", frozen=True, kw_only=True):
    """Put an answered call on hold (re-INVITE, ``a=sendonly``)."""

    call_id: str


class Unhold(Wire, tag="unhold", frozen=True, kw_only=True):
    """Take a call off hold (re-INVITE, ``a=sendrecv``)."""

    call_id: str


class Mute(Wire, tag="mute", frozen=True, kw_only=True):
    """Send silence instead of the microphone."""

    call_id: str


class Unmute(Wire, tag="unmute", frozen=True, kw_only=True):
    """Send the microphone again."""

    call_id: str


class SendDtmf(Wire, tag="send_dtmf", frozen=True, kw_only=True):
    """Send ``tones`` (``0-9*#A-D``, at most 32) on the media stream (RFC 4733)."""

    call_id: str
    tones: str


Action = Dial | Answer | Decline | Hangup | Hold | Unhold | Mute | Unmute | SendDtmf


# -- window -> leader ----------------------------------------------------------------------------------


class Request(Wire, tag="request", frozen=True, kw_only=True):
    """An action, addressed to one leader.

    ``deadline`` is CLOCK_BOOTTIME seconds: a leader that reads it later must refuse, because nobody
    waits any more.
    """

    action_id: str
    instance: str
    epoch: int
    deadline: float
    action: Action


class Attach(Wire, tag="attach", frozen=True, kw_only=True):
    """A window is here; repeated as its heartbeat. The peer that sends it receives the window's replies."""

    epoch: int
    window: Window


class Detach(Wire, tag="detach", frozen=True, kw_only=True):
    """A window leaves politely."""

    epoch: int
    instance: str


class Resync(Wire, tag="resync", frozen=True, kw_only=True):
    """A window has reason to think that it missed state; answered with a :class:`Snapshot`."""

    epoch: int
    instance: str


class HostAttach(Wire, tag="host_attach", frozen=True, kw_only=True):
    """The media host of ``instance`` is here: the peer that sends it receives its media commands.

    It connects apart from the window, because it lives on another thread: a window that blocks must not
    stop its sound.
    """

    epoch: int
    instance: str


class MediaDone(Wire, tag="media_done", frozen=True, kw_only=True, omit_defaults=True):
    """A media command is done; ``error`` is empty unless it failed, ``sdp`` is the description asked for."""

    epoch: int
    command_id: str
    sdp: str = ""
    error: str = ""


class MediaChanged(Wire, tag="media_changed", frozen=True, kw_only=True):
    """The connectivity of a call's sound changed."""

    epoch: int
    call_id: str
    state: MediaState


ToLeader = Request | Attach | Detach | Resync | HostAttach | MediaDone | MediaChanged


# -- leader -> window ----------------------------------------------------------------------------------


class Done(Wire, tag="done", frozen=True, kw_only=True, omit_defaults=True):
    """The action took effect; ``version`` is the first snapshot that shows it."""

    action_id: str
    version: Version
    call_id: str = ""


class Refused(Wire, tag="refused", frozen=True, kw_only=True, omit_defaults=True):
    """The action was not done, and will not be."""

    action_id: str
    code: RefusalCode
    message: str
    status: int | None = None


Reply = Done | Refused


class MakeOffer(Wire, tag="make_offer", frozen=True, kw_only=True):
    """Open the sound of a new call and describe it (RFC 3264 offer)."""

    epoch: int
    command_id: str
    call_id: str


class MakeAnswer(Wire, tag="make_answer", frozen=True, kw_only=True):
    """Open the sound of a call and answer the far end's offer."""

    epoch: int
    command_id: str
    call_id: str
    sdp: str


class ApplyAnswer(Wire, tag="apply_answer", frozen=True, kw_only=True):
    """Take the far end's answer to an offer that this host made."""

    epoch: int
    command_id: str
    call_id: str
    sdp: str


class ShapeMedia(Wire, tag="shape_media", frozen=True, kw_only=True):
    """Let sound pass or not: ``muted`` stops the microphone, ``held`` stops both directions."""

    epoch: int
    command_id: str
    call_id: str
    muted: bool
    held: bool


class PlayDtmf(Wire, tag="play_dtmf", frozen=True, kw_only=True):
    """Send tones on the media stream."""

    epoch: int
    command_id: str
    call_id: str
    tones: str


class CloseMedia(Wire, tag="close_media", frozen=True, kw_only=True):
    """The call is over: free its sound."""

    epoch: int
    command_id: str
    call_id: str


MediaCommand = MakeOffer | MakeAnswer | ApplyAnswer | ShapeMedia | PlayDtmf | CloseMedia
FromLeader = (
    Done | Refused | Snapshot | MakeOffer | MakeAnswer | ApplyAnswer | ShapeMedia | PlayDtmf | CloseMedia
)

_encoder = msgspec.json.Encoder()
_snapshot_decoder: msgspec.json.Decoder[Snapshot] = msgspec.json.Decoder(Snapshot)
_to_leader_decoder: msgspec.json.Decoder[ToLeader] = msgspec.json.Decoder(ToLeader)
_from_leader_decoder: msgspec.json.Decoder[FromLeader] = msgspec.json.Decoder(FromLeader)


def encode(message: Wire) -> bytes:
    """Return the frame that carries ``message``: UTF-8 JSON with its tag in ``type``."""
    return _encoder.encode(message)


def decode_snapshot(frame: bytes) -> Snapshot:
    """Return the snapshot in ``frame``, or raise :exc:`MessageError`."""
    return _decode(_snapshot_decoder, frame)


def decode_to_leader(frame: bytes) -> ToLeader:
    """Return what a window or media host sent, or raise :exc:`MessageError`."""
    return _decode(_to_leader_decoder, frame)


def decode_from_leader(frame: bytes) -> FromLeader:
    """Return what the leader sent, or raise :exc:`MessageError`."""
    return _decode(_from_leader_decoder, frame)


def _decode(decoder: msgspec.json.Decoder[T], frame: bytes) -> T:
    # msgspec lets the last two through as they are: a frame with a torn character or 10,000 brackets.
    try:
        return decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise MessageError(f"frame of {len(frame)} bytes: {exc}") from exc
