"""Another stream's packets under our own numbers."""

from agents.media.rtp import RtpPacket
from agents.pbx.media.relay import Relay

UNITS = 960


def packet(sequence: int, timestamp: int | None = None, *, ssrc: int = 1) -> RtpPacket:
    at = (sequence * UNITS if timestamp is None else timestamp) % (1 << 32)
    return RtpPacket(111, sequence % (1 << 16), at, ssrc, b"x")


class Stream:
    """Our stream, as its owner keeps it."""

    def __init__(self, sequence: int = 500, timestamp: int = 7000) -> None:
        self.relay, self.sequence, self.timestamp = Relay(), sequence, timestamp

    def take(self, one: RtpPacket) -> tuple[int, int, bool] | None:
        place = self.relay.place(one, self.sequence, self.timestamp, UNITS)
        if place is not None:
            self.sequence = self.relay.newest + 1
        return place


def test_a_stream_is_fitted_on_to_ours_and_keeps_its_distances() -> None:
    stream = Stream()
    assert stream.take(packet(10)) == (500, 7000, True)
    assert stream.take(packet(11)) == (501, 7960, False)
    assert stream.take(packet(14)) == (504, 7000 + 4 * UNITS, False)
    assert stream.sequence == 505


def test_what_comes_late_has_its_place_and_what_comes_twice_has_none() -> None:
    stream = Stream()
    stream.take(packet(10))
    stream.take(packet(12))
    assert stream.take(packet(11)) == (501, 7960, False)
    assert stream.take(packet(11)) is None
    assert stream.take(packet(12)) is None
    assert stream.sequence == 503


def test_what_was_sent_before_the_beginning_has_no_place() -> None:
    stream = Stream()
    stream.take(packet(10))
    assert stream.take(packet(9)) is None


def test_the_counters_of_the_other_stream_may_wrap() -> None:
    stream = Stream()
    stream.take(packet(65535, timestamp=(1 << 32) - UNITS))
    assert stream.take(packet(0, timestamp=0)) == (501, 7960, False)


def test_another_stream_or_a_leap_is_fitted_on_anew() -> None:
    stream = Stream()
    stream.take(packet(10))
    stream.timestamp = 9000
    assert stream.take(packet(3000, timestamp=5, ssrc=2)) == (501, 9000, True)
    stream.timestamp = 20_000
    assert stream.take(packet(3001, timestamp=5 + 2000 * UNITS, ssrc=2)) == (502, 20_000, True)


def test_after_an_interruption_the_stream_goes_on_where_ours_is() -> None:
    stream = Stream()
    stream.take(packet(10))
    stream.relay.interrupt()
    stream.sequence, stream.timestamp = 600, 50_000
    assert stream.take(packet(11)) == (600, 50_000, True)
