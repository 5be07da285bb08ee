import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.sip.sdp import Payload, Sdp, direction_of, mirror
from shared.errors import SipError

BROWSER = (
    "v=0\r\no=- 4611733 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 126\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:secret\r\n"
    "a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host\r\na=setup:actpass\r\na=mid:0\r\n"
    "a=x-nobody-knows:this\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
    "a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:126 telephone-event/8000\r\n"
    "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\na=candidate:9 1 udp 1 127.0.0.1 6000 typ host\r\n"
)


def test_a_description_is_written_as_it_was_read() -> None:
    assert Sdp.parse(BROWSER).encode() == BROWSER
    assert Sdp.parse(BROWSER.replace("\r\n", "\n")).encode() == BROWSER


def test_only_the_direction_of_the_sound_changes_and_it_stays_in_its_place() -> None:
    held = Sdp.parse(BROWSER).with_direction("sendonly")

    assert held.encode() == BROWSER.replace("a=sendrecv", "a=sendonly")
    assert held.direction == "sendonly"
    assert held.with_direction("sendrecv").encode() == BROWSER


def test_a_direction_is_added_where_there_was_none() -> None:
    plain = Sdp.parse(BROWSER.replace("a=sendrecv\r\n", ""))

    assert plain.direction == "sendrecv"
    assert plain.with_direction("inactive").audio()[-1] == "a=inactive"
    assert plain.with_direction("inactive").lines[-3].startswith("m=video")


def test_a_direction_of_the_session_counts_for_the_sound_but_not_the_videos() -> None:
    text = BROWSER.replace("a=sendrecv\r\n", "")
    assert Sdp.parse(text.replace("t=0 0", "t=0 0\r\na=recvonly")).direction == "recvonly"
    video_first = "v=0\r\no=- 1 1 IN IP4 x\r\nm=video 9 X 96\r\na=inactive\r\nm=audio 9 X 0\r\n"
    assert Sdp.parse(video_first).direction == "sendrecv"


def test_each_end_names_a_direction_from_its_own_side() -> None:
    assert [mirror(one) for one in ("sendrecv", "sendonly", "recvonly", "inactive")] == [
        "sendrecv",
        "recvonly",
        "sendonly",
        "inactive",
    ]


def test_the_version_is_read_and_raised() -> None:
    sdp = Sdp.parse(BROWSER)

    assert sdp.version == 2
    assert sdp.with_version(3).encode() == BROWSER.replace("4611733 2", "4611733 3")


def test_payloads_come_in_order_of_preference() -> None:
    assert Sdp.parse(BROWSER).payloads() == [
        Payload(111, "opus", 48000, 2, "minptime=10;useinbandfec=1"),
        Payload(126, "telephone-event", 8000),
    ]
    assert Sdp.parse("v=0\r\n").payloads() == []


def test_ice_and_candidates_are_those_of_the_sound() -> None:
    sdp = Sdp.parse(BROWSER)
    assert sdp.has_ice
    assert sdp.has_candidates
    # RingCentral's older clients answer without any candidate.
    bare = Sdp(tuple(line for line in sdp.lines if "typ host" not in line or "6000" in line))
    assert not bare.has_candidates
    assert sdp.attribute("setup") == "actpass"
    assert sdp.attribute("rtcp-mux") == ""
    assert sdp.attribute("group") == "BUNDLE 0"
    assert sdp.attribute("crypto") is None


@pytest.mark.parametrize(
    "text", ["", "hello", "v=1\r\n", "v=0\r\nno type", "v=0\r\na=x\ry", "o=- 1 1 x\r\nv=0"]
)
def test_what_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(SipError):
        Sdp.parse(text)
    assert direction_of(text) == "sendrecv"


def test_a_description_without_sound_or_origin_cannot_be_edited() -> None:
    with pytest.raises(SipError):
        Sdp.parse("v=0\r\n").with_direction("sendonly")
    with pytest.raises(SipError):
        Sdp.parse("v=0\r\n").with_version(2)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        sdp = Sdp.parse("v=0\r\n" + text)
        _ = sdp.direction, sdp.payloads(), sdp.has_ice, sdp.version
    except SipError:
        pass
