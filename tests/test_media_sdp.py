"""agents.media.sdp: reading what browsers and the RingCentral edge say, writing what they accept."""

import contextlib
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.media import sdp
from shared.errors import SipError

LOCAL = sdp.LocalAudio(
    ufrag="abcd",
    password="p" * 22,
    fingerprint="AA:BB",
    ssrc=7,
    cname="us",
    candidates=("1 1 udp 2130706431 127.0.0.1 5000 typ host",),
    host="127.0.0.1",
    port=5000,
)
BROWSER_OFFER = """\
v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 51824 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 192.168.1.5
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:842163049 1 udp 2113937151 192.168.1.5 51824 typ host generation 0 network-cost 999
a=ice-ufrag:Zu5c
a=ice-pwd:UoKsxmkMz4ghDcExrHEeh7JU
a=ice-options:trickle
a=fingerprint:sha-256 11:22:33
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=msid:- 2f9d
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:3663897369 cname:Xy
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:1
a=rtpmap:96 VP8/90000
""".replace("\n", "\r\n")
EDGE_OFFER = """\
v=0
o=- 14382450 14382450 IN IP4 104.245.57.165
s=SmcSip
c=IN IP4 104.245.57.165
t=0 0
m=audio 30270 RTP/SAVPF 109 111 18 0 8 9 96 101
a=rtpmap:109 OPUS/16000
a=fmtp:109 useinbandfec=1
a=rcap:1 none
a=rtpmap:111 OPUS/48000/2
a=rtpmap:18 g729/8000
a=fmtp:18 annexb=no
a=rtpmap:96 ilbc/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=sendrecv
a=rtcp:30271
a=rtcp-mux
a=setup:actpass
a=fingerprint:sha-1 5B:D3:8E
a=ice-ufrag:Tu4Fqbzc
a=ice-pwd:zyxwvutsrqponmlkjihgfedcba
a=candidate:uHf 1 UDP 2130706431 104.245.57.165 30270 typ host
a=candidate:uHf 2 UDP 2130706430 104.245.57.165 30271 typ host
""".replace("\n", "\r\n")


def write_answer(offer: str, **options: object) -> str:
    settings = {"session_id": 1, "version": 1, "setup": "active", **options}
    return sdp.write_answer(LOCAL, sdp.parse(offer), **settings)  # type: ignore[arg-type]


def test_an_offer_of_a_browser_is_read_with_opus_first_and_its_own_payload_types() -> None:
    remote = sdp.parse(BROWSER_OFFER)

    assert remote.audio_codec().payload_type == 111
    assert remote.event_codec() == sdp.Codec(110, "telephone-event", 48000)
    assert (remote.ufrag, remote.mid, remote.setup, remote.direction) == ("Zu5c", "0", "actpass", "sendrecv")
    assert remote.fingerprints == (("sha-256", "11:22:33"),)


def test_an_answer_takes_one_codec_and_its_keys_and_refuses_video_with_port_zero() -> None:
    answer = write_answer(BROWSER_OFFER)

    assert "m=audio 5000 UDP/TLS/RTP/SAVPF 111 110\r\n" in answer
    assert "m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n" in answer  # RFC 8866 §5.7
    assert "a=group:BUNDLE 0\r\n" in answer
    assert answer.index("m=audio") < answer.index("m=video")


def test_an_offer_without_mid_gets_an_answer_without_mid_in_its_own_profile() -> None:
    remote = sdp.parse(EDGE_OFFER)
    answer = write_answer(EDGE_OFFER)

    assert remote.mid is None
    assert "m=audio 5000 RTP/SAVPF 111 101\r\n" in answer
    assert "a=mid" not in answer
    assert "BUNDLE" not in answer


def test_keys_go_out_with_the_other_clock_if_the_far_end_takes_no_other() -> None:
    event = sdp.parse(EDGE_OFFER).event_codec()

    assert event is not None
    assert (event.payload_type, event.rate_hz) == (101, 8000)


def test_static_payload_types_need_no_rtpmap() -> None:
    offer = EDGE_OFFER.replace("a=rtpmap:111 OPUS/48000/2\r\n", "").replace("OPUS/16000", "xopus/16000")

    assert sdp.parse(offer).audio_codec() == sdp.Codec(0, "PCMU", 8000)


def test_our_own_offer_can_be_read_back() -> None:
    remote = sdp.parse(sdp.write_offer(LOCAL, session_id=1, version=3))

    assert remote.codecs == sdp.OFFERED
    assert (remote.ufrag, remote.password, remote.candidates) == ("abcd", "p" * 22, LOCAL.candidates)
    assert remote.fingerprints == (("sha-256", "AA:BB"),)


