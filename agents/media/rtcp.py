"""RTCP (RFC 3550 §6): reports in both directions of how much was sent and how well it is heard; goodbye."""

import struct

from aiortc.rtp import (
    RtcpByePacket,
    RtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
)

from .quality import Counts
from .reception import ReceiveReport
from .streams import ReceiveStream, SendStream

_CNAME = 1
_MAX_LOST = (1 << 23) - 1
_UNIX_TO_NTP = 2_208_988_800
#: A round trip of more is a report that went astray, or somebody's clock.
_MAX_ROUND_TRIP = 10.0


class Reports:
    """What the two ends of one call tell each other. ``now`` is Unix seconds that are never set back."""

    def __init__(self, cname: str) -> None:
        self.round_trip: float | None = None
        """Seconds, smoothed; None as long as no report told."""
        self.loss_there: float | None = None
        """The share of our packets that the far end missed lately, as it says."""
        self._cname = cname
        self._last = (0, 0, 0.0)  # the far end's SSRC, the time in its last report, and when that came

    def write(self, send: SendStream, received: ReceiveReport, now: float) -> bytes:
        """Return a sender report with our view of the far end's stream, and our CNAME, in one packet."""
        info = RtcpSenderInfo(
            ntp_timestamp=int((now + _UNIX_TO_NTP) * (1 << 32)),
            rtp_timestamp=send.timestamp,
            packet_count=send.packets % (1 << 32),
            octet_count=send.octets % (1 << 32),
        )
        packet = RtcpSrPacket(ssrc=send.ssrc, sender_info=info, reports=self._reception(received, now))
        source = RtcpSourceInfo(ssrc=send.ssrc, items=[(_CNAME, self._cname.encode())])
        return bytes(packet) + bytes(RtcpSdesPacket(chunks=[source]))

    def read(self, data: bytes, ssrc: int, now: float) -> None:
        """Take a compound packet of the far end; what cannot be read is ignored. ``ssrc`` is ours."""
        try:
            packets = RtcpPacket.parse(data)
        except (ValueError, IndexError, struct.error):  # not all lengths are checked there
            return
        for packet in packets:
            if isinstance(packet, RtcpSrPacket):
                self._last = (packet.ssrc, packet.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF, now)
            if isinstance(packet, RtcpSrPacket | RtcpRrPacket):
                for info in packet.reports:
                    if info.ssrc == ssrc:
                        self._heard(info, now)

    def add_up(self, before: Counts, send: SendStream, receive: ReceiveStream) -> Counts:
        """Return the counters of a call: those of the connections ``before``, and of the one it has now."""
        report, jitter = receive.report, receive.stats
        return Counts(
            codec=send.codec_name,
            sent=before.sent + send.packets,
            received=before.received + report.total_received,
            lost=before.lost + report.total_lost,
            spoiled=before.spoiled + jitter.late + jitter.skipped,
            recovered=before.recovered + receive.recovered,
            concealed=before.concealed + receive.concealed,
            jitter=report.jitter_seconds if report.received else None,
            round_trip=self.round_trip,
            buffered=receive.buffered,
            loss_there=self.loss_there,
        )

    def _heard(self, info: RtcpReceiverInfo, now: float) -> None:
        self.loss_there = info.fraction_lost / 256
        if not info.lsr:
            return
        trip = (_middle(now) - info.lsr - info.dlsr) % (1 << 32) / 65536
        if trip <= _MAX_ROUND_TRIP:
            # One late report must not look like a slow line.
            self.round_trip = trip if self.round_trip is None else self.round_trip * 0.75 + trip * 0.25

    def _reception(self, received: ReceiveReport, now: float) -> list[RtcpReceiverInfo]:
        if received.ssrc is None:
            return []
        ssrc, lsr, came_at = self._last
        known = lsr and ssrc == received.ssrc
        return [
            RtcpReceiverInfo(
                ssrc=received.ssrc,
                fraction_lost=received.fraction_lost(),
                packets_lost=max(-_MAX_LOST, min(received.lost, _MAX_LOST)),
                highest_sequence=received.highest % (1 << 32),
                jitter=int(received.jitter) % (1 << 32),
                lsr=lsr if known else 0,
                dlsr=int((now - came_at) * 65536) % (1 << 32) if known else 0,
            )
        ]


def goodbye(ssrc: int) -> bytes:
    """Return a BYE (§6.6)."""
    return bytes(RtcpByePacket(sources=[ssrc]))


def _middle(now: float) -> int:
    """Return the middle 32 bits of the NTP time, which reports carry."""
    return int((now + _UNIX_TO_NTP) * 65536) & 0xFFFFFFFF
