"""agents.media.rtp: packets and the arithmetic of their counters."""

from hypothesis import given
from hypothesis import strategies as st

from agents.media.rtp import RtpPacket, extend, is_rtcp


def packet(sequence: int) -> RtpPacket:
    return RtpPacket(111, sequence % 65536, sequence * 960 % 2**32, 1, b"x")


def test_a_packet_survives_the_wire() -> None:
    sent = RtpPacket(110, 65535, 2**32 - 1, 0xDEADBEEF, b"payload", marker=True)

    assert RtpPacket.decode(sent.encode()) == sent


def test_extension_contributors_and_padding_are_taken_off() -> None:
    plain = packet(5).encode()
    data = (
        bytes([0xB1]) + plain[1:12] + b"\0\0\0\x09" + b"\xbe\xde\0\x01" + b"ext!" + plain[12:] + b"\0\0\x03"
    )

    decoded = RtpPacket.decode(data)
    assert decoded is not None
    assert decoded.payload == b"x"


@given(st.binary(max_size=60))
def test_no_datagram_breaks_the_decoder(data: bytes) -> None:
    RtpPacket.decode(data)
    is_rtcp(data)


def test_rtcp_is_told_apart_by_its_type() -> None:
    assert is_rtcp(bytes([0x80, 200, 0, 6]))
    assert not is_rtcp(packet(1).encode())


@given(st.integers(0, 2**40), st.integers(-30000, 30000))
def test_extend_finds_the_full_number_again(near: int, step: int) -> None:
    full = max(near + step, 0)

    assert extend(full % 65536, near) == full or full < 32768
