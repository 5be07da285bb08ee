"""[core] Messages as frames: UTF-8 JSON with the kind in ``type``."""

from typing import Generic, TypeVar

import msgspec

from shared.errors import MessageError

from .actions import Action
from .base import Version, Wire
from .envelopes import FromLeader, ToLeader
from .state import Call, Outcome, Registration, Snapshot, Window

T = TypeVar("T")

#: No frame of a group is longer. A peer that sends more is cut off by ZeroMQ (ZMQ_MAXMSGSIZE).
MAX_FRAME_BYTES = 256 * 1024

_encoder = msgspec.json.Encoder()
_snapshot_decoder: msgspec.json.Decoder[Snapshot] = msgspec.json.Decoder(Snapshot)
_action_decoder: msgspec.json.Decoder[Action] = msgspec.json.Decoder(Action)
_to_leader_decoder: msgspec.json.Decoder[ToLeader] = msgspec.json.Decoder(ToLeader)
_from_leader_decoder: msgspec.json.Decoder[FromLeader] = msgspec.json.Decoder(FromLeader)


def encode(message: Wire) -> bytes:
    """Return the frame that carries ``message``: UTF-8 JSON with its tag in ``type``."""
    return _encoder.encode(message)


def decode_snapshot(frame: bytes) -> Snapshot:
    """Return the snapshot in ``frame``, or raise :exc:`MessageError`."""
    return _decode(_snapshot_decoder, frame)


class _Outline(Wire, tag="snapshot", frozen=True, kw_only=True):
    """A :class:`Snapshot` whose larger parts are still as they came."""

    version: Version
    group: str
    leader: str
    number: str = ""
    registration: Registration = Registration()
    windows: msgspec.Raw = msgspec.Raw(b"[]")
    calls: msgspec.Raw = msgspec.Raw(b"[]")
    outcomes: tuple[Outcome, ...] = ()


_outline_decoder: msgspec.json.Decoder[_Outline] = msgspec.json.Decoder(_Outline)


class _Part(Generic[T]):
    """A part of snapshots, decoded once for as long as its bytes stay the same."""

    def __init__(self, decoder: msgspec.json.Decoder[T], nothing: T) -> None:
        self._decoder, self._raw, self._value = decoder, b"[]", nothing

    def decode(self, raw: bytes) -> T:
        if raw != self._raw:
            self._value, self._raw = self._decoder.decode(raw), raw
        return self._value


class SnapshotReader:
    """Decodes snapshot after snapshot; a part that did not change is the very object of the one before."""

    def __init__(self) -> None:
        self._windows = _Part(msgspec.json.Decoder(tuple[Window, ...]), ())
        self._calls = _Part(msgspec.json.Decoder(tuple[Call, ...]), ())

    def decode(self, frame: bytes) -> Snapshot:
        """Return the snapshot in ``frame``, or raise :exc:`MessageError`."""
        try:
            outline = _outline_decoder.decode(frame)
            return Snapshot(
                version=outline.version,
                group=outline.group,
                leader=outline.leader,
                number=outline.number,
                registration=outline.registration,
                windows=self._windows.decode(bytes(outline.windows)),
                calls=self._calls.decode(bytes(outline.calls)),
                outcomes=outline.outcomes,
            )
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise _undecodable(frame, exc) from exc


def require_sendable(action: Action) -> None:
    """Raise :exc:`MessageError` if nobody could read ``action``: a program may put anything into it."""
    try:
        _action_decoder.decode(_encoder.encode(action))
    except (msgspec.MsgspecError, UnicodeError, TypeError, RecursionError) as exc:
        raise MessageError(str(exc)[:200]) from exc


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
        raise _undecodable(frame, exc) from exc


def _undecodable(frame: bytes, exc: Exception) -> MessageError:
    # A decoder may quote what it read, and the frame is of any length.
    return MessageError(f"frame of {len(frame)} bytes: {str(exc)[:200]}")