def test_a_later_offer_has_as_many_sections_as_there_were_each_in_its_place() -> None:
    head, _, rest = BROWSER_OFFER.partition("m=audio")
    audio, _, video = rest.partition("m=video")
    theirs = f"{head}m=video{video}m=audio{audio}"
    first = sdp.write_answer(LOCAL, sdp.parse(theirs), session_id=1, version=1, setup="active")

    again = sdp.write_offer(LOCAL, session_id=1, version=2, like=sdp.parse(first))

    lines = [line.split()[:2] for line in again.splitlines() if line.startswith("m=")]
    assert lines == [["m=video", "0"], ["m=audio", "5000"]]


def test_an_offer_without_candidates_is_good() -> None:
    lines = [line for line in BROWSER_OFFER.split("\r\n") if not line.startswith("a=candidate")]

    assert sdp.parse("\r\n".join(lines)).candidates == ()


def test_attributes_at_session_level_count_for_the_audio() -> None:
    moved = ["a=fingerprint:sha-256 11:22:33", "a=ice-ufrag:Zu5c", "a=setup:actpass"]
    lines = [line for line in BROWSER_OFFER.split("\r\n") if line not in moved]
    lines[4:4] = moved

    remote = sdp.parse("\r\n".join(lines))
    assert (remote.ufrag, remote.setup, remote.fingerprints) == (
        "Zu5c",
        "actpass",
        (("sha-256", "11:22:33"),),
    )


@pytest.mark.parametrize(
    ("theirs", "held", "ours"),
    [
        ("sendrecv", False, "sendrecv"),
        ("sendonly", False, "recvonly"),
        ("recvonly", False, "sendonly"),
        ("inactive", False, "inactive"),
        ("sendrecv", True, "sendonly"),
        ("sendonly", True, "inactive"),
    ],
)
def test_the_answer_mirrors_the_direction_and_receives_nothing_while_held(
    theirs: str, held: bool, ours: str
) -> None:
    answer = write_answer(BROWSER_OFFER.replace("a=sendrecv", f"a={theirs}"), held=held)

    assert sdp.parse(answer).direction == ours


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("m=audio 51824", "m=text 51824", "no audio"),
        ("m=audio 51824", "m=audio 0", "refused the audio"),
        ("m=audio 51824", "m=audio x", "cannot be read"),
        ("a=ice-ufrag:Zu5c", "a=x", "ICE credentials"),
        ("a=fingerprint:sha-256 11:22:33", "a=x", "fingerprint"),
        ("a=setup:actpass", "a=setup:holdconn", "holdconn"),
        ("a=candidate:842163049 1 udp 2113937151", "a=candidate:1 x udp y", "candidate cannot be read"),
        ("a=candidate:842163049 1 udp 2113937151", "a=candidate:", "candidate cannot be read"),
        ("a=candidate:842163049 1 udp 2113937151", f"a=candidate:1 1 udp {'9' * 5000}", "cannot be read"),
        (
            "m=audio 51824 UDP/TLS/RTP/SAVPF",
            f"m=audio 51824 UDP/TLS/RTP/SAVPF {'9' * 5000}",
            "cannot be read",
        ),
        ("111 63 9 0 8 13 110 126", "63 9 13 110 126", "no common codec"),
    ],
)
def test_an_offer_that_cannot_carry_a_call_is_refused_by_name(old: str, new: str, reason: str) -> None:
    assert old in BROWSER_OFFER
    with pytest.raises(SipError, match=reason):
        sdp.parse(BROWSER_OFFER.replace(old, new))


@given(
    st.lists(st.sampled_from([*BROWSER_OFFER.splitlines(), *EDGE_OFFER.splitlines()])), st.text(), st.data()
)
def test_whatever_arrives_is_read_or_refused(lines: list[str], noise: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(BROWSER_OFFER)))
    spoiled = BROWSER_OFFER[:place] + noise + BROWSER_OFFER[place + len(noise) :]
    for text in ("\r\n".join(lines), spoiled, noise):
        with contextlib.suppress(SipError):
            sdp.parse(text)


def test_ice_passwords_are_in_no_repr() -> None:
    assert "UoKsxmkMz4ghDcExrHEeh7JU" not in repr(sdp.parse(BROWSER_OFFER))
    assert "p" * 22 not in repr(dataclasses.replace(LOCAL, ssrc=8))


def test_a_codec_with_a_clock_of_thousands_of_digits_is_none() -> None:
    remote = sdp.parse(BROWSER_OFFER.replace("opus/48000/2", f"opus/{'9' * 5000}"))
    assert remote.audio_codec().name == "PCMU"
