"""[core] Messages as frames: UTF-8 JSON with the kind in ``type``."""

from typing import TypeVar

import msgspec

from shared.errors import MessageError

from .base import Wire
from .envelopes import FromLeader, ToLeader
from .state import Snapshot

T = TypeVar("T")

#: No frame of a group is longer. A peer that sends more is cut off by ZeroMQ (ZMQ_MAXMSGSIZE).
MAX_FRAME_BYTES = 256 * 1024

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
        # A decoder may quote what it read, and the frame is of any length.
        raise MessageError(f"frame of {len(frame)} bytes: {str(exc)[:200]}") from exc
