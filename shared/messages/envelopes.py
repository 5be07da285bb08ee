"""[core] What goes between a window or media host and the leader.

A media host connects apart from its window, because it lives on another thread: a window that blocks must not
stop its sound.
"""

from shared.errors import RefusalCode

from .actions import Action
from .base import Name, Version, Wire
from .state import MediaState, Quality, Snapshot, Value, Window


class Request(Wire, tag="request", frozen=True, kw_only=True):
    """An action, addressed to one leader.

    ``deadline`` is CLOCK_BOOTTIME seconds: a leader that reads it later must refuse, because nobody
    waits any more.
    """

    action_id: Name
    instance: Name
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
    instance: Name


class Resync(Wire, tag="resync", frozen=True, kw_only=True):
    """A window has reason to think that it missed state; answered with a :class:`Snapshot`."""

    epoch: int
    instance: Name


class HostAttach(Wire, tag="host_attach", frozen=True, kw_only=True):
    """The media host of ``instance`` is here: the peer that sends it receives its media commands.

    Repeated as its heartbeat, which counts for its window, too. It connects apart from the window, because it
    lives on another thread: a window that blocks must not stop its sound.
    """

    epoch: int
    instance: Name


class MediaDone(Wire, tag="media_done", frozen=True, kw_only=True, omit_defaults=True):
    """A media command is done; ``error`` is empty unless it failed, ``sdp`` is the description asked for."""

    epoch: int
    command_id: str
    sdp: str = ""
    error: str = ""


class MediaChanged(Wire, tag="media_changed", frozen=True, kw_only=True):
    """The connectivity of a call's sound, which ``instance`` has, changed; told to each new leader, too."""

    epoch: int
    call_id: str
    state: MediaState
    instance: Name = ""


class QualityChanged(Wire, tag="quality_changed", frozen=True, kw_only=True):
    """How well a call's sound arrives; said every few seconds, and once when it has ended."""

    epoch: int
    call_id: str
    quality: Quality


class KeysPressed(Wire, tag="keys_pressed", frozen=True, kw_only=True):
    """What the far end has pressed since the sound of this call is at this host: all of it, told again.

    ``newest`` are the last 32 of ``count`` keys, so that a leader that missed a word misses no key.
    """

    epoch: int
    call_id: str
    instance: Name
    newest: str
    count: int


ToLeader = (
    Request | Attach | Detach | Resync | HostAttach | MediaDone | MediaChanged | QualityChanged | KeysPressed
)


class Done(Wire, tag="done", frozen=True, kw_only=True, omit_defaults=True):
    """The action took effect; ``version`` is the first snapshot that shows it."""

    action_id: str
    version: Version
    call_id: str = ""
    value: Value | None = None


class Refused(Wire, tag="refused", frozen=True, kw_only=True, omit_defaults=True):
    """The action was not done, and will not be."""

    action_id: str
    code: RefusalCode
    message: str
    status: int | None = None


Reply = Done | Refused


class MakeOffer(Wire, tag="make_offer", frozen=True, kw_only=True):
    """Open the sound of a call and describe it (RFC 3264 offer).

    ``like`` is our description before, in a call that there is: payload types must keep their meaning.
    """

    epoch: int
    command_id: str
    call_id: str
    like: str = ""


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
