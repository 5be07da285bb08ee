"""[core] Another stream's packets under the numbers of our own (RFC 3550 §2.3: a translator).

No I/O and no clock. A stream that begins, or jumps, is fitted on to where ours is; from then on its
differences in sequence and time are kept. What comes twice, or from before the beginning, has no place.
"""

from agents.media.rtp import RtpPacket, extend

_WINDOW = 64
_MOST_LEAP = 1000  # numbers, or 20 ms units of time: beyond that it is a new stream


class Relay:
    """Where each packet of the stream that is relayed goes in ours."""

    def __init__(self) -> None:
        self.newest = 0
        """The highest sequence number given so far, of this stretch."""

        self._ssrc: int | None = None
        self._highest = 0  # of theirs, extended
        self._timestamp = 0  # of their packet with that number
        self._first = 0
        self._seen = 0  # bit n: highest - n was relayed
        self._sequence_offset = self._time_offset = 0

    def interrupt(self) -> None:
        """Take that something else was sent in between: what comes next is fitted on anew."""
        self._ssrc = None

    def place(
        self, packet: RtpPacket, sequence: int, timestamp: int, units: int
    ) -> tuple[int, int, bool] | None:
        """Return number, time, and whether it begins a stretch; None for what has no place.

        Args:
            packet: One of theirs.
            sequence: Our next number.
            timestamp: The present time of our stream.
            units: How much of that time 20 ms are.
        """
        is_first = self._is_elsewhere(packet, units)
        if is_first:
            self._begin(packet, sequence, timestamp)
        number = extend(packet.sequence, self._highest)
        if not self._is_new(number):
            return None
        if number > self._highest:
            self._seen = (self._seen << (number - self._highest)) & ((1 << _WINDOW) - 1)
            self._highest, self._timestamp = number, packet.timestamp
        self._seen |= 1 << (self._highest - number)
        self.newest = self._highest + self._sequence_offset
        at = (packet.timestamp + self._time_offset) % (1 << 32)
        return number + self._sequence_offset, at, is_first

    def _is_elsewhere(self, packet: RtpPacket, units: int) -> bool:
        if packet.ssrc != self._ssrc:
            return True
        leap = abs(extend(packet.timestamp, self._timestamp, bits=32) - self._timestamp)
        far = abs(extend(packet.sequence, self._highest) - self._highest)
        return far > _MOST_LEAP or leap > _MOST_LEAP * units

    def _begin(self, packet: RtpPacket, sequence: int, timestamp: int) -> None:
        self._ssrc = packet.ssrc
        self._first = self._highest = packet.sequence + (1 << 16)
        self._timestamp, self._seen = packet.timestamp, 0
        self._sequence_offset = sequence - self._highest
        self._time_offset = timestamp - packet.timestamp

    def _is_new(self, number: int) -> bool:
        age = self._highest - number
        if number < self._first or age >= _WINDOW:
            return False
        return age < 0 or not self._seen >> age & 1
