"""Two ends of a call hear each other on 127.0.0.1: agents.media.webrtc, and aiortc's own peer."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError

from agents.media import specs
from agents.media.analysis import find_tones, rms_level, similarity, tone_level
from agents.media.files import ToneSource, WavSink, WavSource, read_wav
from agents.media.quality import QualityMeter
from agents.media.webrtc import WebRtcSession
from shared.errors import MediaError

from .far_end import far_process
from .sound_pair import LOOPBACK, Ear, connected, hears_tone, is_silent, pair, until, without


def test_two_sessions_connect_and_hear_each_other() -> None:
    async def main() -> None:
        async with connected() as both:
            await both.ears[1].hears(hears_tone(440))
            await both.ears[0].hears(hears_tone(880))
            assert both.states == (["connecting", "connected"], ["connecting", "connected"])
        assert (both.states[0][-1], both.states[1][-1]) == ("closed", "closed")
        assert [ear.closed for ear in both.ears] == [1, 1]

    asyncio.run(main())


def test_speech_crosses_between_two_processes_and_is_recognised_on_both_sides(tmp_path: Path) -> None:
    async def main() -> None:
        source, sink = WavSource(specs.GREETING), WavSink(tmp_path / "here.wav")
        session = WebRtcSession(source, sink, addresses=LOOPBACK)
        async with far_process(session, tmp_path / "there.wav"):
            await until(lambda: sink.seconds > 5.0)

    asyncio.run(main())
    for heard, said, tones in [
        ("here.wav", specs.FAREWELL, specs.FAREWELL_TONES_HZ),
        ("there.wav", specs.GREETING, specs.GREETING_TONES_HZ),
    ]:
        received = read_wav(tmp_path / heard)
        assert similarity(read_wav(said), received).score > 0.9
        assert None not in find_tones(received, tones).values()


def test_nothing_is_sent_to_a_far_end_that_holds_on_the_connection_that_there_is() -> None:
    async def main() -> None:
        async with connected() as both:
            await both.ears[1].hears(hears_tone(440))
            offer = both.other.local_sdp or ""
            await both.one.apply(offer.replace("a=sendrecv", "a=sendonly"))
            sent = both.one.counts.sent
            await both.ears[0].listen(25)  # half a second, in which the far end goes on sending
            assert both.one.counts.sent == sent
            await both.one.apply(offer)
            await both.ears[1].hears(hears_tone(440))
            assert both.one.counts.sent > sent

    asyncio.run(main())


def test_hold_silences_both_directions_and_unhold_restores_them() -> None:
    async def main() -> None:
        async with connected() as both:
            await both.ears[0].hears(hears_tone(880))
            both.one.hold(True)
            await both.ears[0].hears(is_silent)
            await both.ears[1].hears(is_silent)
            assert is_silent(await both.ears[0].listen(10))
            assert is_silent(await both.ears[1].listen(10))
            both.one.hold(False)
            await both.ears[0].hears(hears_tone(880))
            await both.ears[1].hears(hears_tone(440))

    asyncio.run(main())


def test_mute_silences_only_what_we_say() -> None:
    async def main() -> None:
        async with connected() as both:
            await both.ears[1].hears(hears_tone(440))
            both.one.mute(True)
            await both.ears[1].hears(is_silent)
            await both.ears[0].hears(hears_tone(880))
            both.one.mute(False)
            await both.ears[1].hears(hears_tone(440))

    asyncio.run(main())


def test_telephone_keys_arrive_once_each_and_in_both_directions() -> None:
    async def main() -> None:
        async with connected() as both:
            await asyncio.gather(both.one.dtmf("159#"), both.other.dtmf("*0d"))
            await until(lambda: both.tones == (["*", "0", "D"], ["1", "5", "9", "#"]))
            # Keys take the place of sound, and are no losses.
            assert both.other.counts.lost == 0
            await both.ears[1].hears(hears_tone(440))

    asyncio.run(main())


@pytest.mark.parametrize("ends", ["far end", "new connection", "close"])
def test_keys_that_did_not_all_go_out_are_not_reported_as_sent(ends: str) -> None:
    async def main() -> None:
        async with connected() as both:
            sending = asyncio.create_task(both.one.dtmf("0123456789"))
            await until(lambda: bool(both.tones[1]))
            if ends == "far end":
                await both.other.close()
            elif ends == "new connection":
                await both.connect()
            else:
                await both.one.close()
            with pytest.raises(MediaError, match="not all keys"):
                await sending

    asyncio.run(main())


def test_a_far_end_that_hangs_up_while_it_hears_the_last_key_has_got_them_all() -> None:
    async def main() -> None:
        async with connected() as both:
            sending = asyncio.create_task(both.one.dtmf("12"))
            await until(lambda: both.tones[1] == ["1", "2"])
            await both.other.close()
            await sending

    asyncio.run(main())


def test_keys_are_refused_where_they_cannot_go() -> None:
    async def main() -> None:
        async with pair() as both:
            with pytest.raises(MediaError, match="not connected"):
                await both.one.dtmf("1")
            await both.connect(edit_answer=without("rtpmap:110", "rtpmap:101"))
            with pytest.raises(MediaError, match="takes no telephone keys"):
                await both.one.dtmf("1")
            with pytest.raises(MediaError, match="no telephone key"):
                await both.other.dtmf("x")

    asyncio.run(main())


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_g711_carries_sound_where_the_far_end_has_no_opus(codec: str) -> None:
    async def main() -> None:
        async with pair() as both:
            payload_type = {"PCMU": 0, "PCMA": 8}[codec]
            await both.connect(edit=lambda sdp: sdp.replace(" 111 0 8 ", f" {payload_type} "))
            assert f"{codec}/8000" in (both.other.local_sdp or "")
            await both.ears[0].hears(hears_tone(880))
            await both.ears[1].hears(hears_tone(440))
            await both.one.dtmf("7")
            await until(lambda: both.tones[1] == ["7"])

    asyncio.run(main())


@pytest.fixture
def aiortc_on_loopback(monkeypatch: pytest.MonkeyPatch) -> Callable[[], RTCPeerConnection]:
    """aiortc's own peer connection, which by itself would leave loopback out."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
    return lambda: RTCPeerConnection(RTCConfiguration(iceServers=[]))


