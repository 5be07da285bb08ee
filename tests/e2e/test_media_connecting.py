"""How two ends of a call find each other, what a re-INVITE changes, and how the end of one is noticed."""

import asyncio
from pathlib import Path

import pytest

from agents.media.analysis import tone_level
from agents.media.base import Sink, Source
from agents.media.files import Silence, ToneSource, read_wav
from agents.media.webrtc import WebRtcSession
from shared.errors import MediaError, SipError

from .far_end import far_process
from .sound_pair import LOOPBACK, Ear, connected, hears_tone, is_silent, pair, until, without


def test_a_far_end_that_is_killed_is_failed_in_bounded_time_and_its_recording_is_readable(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        session = WebRtcSession(ToneSource(440), Ear(), addresses=LOOPBACK, dead_after=1.0)
        async with far_process(session, tmp_path / "there.wav") as far:
            await until(lambda: session.counts.sent > 100)
            far.kill()
            await until(lambda: session.state == "failed", within=5)

    asyncio.run(main())
    assert tone_level(read_wav(tmp_path / "there.wav")[-96000:], 440) > 0.1


def test_an_answer_without_any_candidate_connects_by_the_checks_that_arrive() -> None:
    async def main() -> None:
        async with connected(edit_answer=without("candidate")) as both:
            await both.ears[0].hears(hears_tone(880))
            await both.ears[1].hears(hears_tone(440))

    asyncio.run(main())


def test_an_offer_without_any_candidate_connects_too() -> None:
    async def main() -> None:
        async with connected(edit=without("candidate")) as both:
            await both.ears[1].hears(hears_tone(440))

    asyncio.run(main())


def test_descriptions_as_the_ringcentral_edge_writes_them_connect() -> None:
    def as_the_edge(sdp: str) -> str:
        lines = without("mid:", "group:", "end-of-candidates")(sdp)
        return lines.replace("UDP/TLS/RTP/SAVPF", "RTP/SAVPF").replace("opus/", "OPUS/")

    async def main() -> None:
        async with pair() as both:
            await both.connect(as_the_edge, as_the_edge)
            await both.ears[0].hears(hears_tone(880))
            assert "a=mid" not in (both.other.local_sdp or "")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [("sha-1", "connected"), ("sha-1 wrong", "failed"), ("sha-256 wrong", "failed"), ("sha-256 é", "failed")],
)
def test_a_far_end_is_accepted_by_its_fingerprint_alone(algorithm: str, expected: str) -> None:
    async def main() -> None:
        async with pair() as both:
            offer = await both.one.offer()
            certificate = both.one._offered._dtls._RTCDtlsTransport__local_certificate._cert  # type: ignore[union-attr]
            name, _, wrong = algorithm.partition(" ")
            from cryptography.hazmat.primitives import hashes

            digest = certificate.fingerprint(hashes.SHA1() if name == "sha-1" else hashes.SHA256())
            value = ":".join(f"{byte ^ (1 if wrong else 0):02X}" for byte in digest)
            value = wrong if wrong == "é" else value
            lines = [
                f"a=fingerprint:{name} {value}" if line.startswith("a=fingerprint") else line
                for line in offer.splitlines()
            ]
            await both.one.apply(await both.other.answer("\r\n".join(lines)))
            await until(lambda: both.other.state == expected)

    asyncio.run(main())


def test_a_far_end_that_says_goodbye_is_closed_at_once() -> None:
    async def main() -> None:
        async with connected() as both:
            await both.one.close()
            await until(lambda: both.other.state == "closed", within=2)

    asyncio.run(main())


def test_a_quiet_far_end_that_lives_is_not_failed() -> None:
    async def main() -> None:
        async with connected(dead_after=0.6) as both:
            assert both.one._clock is not None
            both.one._clock.cancel()  # it sends no packet any more, but answers consent checks
            quiet_since = len(both.ears[1].frames)
            await until(lambda: len(both.ears[1].frames) > quiet_since + 100)
            assert both.other.state == "connected"

    asyncio.run(main())


