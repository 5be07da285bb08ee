"""What the control API answers: plain data, the same for the server and for :mod:`.client`."""

from typing import Annotated, Literal

import msgspec

RobotState = Literal["calling", "ringing", "answered", "ended"]
"""``calling``: nothing heard yet; ``ringing``: one of the ends rings; then ``answered``, then ``ended``."""


class BindingView(msgspec.Struct, frozen=True, kw_only=True):
    """One registered instance. ``expires_in`` is seconds from now."""

    extension: str
    instance_id: str
    contact: str
    flow: str
    via_host: str
    expires_in: float
    reachable: bool


class LegView(msgspec.Struct, frozen=True, kw_only=True):
    """One end of a call. ``owner`` is an instance id or a robot's id; ``adrift``: its connection is gone."""

    leg: str
    kind: Literal["phone", "robot", "service"]
    number: str
    owner: str
    state: str
    call_id: str | None = None
    held: bool = False
    adrift: bool = False


class CallView(msgspec.Struct, frozen=True, kw_only=True):
    """One call through the service: the caller's leg first, then those of the callee."""

    call: str
    state: Literal["ringing", "answered"]
    session_id: str
    legs: list[LegView]


class RobotView(msgspec.Struct, frozen=True, kw_only=True):
    """One robot. It stays readable after its call has ended."""

    id: str
    direction: Literal["inbound", "outbound"]
    """``outbound``: the robot calls."""

    number: str
    state: RobotState
    media: str
    held: bool
    recording: str
    """The WAV file with what it hears; its length is the time since the media connected."""

    seconds: float
    """How much of it there is."""

    keys: str = ""
    """The keys that the far end has pressed, in order (RFC 4733)."""

    status: int | None = None
    reason: str = ""
    """Why it ended; ``status`` is the SIP status where the far end refused."""


class FlowView(msgspec.Struct, frozen=True, kw_only=True):
    """One open WebSocket, and who is registered on it."""

    flow: str
    extension: str | None = None
    instance_id: str | None = None
    via_host: str | None = None


class RobotCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that a robot is to make. ``play``: a WAV file, None for the shipped greeting.

    ``answer_after``: phones are to answer by themselves, so many milliseconds after they were rung.
    """

    to: str
    from_: str = msgspec.field(name="from", default="16505550123")
    name: str = "ROBOT"
    play: str | None = None
    answer_after: Annotated[int, msgspec.Meta(ge=0, le=600_000)] | None = None


class ControlFile(msgspec.Struct, frozen=True, kw_only=True):
    """``control.json`` in the service's directory (mode 0600): how to reach the control API."""

    url: str
    token: str