@pytest.mark.parametrize("who_offers", ["we", "they"])
def test_aiortcs_own_peer_connection_hears_us_and_is_heard(
    who_offers: str, aiortc_on_loopback: Callable[[], RTCPeerConnection]
) -> None:
    class Hum(AudioStreamTrack):
        async def recv(self) -> Any:
            frame = await super().recv()
            assert hasattr(frame, "planes")
            tone = ToneSource(500).read()[: frame.planes[0].buffer_size]
            frame.planes[0].update(tone + bytes(frame.planes[0].buffer_size - len(tone)))
            return frame

    async def main() -> None:
        peer, ear = aiortc_on_loopback(), Ear()
        heard: list[bytes] = []
        listeners: list[asyncio.Task[None]] = []

        async def listen(track: Any) -> None:
            with contextlib.suppress(MediaStreamError):
                while True:
                    frame = await track.recv()
                    heard.append(bytes(frame.planes[0])[: frame.samples * 4])

        peer.on("track", lambda track: listeners.append(asyncio.ensure_future(listen(track))))
        peer.addTrack(Hum())
        ours = WebRtcSession(ToneSource(440), ear, addresses=LOOPBACK)
        try:
            if who_offers == "we":
                await peer.setRemoteDescription(RTCSessionDescription(await ours.offer(), "offer"))
                await peer.setLocalDescription(await peer.createAnswer())
                await ours.apply(peer.localDescription.sdp)
            else:
                await peer.setLocalDescription(await peer.createOffer())
                answer = await ours.answer(peer.localDescription.sdp)
                await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await until(lambda: rms_level(b"".join(heard[-5:])) > 0.1)
            await ear.hears(lambda pcm: rms_level(pcm) > 0.02)
        finally:
            await peer.close()
            await until(lambda: ours.state == "closed")
            await ours.close()
            await asyncio.gather(*listeners)

    asyncio.run(main())


def test_both_ends_of_a_lossy_line_know_how_much_is_lost_and_hear_each_other_all_the_same() -> None:
    def lossy(link: Any, rng: random.Random) -> None:
        post = link.post

        def sometimes(packet: bytes) -> bool:
            return rng.random() < 0.2 or post(packet)

        link.post = sometimes

    async def main() -> None:
        async with connected() as both:
            lossy(both.one._link, random.Random(4))
            await until(lambda: both.one.counts.loss_there is not None and both.one.counts.sent > 250)
            there, here = both.other.counts, both.one.counts
            assert 0.1 < there.lost / there.expected < 0.3
            assert here.lost == 0
            assert there.recovered + there.concealed >= there.lost - 3
            await until(lambda: None not in (both.one.counts.round_trip, both.other.counts.round_trip))
            assert (both.one.counts.round_trip or 9) < 0.05
            meter = QualityMeter()
            lost, good = meter.sample(both.other.counts), QualityMeter().sample(both.one.counts)
            assert lost.mos is not None
            assert good.mos is not None
            assert 1.5 < lost.mos < 4.2 < good.mos
            heard = await both.ears[1].listen(50)
            assert tone_level(heard, 440) > 0.12

    asyncio.run(main())