def test_a_connection_that_nobody_answers_fails_in_bounded_time() -> None:
    async def main() -> None:
        async with pair(connect_timeout=0.3) as both:
            answer = await both.other.answer(await both.one.offer())
            await both.one.close()
            assert answer
            await until(lambda: both.other.state == "failed", within=5)

    asyncio.run(main())


def test_a_reinvite_with_the_same_credentials_keeps_the_connection_and_obeys_the_direction() -> None:
    async def main() -> None:
        async with connected() as both:
            await both.ears[0].hears(hears_tone(880))
            held = (both.one.local_sdp or "").replace("a=sendrecv", "a=sendonly")
            answer = await both.other.answer(held)
            assert "a=recvonly" in answer
            assert "a=setup:active" in answer
            await both.one.apply(answer)
            await both.ears[0].hears(is_silent)
            await both.ears[1].hears(hears_tone(440))
            await both.other.answer(both.one.local_sdp or "")
            await both.ears[0].hears(hears_tone(880))
            assert both.states[1] == ["connecting", "connected"]

    asyncio.run(main())


def test_a_reinvite_with_the_same_credentials_may_change_the_codec() -> None:
    async def main() -> None:
        async with connected() as both:
            await both.ears[1].hears(hears_tone(440))
            assert (both.one.counts.codec, both.other.counts.codec) == ("opus", "opus")
            assert both.one.local_sdp is not None
            without_opus = both.one.local_sdp.replace("UDP/TLS/RTP/SAVPF 111 0 8", "UDP/TLS/RTP/SAVPF 0 8")
            answer = await both.other.answer(without_opus)
            await both.one.apply(answer)
            assert "PCMU/8000" in answer
            assert (both.one.counts.codec, both.other.counts.codec) == ("pcmu", "pcmu")
            for ear, hz in zip(both.ears, (880, 440), strict=True):
                await ear.listen(10)
                await ear.hears(hears_tone(hz))

    asyncio.run(main())


def test_a_reinvite_with_new_credentials_moves_the_sound_to_a_new_connection() -> None:
    async def main() -> None:
        async with connected() as both:
            await both.ears[0].hears(hears_tone(880))
            await both.connect()
            await until(lambda: both.states[1] == ["connecting", "connected", "connecting", "connected"])
            await both.ears[0].hears(hears_tone(880))
            await both.ears[1].hears(hears_tone(440))
            assert [ear.closed for ear in both.ears] == [0, 0]

    asyncio.run(main())


def test_another_session_takes_the_place_of_one_that_died() -> None:
    async def main() -> None:
        ear = Ear()
        successor = WebRtcSession(ToneSource(660), ear, addresses=LOOPBACK)
        async with connected() as both:
            await both.ears[1].hears(hears_tone(440))
            try:
                await successor.apply(await both.other.answer(await successor.offer()))
                await both.ears[1].hears(hears_tone(660))
                await ear.hears(hears_tone(880))
            finally:
                await successor.close()

    asyncio.run(main())


def test_a_closed_session_refuses_and_an_unusable_description_changes_nothing() -> None:
    async def main() -> None:
        async with pair() as both:
            with pytest.raises(SipError):
                await both.other.answer("v=0\r\n")
            await both.connect()
        await both.one.close()
        with pytest.raises(MediaError, match="closed"):
            await both.one.offer()

    asyncio.run(main())


def test_an_address_that_is_not_ours_is_a_media_error() -> None:
    async def main() -> None:
        session = WebRtcSession(Silence(), Ear(), addresses=("192.0.2.1",))
        with pytest.raises(MediaError, match="no network address"):
            await session.offer()
        await session.close()

    asyncio.run(main())


def test_the_interface_is_kept() -> None:
    source: Source = Silence()
    sink: Sink = Ear()
    assert source.read() == b""
    sink.close()
