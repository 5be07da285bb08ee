"""agents.media.rtcp and reception: what two ends tell each other of what arrives."""

import random
import struct

import pytest
from aiortc.rtp import RtcpPacket, RtcpSrPacket
from hypothesis import given
from hypothesis import strategies as st

from agents.media.reception import ReceiveReport
from agents.media.rtcp import _MAX_ROUND_TRIP, Reports, goodbye
from agents.media.rtp import RtpPacket
from agents.media.sdp import Codec
from agents.media.streams import SendStream

OPUS = Codec(111, "opus", 48000, 2)
HERE, THERE = 1111, 2222


def sender(ssrc: int) -> SendStream:
    return SendStream(OPUS, None, ssrc=ssrc, sequence=0, timestamp=0)


def heard(ssrc: int, sequences: list[int], *, delay: float = 0.0) -> ReceiveReport:
    report = ReceiveReport()
    for sequence in sequences:
        packet = RtpPacket(111, sequence % 65536, sequence * 960 % (1 << 32), ssrc, b"x")
        report.count(packet, 48000, sequence * 0.02 + delay)
    return report


def test_the_round_trip_is_what_the_network_took_and_not_what_the_far_end_waited() -> None:
    here, there = Reports("here"), Reports("there")
    there.read(here.write(sender(HERE), ReceiveReport(), now=100.0), THERE, now=500.04)
    # The far end's clock is another one, and it answers 1.5 s later.
    here.read(there.write(sender(THERE), heard(HERE, [1, 2, 3]), now=501.54), HERE, now=101.60)
    assert here.round_trip == pytest.approx(0.1, abs=0.001)
    assert there.round_trip is None


def test_the_far_end_tells_what_it_misses_of_ours() -> None:
    here, there = Reports("here"), Reports("there")
    here.read(there.write(sender(THERE), heard(HERE, [0, 1, 2, 4]), now=1.0), HERE, now=1.0)
    assert here.loss_there == pytest.approx(0.2, abs=0.005)


def test_reports_about_others_and_without_a_reference_change_nothing() -> None:
    here, there = Reports("here"), Reports("there")
    here.read(there.write(sender(THERE), heard(HERE, [0, 1]), now=1.0), 9999, now=1.0)
    assert (here.round_trip, here.loss_there) == (None, None)
    here.read(there.write(sender(THERE), heard(HERE, [0, 1]), now=1.0), HERE, now=1.0)
    assert (here.round_trip, here.loss_there) == (None, 0.0)


def test_a_report_from_long_ago_is_no_round_trip() -> None:
    here, there = Reports("here"), Reports("there")
    there.read(here.write(sender(HERE), ReceiveReport(), now=100.0), THERE, now=100.0)
    late = there.write(sender(THERE), heard(HERE, [1]), now=100.0)
    here.read(late, HERE, now=160.0)
    assert here.round_trip is None


@given(st.binary(max_size=200))
def test_whatever_arrives_as_a_report_does_no_harm(data: bytes) -> None:
    reports = Reports("here")
    reports.read(data, HERE, now=1.0)
    reports.read(b"\x81\xc8" + data, HERE, now=1.0)
    reports.read(goodbye(THERE) + data, HERE, now=1.0)
    about_us = struct.pack("!BBHLL", 0x81, 201, 7, THERE, HERE) + data[:20].ljust(20, b"\0")
    reports.read(about_us, HERE, now=1.0)
    assert 0 <= (reports.loss_there or 0) < 1
    assert 0 <= (reports.round_trip or 0) <= _MAX_ROUND_TRIP


def test_others_can_read_what_we_write() -> None:
    reports = Reports("cname")
    packets = RtcpPacket.parse(reports.write(sender(HERE), heard(THERE, [5, 6, 8]), now=7.0))
    assert isinstance(packets[0], RtcpSrPacket)
    assert packets[0].ssrc == HERE
    [info] = packets[0].reports
    assert (info.ssrc, info.packets_lost, info.highest_sequence) == (THERE, 1, 8)


def test_jitter_is_that_of_rfc_3550_in_seconds() -> None:
    report, rng = ReceiveReport(), random.Random(5)
    for sequence in range(2000):
        packet = RtpPacket(111, sequence % 65536, sequence * 960, 1, b"x")
        report.count(packet, 48000, sequence * 0.02 + rng.choice([0.0, 0.01]))
    # Two neighbours differ by 10 ms half of the time.
    assert report.jitter_seconds == pytest.approx(0.005, abs=0.002)


def test_jitter_is_as_many_seconds_after_a_change_of_the_clock() -> None:
    report, rng, before = ReceiveReport(), random.Random(5), 0.0
    for sequence in range(200):
        rate_hz = 48000 if sequence < 180 else 8000
        packet = RtpPacket(111, sequence, sequence * rate_hz // 50, 1, b"x")
        report.count(packet, rate_hz, sequence * 0.02 + rng.choice([0.0, 0.01]))
        if sequence == 179:
            before = report.jitter_seconds
    assert report.jitter_seconds == pytest.approx(before, rel=0.5)


def test_a_pause_of_a_minute_is_no_jitter() -> None:
    report = heard(THERE, list(range(50)))
    report.count(RtpPacket(111, 50, 50 * 960, THERE, b"x"), 48000, 61.0)
    assert report.jitter_seconds < 0.001


def test_losses_are_counted_over_a_wrap_a_new_stream_and_a_new_beginning() -> None:
    report = heard(THERE, [65534, 65535, 65537])
    assert (report.total_received, report.total_lost) == (3, 1)
    report.count(RtpPacket(111, 7, 0, 4444, b"x"), 48000, 1.0)
    assert (report.received, report.total_received, report.total_lost) == (1, 4, 1)
    report.count(RtpPacket(111, 30007, 0, 4444, b"x"), 48000, 1.0)
    assert (report.total_received, report.total_lost) == (5, 1)
