"""Telephone keys in RTP (RFC 4733): what to send instead of audio, and what was received.

A key replaces audio packets: it takes their sequence numbers, one event packet each 20 ms, all with the
timestamp of the first; the last one is sent three times (§2.5.1.4). The far end may do otherwise; what counts
is the timestamp.
"""

import struct
from collections import deque
from dataclasses import dataclass

from shared.errors import MediaError

KEYS = "0123456789*#ABCD"
PAUSE = ","
PAUSE_SECONDS = 2.0
TONE_SECONDS = 0.16
GAP_SECONDS = 0.08
_PACKET_SECONDS = 0.02
_END_PACKETS = 3
_VOLUME_DBM0 = 10
_EVENT = struct.Struct("!BBH")


@dataclass(frozen=True, slots=True)
class EventPacket:
    """Send this in place of the audio packet that is due; ``first`` sets the marker and a new timestamp."""

    payload: bytes
    first: bool


def check_tones(tones: str) -> str:
    """Return ``tones`` in upper case, or raise :exc:`MediaError` naming the character that is no key."""
    tones = tones.upper()
    for tone in tones:
        if tone not in KEYS and tone != PAUSE:
            raise MediaError(
                f"{tone!r} is no telephone key; use 0-9, *, #, A-D, and a comma to pause 2 seconds"
            )
    return tones


class DtmfSender:
    """The keys that wait, and the packets that they become."""

    def __init__(self) -> None:
        self._steps: deque[EventPacket | None] = deque()

    @property
    def is_sending(self) -> bool:
        """Whether a key or its gap is still to be sent."""
        return bool(self._steps)

    def enqueue(self, tones: str, rate_hz: int) -> None:
        """Add keys to send; ``rate_hz`` is the clock of the telephone-event payload that was agreed."""
        for tone in check_tones(tones):
            if tone == PAUSE:
                self._steps.extend([None] * round(PAUSE_SECONDS / _PACKET_SECONDS))
            else:
                self._steps.extend(_event_packets(KEYS.index(tone), rate_hz))
                self._steps.extend([None] * round(GAP_SECONDS / _PACKET_SECONDS))

    def step(self) -> EventPacket | None:
        """Return what replaces the next audio packet; None to send audio as usual. Call once every 20 ms."""
        return self._steps.popleft() if self._steps else None

    def clear(self) -> None:
        """Forget all keys that wait."""
        self._steps.clear()


def _event_packets(event: int, rate_hz: int) -> list[EventPacket]:
    packet_units = round(rate_hz * _PACKET_SECONDS)
    count = round(TONE_SECONDS / _PACKET_SECONDS)
    packets = []
    for number in range(1, count + _END_PACKETS):
        is_end = number >= count
        duration = packet_units * min(number, count)
        flags = (0x80 if is_end else 0) | _VOLUME_DBM0
        packets.append(EventPacket(_EVENT.pack(event, flags, min(duration, 0xFFFF)), first=number == 1))
    return packets


class DtmfReceiver:
    """Turns event packets back into keys, each reported once, at its first packet."""

    def __init__(self) -> None:
        self._timestamp: int | None = None

    def receive(self, timestamp: int, payload: bytes) -> str | None:
        """Return the key that begins with this packet; None for repetitions, unknown events and garbage."""
        if len(payload) < _EVENT.size:
            return None
        event, _flags, _duration = _EVENT.unpack_from(payload)
        if timestamp == self._timestamp or event >= len(KEYS):
            return None
        if self._timestamp is not None and (self._timestamp - timestamp) % (1 << 32) < (1 << 31):
            return None  # a packet of an earlier key, overtaken on the way
        self._timestamp = timestamp
        return KEYS[event]
