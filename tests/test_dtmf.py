"""agents.media.dtmf: telephone keys in RTP (RFC 4733)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.media.dtmf import DtmfReceiver, DtmfSender, check_tones
from agents.media.rtp import RtpPacket
from shared.errors import MediaError


def send_keys(tones: str, rate_hz: int = 48000) -> list[tuple[bytes, bool]]:
    sender = DtmfSender()
    sender.enqueue(tones, rate_hz)
    packets = []
    while sender.is_sending:
        step = sender.step()
        if step is not None:
            packets.append((step.payload, step.first))
    return packets


def event(timestamp: int, payload: bytes, *, ssrc: int = 1, marker: bool = False) -> RtpPacket:
    return RtpPacket(110, 0, timestamp, ssrc, payload, marker)


def held_key(number: int, *, seconds: float, timestamp: int = 1000) -> list[RtpPacket]:
    """Return the packets of a key that is held, in segments where a duration cannot say how long."""
    packets, begun, units = [], timestamp, round(seconds * 48000)
    for at in range(960, units + 1, 960):
        if timestamp + at - begun > 0xFFFF:
            begun = timestamp + at - 960
        duration = (timestamp + at - begun).to_bytes(2, "big")
        flags = 0x80 if at + 960 > units else 0
        packets.append(event(begun, bytes([number, flags]) + duration, marker=at == 960))
    return packets


def test_a_key_is_160_ms_of_packets_whose_duration_grows_and_whose_end_is_sent_three_times() -> None:
    packets = send_keys("5")

    assert [payload[0] for payload, _ in packets] == [5] * 10
    assert [first for _, first in packets] == [True] + [False] * 9
    assert [int.from_bytes(payload[2:], "big") for payload, _ in packets] == [
        *range(960, 7680, 960),
        7680,
        7680,
        7680,
    ]
    assert [bool(payload[1] & 0x80) for payload, _ in packets] == [False] * 7 + [True] * 3


def test_durations_follow_the_clock_that_was_agreed() -> None:
    assert int.from_bytes(send_keys("#", 8000)[-1][0][2:], "big") == 1280


def test_keys_are_apart_and_a_comma_pauses_two_seconds() -> None:
    sender = DtmfSender()
    sender.enqueue("1,2", 8000)
    steps = []
    while sender.is_sending:
        steps.append(sender.step())

    firsts = [index for index, step in enumerate(steps) if step and step.first]
    assert firsts == [0, 10 + 4 + 100]


def test_a_receiver_reports_each_key_once_at_its_first_packet() -> None:
    receiver, heard = DtmfReceiver(), []
    for number, tone in enumerate("1*1"):
        for payload, _ in send_keys(tone):
            heard.append(receiver.receive(event(number * 5000, payload), 48000))

    assert [tone for tone in heard if tone] == ["1", "*", "1"]
    assert heard[0] == "1"


def test_an_overtaken_packet_of_an_earlier_key_is_no_new_key() -> None:
    receiver = DtmfReceiver()
    one, two = send_keys("1")[0][0], send_keys("2")[0][0]
    packets = [event(100, one), event(9000, two), event(100, one)]

    assert [receiver.receive(packet, 48000) for packet in packets] == ["1", "2", None]


@pytest.mark.parametrize("seconds", [1.0, 2.0, 6.0])
def test_a_key_that_is_held_for_long_is_one_key(seconds: float) -> None:
    receiver = DtmfReceiver()
    packets = held_key(5, seconds=seconds)

    assert [tone for tone in (receiver.receive(one, 48000) for one in packets) if tone] == ["5"]


def test_the_same_key_again_is_a_second_one_even_if_all_ends_of_the_first_were_lost() -> None:
    receiver = DtmfReceiver()
    first = held_key(5, seconds=0.16)[:-1]
    for again in (
        held_key(5, seconds=0.16, timestamp=20_000),
        held_key(5, seconds=0.16, timestamp=60_000)[1:],
    ):
        first += again[:-1]

    assert [tone for tone in (receiver.receive(one, 48000) for one in first) if tone] == ["5"] * 3


@pytest.mark.parametrize("jump", [-1, -(1 << 30), 1 << 31])
def test_keys_of_another_stream_are_heard_whatever_its_timestamps(jump: int) -> None:
    receiver = DtmfReceiver()
    begins = 1 << 31
    assert receiver.receive(event(begins, send_keys("1")[0][0]), 8000) == "1"

    other = event((begins + jump) % (1 << 32), send_keys("2")[0][0], ssrc=2)
    assert receiver.receive(other, 8000) == "2"


@given(st.integers(0, 2**32 - 1), st.binary(max_size=8))
def test_garbage_is_at_most_one_key(timestamp: int, payload: bytes) -> None:
    tone = DtmfReceiver().receive(event(timestamp, payload), 8000)

    assert tone is None or tone in "0123456789*#ABCD"


def test_a_character_that_is_no_key_is_refused_by_name() -> None:
    assert check_tones("1a#") == "1A#"
    with pytest.raises(MediaError, match="'X'"):
        check_tones("12x")
