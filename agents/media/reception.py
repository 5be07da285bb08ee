"""Which of the far end's packets are heard, and how well they arrive (counters of RFC 3550, appendix A)."""

from collections import deque

from .base import RATE_HZ
from .rtp import RtpPacket, extend

#: A sequence number further away than that begins anew (MAX_DROPOUT, RFC 3550 §A.1).
_MAX_DROPOUT = 3000
#: A stream that was left is heard again once the one that took its place has been silent for so long.
_SILENT_SECONDS = 0.2
_MOST_LEFT = 8


class Speaker:
    """Chooses the stream that is heard (by SSRC): the newest that began.

    When a service puts somebody else on the line, the old stream and the new one overlap for a while. Without
    a choice, each packet of one would throw away what waits of the other.
    """

    def __init__(self) -> None:
        self.ssrc: int | None = None
        self._heard_at = 0.0
        self._left: deque[int] = deque(maxlen=_MOST_LEFT)

    def is_heard(self, ssrc: int, now: float, *, may_begin: bool) -> bool:
        """Whether a packet that came at ``now`` is of the stream that is heard, or of a new one."""
        if ssrc != self.ssrc:
            is_old = ssrc in self._left and now - self._heard_at < _SILENT_SECONDS
            if is_old or not may_begin:
                return False
            if self.ssrc is not None and self.ssrc not in self._left:
                self._left.append(self.ssrc)
            self.ssrc = ssrc
        self._heard_at = now
        return True


class ReceiveReport:
    """What RFC 3550 §6.4.1 wants to be told about reception: highest number, losses, jitter."""

    def __init__(self) -> None:
        self.ssrc: int | None = None
        self.highest = 0  # extended by the number of wraps
        self.jitter = 0.0  # in units of the RTP clock
        self.received = 0
        self.past_received, self.past_lost = 0, 0  # of streams before this one
        self._rate_hz = RATE_HZ
        self._base = 0
        self._transit: float | None = None
        self._last = (0, 0)  # expected and received at the previous report

    @property
    def jitter_seconds(self) -> float:
        """The jitter, in seconds."""
        return self.jitter / self._rate_hz

    @property
    def total_received(self) -> int:
        """Packets since the first, of whatever SSRC."""
        return self.past_received + self.received

    @property
    def total_lost(self) -> int:
        """Packets that are missing since the first, of whatever SSRC."""
        return self.past_lost + max(self.lost, 0)

    @property
    def lost(self) -> int:
        """Packets lost since the start; duplicates make it smaller."""
        return self.highest - self._base + 1 - self.received if self.received else 0

    def count(self, packet: RtpPacket, rate_hz: int | None, now: float) -> None:
        """Note an arrival at ``now`` (Appendix A.3 and A.8); no ``rate_hz``: not for the jitter."""
        sequence = extend(packet.sequence, self.highest)
        if packet.ssrc != self.ssrc or abs(sequence - self.highest) > _MAX_DROPOUT:
            self._begin(packet)
            sequence = packet.sequence
        self.received += 1
        self.highest = max(self.highest, sequence)
        if rate_hz is None:
            return
        if rate_hz != self._rate_hz:  # another codec: the same seconds are another number of units
            self.jitter, self._transit = self.jitter * rate_hz / self._rate_hz, None
            self._rate_hz = rate_hz
        transit = now * rate_hz - packet.timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change < rate_hz:  # more than a second is a new beginning, not jitter
                self.jitter += (change - self.jitter) / 16
        self._transit = transit

    def _begin(self, packet: RtpPacket) -> None:
        self.past_received, self.past_lost = self.total_received, self.total_lost
        self.ssrc, self.received, self.jitter, self._transit = packet.ssrc, 0, 0.0, None
        self._base = self.highest = packet.sequence
        self._last = (0, 0)

    def fraction_lost(self) -> int:
        """Return the share of packets lost since the last call, in 256ths."""
        expected = self.highest - self._base + 1
        expected_now, received_now = expected - self._last[0], self.received - self._last[1]
        self._last = (expected, self.received)
        return (
            max(0, min(255, (expected_now - received_now) * 256 // expected_now)) if expected_now > 0 else 0
        )
