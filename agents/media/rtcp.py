"""The RTCP reports that we send (RFC 3550 §6.4): how much we sent, how well we hear; and goodbye."""

from aiortc.clock import current_ntp_time
from aiortc.rtp import (
    RtcpByePacket,
    RtcpReceiverInfo,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
)

from .streams import ReceiveReport, SendStream

_CNAME = 1
_MAX_LOST = (1 << 23) - 1


def report(send: SendStream, received: ReceiveReport, cname: str) -> bytes:
    """Return a sender report with our view of the far end's stream, and our CNAME, in one compound packet."""
    info = RtcpSenderInfo(
        ntp_timestamp=current_ntp_time(),
        rtp_timestamp=send.timestamp,
        packet_count=send.packets % (1 << 32),
        octet_count=send.octets % (1 << 32),
    )
    packet = RtcpSrPacket(ssrc=send.ssrc, sender_info=info, reports=_reception(received))
    source = RtcpSourceInfo(ssrc=send.ssrc, items=[(_CNAME, cname.encode())])
    return bytes(packet) + bytes(RtcpSdesPacket(chunks=[source]))


def goodbye(ssrc: int) -> bytes:
    """Return a BYE (§6.6)."""
    return bytes(RtcpByePacket(sources=[ssrc]))


def _reception(received: ReceiveReport) -> list[RtcpReceiverInfo]:
    if received.ssrc is None:
        return []
    return [
        RtcpReceiverInfo(
            ssrc=received.ssrc,
            fraction_lost=received.fraction_lost(),
            packets_lost=max(-_MAX_LOST, min(received.lost, _MAX_LOST)),
            highest_sequence=received.highest % (1 << 32),
            jitter=int(received.jitter) % (1 << 32),
            # The far end's reports are not read, so there is none to refer to: zero (§6.4.1).
            lsr=0,
            dlsr=0,
        )
    ]
