"""RTP packets (RFC 3550 §5.1) and the arithmetic of their counters."""

import struct
from dataclasses import dataclass

_HEADER = struct.Struct("!BBHII")
RTCP_TYPES = range(192, 224)


@dataclass(slots=True)
class RtpPacket:
    """One packet, without contributing sources and header extensions: a two-party call needs none."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def encode(self) -> bytes:
        """Return the bytes to protect and send."""
        second = self.payload_type | (0x80 if self.marker else 0)
        return _HEADER.pack(0x80, second, self.sequence, self.timestamp, self.ssrc) + self.payload

    @classmethod
    def decode(cls, data: bytes) -> "RtpPacket | None":
        """Read a packet; None for what is none, or is cut short. Extensions and padding are taken off."""
        if len(data) < _HEADER.size:
            return None
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        start, end = _HEADER.size + 4 * (first & 0x0F), len(data)
        if first >> 6 != 2:
            return None
        if first & 0x10:
            if end < start + 4:
                return None
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
        if first & 0x20:
            end -= data[-1]
        if start > end:
            return None
        return cls(second & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(second & 0x80))


def is_rtcp(data: bytes) -> bool:
    """Tell RTCP from RTP on one port (RFC 5761 §4)."""
    return len(data) > 1 and data[1] in RTCP_TYPES


def extend(short: int, near: int, *, bits: int = 16) -> int:
    """Return the full number whose low ``bits`` are ``short`` and that lies nearest to ``near``."""
    size = 1 << bits
    full = near - near % size + short
    if full - near > size // 2:
        return full - size
    if near - full > size // 2:
        return full + size
    return full
