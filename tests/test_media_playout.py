"""agents.media.playout: frames of an even line are played as they come, of an uneven one by the clock."""

import random

from agents.media.base import FRAME_SECONDS
from agents.media.playout import Playout
from agents.media.rtp import RtpPacket
from agents.media.sdp import Codec
from agents.media.streams import ReceiveStream

PCMU = Codec(0, "PCMU", 8000)
SECOND = 50


class Line:
    """Packets of 20 ms, each ``late`` seconds after its step of the clock, which is at 0, 20, 40 ms …"""

    def __init__(self) -> None:
        self.receive = ReceiveStream((PCMU,), lambda _tone: None)
        self.playout = Playout(self.receive)
        self.played: list[tuple[str, int]] = []  # at which occasion, and how many frames; the newest is last
        self._number = 0

    def pass_on(self, *late: float | None) -> list[tuple[str, int]]:
        """Let a packet come for each of ``late`` (None: it is lost); return what was played meanwhile."""
        events: list[tuple[float, int | None]] = []
        for number, delay in enumerate(late, self._number):
            events.append((number * FRAME_SECONDS, None))
            if delay is not None:
                events.append((number * FRAME_SECONDS + delay, number))
        self._number += len(late)
        before = len(self.played)
        for now, packet in sorted(events, key=lambda event: event[0]):
            self._take(now, packet)
        return self.played[before:]

    def _take(self, now: float, number: int | None) -> None:
        if number is None:
            self.played.append(("step", len(self.playout.step(now))))
        else:
            packet = RtpPacket(0, number + 1, number * 160, 7, bytes(160))
            self.receive.receive(packet, now)
            self.played.append(("packet", len(self.playout.arrived(now))))


def settled(late: float) -> Line:
    line = Line()
    line.pass_on(*[late] * 5 * SECOND)
    return line


def test_the_first_second_is_played_by_the_clock_and_then_each_frame_of_an_even_line_as_it_comes() -> None:
    line = Line()
    assert [frames for occasion, frames in line.pass_on(*[0.005] * 45) if occasion == "packet"] == [0] * 45
    line.pass_on(*[0.005] * 5 * SECOND)
    assert line.pass_on(*[0.005] * SECOND) == [("step", 0), ("packet", 1)] * SECOND


def test_packets_that_come_now_before_and_now_after_a_step_all_are_played_as_they_come() -> None:
    line, chance = settled(0.0195), random.Random(1)
    for _ in range(20):
        heard = line.pass_on(*(chance.choice((0.0185, 0.0195, 0.0205, 0.0215)) for _ in range(SECOND)))
        assert [frames for occasion, frames in heard if occasion == "step"] == [0] * SECOND
    assert line.receive.concealed == 0


def test_an_uneven_line_is_played_by_the_clock_for_half_a_minute() -> None:
    line, chance = settled(0.005), random.Random(1)
    line.pass_on(*(chance.uniform(0.0, 0.019) for _ in range(5 * SECOND)))
    heard = line.pass_on(*[0.005] * 20 * SECOND)
    assert heard == [("step", 1), ("packet", 0)] * 20 * SECOND
    line.pass_on(*[0.005] * 10 * SECOND)
    assert line.pass_on(0.005, 0.005)[-1] == ("packet", 1)


def test_a_lost_packet_of_an_even_line_is_made_up_and_time_goes_on() -> None:
    line = settled(0.005)
    line.pass_on(0.005, None, 0.005, 0.005)
    assert line.receive.concealed == 2  # its own, and one while the buffer fills again
    line.pass_on(*[0.005] * 10 * SECOND)
    frames = sum(frames for _, frames in line.played)
    assert abs(frames - sum(occasion == "step" for occasion, _ in line.played)) <= 1


def test_what_is_overdue_is_made_up_at_the_next_step() -> None:
    line = settled(0.005)
    assert line.pass_on(*[None] * 10) == [("step", 0), *[("step", 1)] * 9]


def test_a_packet_that_is_late_by_a_hair_is_awaited_for_one_step_at_most() -> None:
    line = settled(0.0195)
    assert line.pass_on(None, None, None) == [("step", 0), ("step", 0), ("step", 2)]


def test_what_comes_at_once_after_a_standstill_is_not_all_played_at_once() -> None:
    line = settled(0.005)
    heard = line.pass_on(0.085, 0.065, 0.045, 0.025, 0.005, 0.005)
    assert max(frames for _, frames in heard) == 1
