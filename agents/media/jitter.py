"""What arrives unevenly leaves evenly: packets in, in order and without waste; lost ones are named.

The buffer holds back ``target`` packets. A packet that comes too late to be used raises the target by one, a
line that stood still by as many as were missed; some calm seconds lower it again, down to one packet. A far
end whose clock runs faster than ours, or a network that delivers a backlog at once, fills the buffer: then
the oldest packet beyond the target is skipped now and then, so that the delay never stays.
"""

from dataclasses import dataclass

from .rtp import RtpPacket, extend

MIN_TARGET = 1
FIRST_TARGET = 2
MAX_TARGET = 12
CAPACITY = 64
#: Packets of 20 ms that must pass without trouble before one less is held back: 3 s, and up to a minute.
_FIRST_PATIENCE, _LONGEST_PATIENCE = 150, 3_000
#: Trouble within 30 s of such a try says that it was wrong; as long a calm halves what must pass.
_PROBATION = 1_500
_WINDOW_PACKETS = 25


@dataclass(frozen=True, slots=True)
class Lost:
    """The packet that was due is missing, while later ones are here: conceal one packet's time.

    ``following`` is the very next one, which may tell what was in it; None if that is missing, too.
    """

    following: RtpPacket | None = None


@dataclass(slots=True)
class JitterStats:
    """Counters: ``late`` came after their turn, ``skipped`` were dropped to keep the delay short."""

    received: int = 0
    lost: int = 0
    late: int = 0
    skipped: int = 0


class Patience:
    """When to try with less: after some calm time, twice as long each time that the last try was wrong.

    A line that stutters each few seconds would else lose packets, wait longer, be calm, and lose some again.
    """

    def __init__(self) -> None:
        self._calm, self._wanted = 0, _FIRST_PATIENCE
        self._since_try = _PROBATION

    def passed(self, *, can_try: bool) -> bool:
        """Let a packet's time pass without trouble; return whether to try with less now."""
        self._calm += 1
        self._since_try += 1
        if self._calm % _PROBATION == 0:
            self._wanted = max(self._wanted // 2, _FIRST_PATIENCE)
        is_time = can_try and min(self._calm, self._since_try) >= self._wanted
        if is_time:
            self._since_try = 0
        return is_time

    def lost(self) -> None:
        """Take that a packet was lost on its way: what is held back helps to restore it."""
        self._calm = 0

    def troubled(self) -> None:
        """Take that too little was held back."""
        if self._since_try < _PROBATION:
            self._wanted = min(2 * self._wanted, _LONGEST_PATIENCE)
        self._calm, self._since_try = 0, _PROBATION


class JitterBuffer:
    """One stream's packets between the network and the decoder."""

    def __init__(self, target: int = FIRST_TARGET) -> None:
        self.stats = JitterStats()
        self._target = target
        self._packets: dict[int, RtpPacket] = {}
        self._next: int | None = None  # extended sequence number of the next packet to hand out
        self._ssrc: int | None = None
        self._filling = True
        self._patience = Patience()
        self._missed = 0  # packets that were due since the last one came
        self._timestamp, self._units = 0, 0  # of the last packet handed out, and from the one before to it
        self._lowest, self._window = CAPACITY, 0

    @property
    def waiting(self) -> int:
        """How many packets wait for their turn."""
        return len(self._packets)

    @property
    def is_filling(self) -> bool:
        """Whether nothing is handed out until there is more."""
        return self._filling

    @property
    def has_next(self) -> bool:
        """Whether :meth:`pop` would return a packet, and not that one is lost."""
        return not self._filling and self._next in self._packets

    def push(self, packet: RtpPacket) -> None:
        """Take a packet as it arrived. Another SSRC starts afresh; duplicates are dropped."""
        if packet.ssrc != self._ssrc:
            self._packets.clear()
            self._ssrc, self._next, self._filling = packet.ssrc, None, True
            self._missed = 0
        self.stats.received += 1
        newest = max(
            self._packets, default=self._next if self._next is not None else packet.sequence + (1 << 16)
        )
        sequence = extend(packet.sequence, newest)
        if self._next is not None and sequence < self._next:
            self._came_late(sequence, packet)
            return
        if self._missed:
            self._came_again(sequence, packet)
        self._packets[sequence] = packet
        if len(self._packets) > CAPACITY:
            self._restart_at(sequence)

    def pop(self) -> RtpPacket | Lost | None:
        """Return what is due for decoding now; None while there is nothing, which sounds as silence."""
        if self._filling:
            if len(self._packets) < self._target:
                self._missed += bool(self._missed)
                return None
            self._filling = False
            self._next = min(self._packets)
        if not self._packets or self._next is None:
            self._filling, self._missed = True, 1
            return None
        self._shorten()
        packet = self._packets.pop(self._next, None)
        self._next += 1
        if packet is None:
            self.stats.lost += 1
            self._patience.lost()
            return Lost(self._packets.get(self._next))
        self._units = (packet.timestamp - self._timestamp) % (1 << 32)
        self._timestamp = packet.timestamp
        return packet

    def _came_again(self, sequence: int, packet: RtpPacket) -> None:
        """Take the first packet after the buffer ran dry: it was late, or one was lost, or none was sent."""
        missed, self._missed = self._missed, 0
        is_next = sequence == self._next
        if is_next and (missed > MAX_TARGET or not self._goes_on(packet)):
            # A pause, or a line that was down for longer than we would ever wait.
            self._target = max(self._target, FIRST_TARGET)
            return
        self._target = min(max(self._target + missed * is_next, FIRST_TARGET), MAX_TARGET)
        self._patience.troubled()

    def _goes_on(self, packet: RtpPacket) -> bool:
        """Whether the sender let no time pass before ``packet``; the packets of one key share their time."""
        return 0 < self._units == (packet.timestamp - self._timestamp) % (1 << 32)

    def _came_late(self, sequence: int, packet: RtpPacket) -> None:
        self.stats.late += 1
        self._target = min(self._target + 1, MAX_TARGET)
        self._patience.troubled()
        if self._next is not None and self._next - sequence > CAPACITY:
            # So far back that the far end must have begun again with new numbers.
            self._restart_at(sequence)
            self._packets[sequence] = packet

    def _restart_at(self, sequence: int) -> None:
        newest = self._packets.get(sequence)
        self.stats.skipped += len(self._packets)
        self._packets = {sequence: newest} if newest is not None else {}
        self._next, self._filling, self._missed = None, True, 0

    def _shorten(self) -> None:
        """Skip what, for half a second, was always waiting beyond the target."""
        self._lowest = min(self._lowest, len(self._packets))
        self._window += 1
        if self._patience.passed(can_try=self._target > MIN_TARGET):
            self._target -= 1
        excess = len(self._packets) - 2 * self._target - 4
        if self._window >= _WINDOW_PACKETS and self._lowest > self._target:
            excess = max(excess, self._lowest - self._target)
        if self._window >= _WINDOW_PACKETS:
            self._lowest, self._window = CAPACITY, 0
        while excess > 0 and self._next is not None:
            if self._packets.pop(self._next, None) is not None:
                self.stats.skipped += 1
                excess -= 1
            self._next += 1
