"""The faults that can be ordered, as the control API takes and shows them. All times are real seconds."""

from typing import Annotated, Literal, get_args

import msgspec

from shared.errors import ActionRefused

Phrase = Annotated[str, msgspec.Meta(pattern=r"^[ -~]{1,80}$")]
#: A fault ends by itself.
Duration = Annotated[float, msgspec.Meta(gt=0, le=3600)]


class Order(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="fault",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """What all have: how long it lasts."""

    seconds: Duration = 60.0


class HalfOpen(Order, frozen=True, kw_only=True, tag="half_open"):
    """The socket stays, but nothing is read from it and nothing sent. After the fault both ends go on."""

    flow: str


class Delay(Order, frozen=True, kw_only=True, tag="delay"):
    """Every frame leaves ``ms`` milliseconds late, in order. Without ``flow``: on all of them."""

    ms: Annotated[int, msgspec.Meta(ge=1, le=30_000)]
    flow: str | None = None


class Answer(Order, frozen=True, kw_only=True, tag="answer"):
    """REGISTER, or an INVITE that begins a call, is answered with ``status``, whatever its credentials are.

    401 and 407 come with a challenge. Without ``count``: all. Without ``extension``: of all.
    """

    method: Literal["REGISTER", "INVITE"] = "REGISTER"
    status: Annotated[int, msgspec.Meta(ge=400, le=699)]
    reason: Phrase | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    extension: str | None = None
    retry_after: Annotated[int, msgspec.Meta(ge=0, le=86_400)] | None = None
    min_expires: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | None = None


class RestAnswer(Order, frozen=True, kw_only=True, tag="rest"):
    """The REST side answers with ``status``, whatever it is asked for. Without ``count``: always."""

    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    retry_after: Annotated[int, msgspec.Meta(ge=0, le=86_400)] | None = None


class RefuseTls(Order, frozen=True, kw_only=True, tag="refuse_tls"):
    """New connections get a TLS alert in answer to their ClientHello."""


class RefuseConnections(Order, frozen=True, kw_only=True, tag="refuse_connections"):
    """The port is closed to new connections."""


class Clock(Order, frozen=True, kw_only=True, tag="clock"):
    """The service's clock runs ``factor`` times as fast: bindings, challenges, ring times, timers of SIP."""

    factor: Annotated[float, msgspec.Meta(ge=0.01, le=1000)]


AnyOrder = HalfOpen | Delay | Answer | RestAnswer | RefuseTls | RefuseConnections | Clock
KNOWN = tuple(str(kind.__struct_config__.tag) for kind in get_args(AnyOrder))

_decoder: msgspec.json.Decoder[AnyOrder] = msgspec.json.Decoder(AnyOrder)


class FaultView(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that is in force. ``ends_in`` is seconds from now; ``applied``: how often it has struck."""

    id: str
    order: AnyOrder
    ends_in: float
    applied: int


class Restart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Restart in place: all connections are cut, and for ``down`` seconds there are no new ones.

    ``forget``: bindings, calls and dialogs are gone; else all of them are kept.
    """

    forget: bool = True
    down: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.0


def read_order(body: bytes) -> AnyOrder:
    """Return the order in a request's body; raises :exc:`ActionRefused` that says what is known."""
    try:
        kind = msgspec.json.decode(body, type=_Named).fault
        if kind in KNOWN:
            return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ActionRefused("bad_request", f"the body is no fault: {exc}") from exc
    raise ActionRefused("bad_request", f"unknown fault {kind[:40]!r}; known are {', '.join(KNOWN)}")


class _Named(msgspec.Struct):
    fault: str = ""
