"""Telephone keys in RTP (RFC 4733): what to send instead of audio, and what was received.

A key replaces audio packets: it takes their sequence numbers, one event packet each 20 ms, all with the
timestamp of the first; the last one is sent three times (§2.5.1.4). The far end may do otherwise; what counts
is the timestamp.
"""

import struct
from collections import deque
from dataclasses import dataclass

from shared.errors import MediaError

from .rtp import RtpPacket

KEYS = "0123456789*#ABCD"
PAUSE = ","
PAUSE_SECONDS = 2.0
TONE_SECONDS = 0.16
GAP_SECONDS = 0.08
_PACKET_SECONDS = 0.02
_END_PACKETS = 3
_VOLUME_DBM0 = 10
_EVENT = struct.Struct("!BBH")
_IS_END = 0x80
#: Packets of so many keys may overtake each other.
_MOST_REMEMBERED = 16
#: What may be lost where a long key's segments meet.
_SEGMENT_GAP_SECONDS = 0.2


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

    @property
    def is_waiting(self) -> bool:
        """Whether there is a key of which no packet has gone."""
        return any(step is not None and step.first for step in self._steps)

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
        flags = (_IS_END if is_end else 0) | _VOLUME_DBM0
        packets.append(EventPacket(_EVENT.pack(event, flags, min(duration, 0xFFFF)), first=number == 1))
    return packets


class DtmfReceiver:
    """Turns event packets back into keys, each reported once, at its first packet."""

    def __init__(self) -> None:
        self._begun: deque[tuple[int, int]] = deque(maxlen=_MOST_REMEMBERED)  # by SSRC and timestamp
        self._newest: tuple[int, int, int] | None = None  # SSRC, event, and the timestamp at which it ends

    def receive(self, packet: RtpPacket, rate_hz: int) -> str | None:
        """Return the key that begins with this packet; None for repetitions, unknown events and garbage.

        ``rate_hz`` is the clock of its payload type. A key that is held for longer than a duration can say
        (1.4 s at 48 kHz) goes on with another timestamp, and is no new one (§2.5.1.3).
        """
        if len(packet.payload) < _EVENT.size:
            return None
        event, flags, duration = _EVENT.unpack_from(packet.payload)
        if event >= len(KEYS):
            return None
        begins = (packet.ssrc, packet.timestamp)
        is_known = begins in self._begun or self._goes_on(packet, event, rate_hz)
        if begins not in self._begun:
            self._begun.append(begins)
        if begins == self._begun[-1]:
            end = (packet.timestamp + duration) % (1 << 32)
            self._newest = None if flags & _IS_END else (packet.ssrc, event, end)
        return None if is_known else KEYS[event]

    def _goes_on(self, packet: RtpPacket, event: int, rate_hz: int) -> bool:
        """Whether this is the key before, of which no end was seen, in a new segment."""
        if packet.marker or self._newest is None or self._newest[:2] != (packet.ssrc, event):
            return False
        gap = (packet.timestamp - self._newest[2]) % (1 << 32)
        return gap < rate_hz * _SEGMENT_GAP_SECONDS or gap >= 1 << 31
