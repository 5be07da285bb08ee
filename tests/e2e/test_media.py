"""Real sound over real sockets on 127.0.0.1: agents.media.webrtc against itself and aiortc's own peer."""

import asyncio
import contextlib
import gc
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError

from agents.media import specs
from agents.media.analysis import find_tones, rms_level, similarity, tone_level
from agents.media.base import FRAME_BYTES, MediaState, Sink, Source
from agents.media.files import Silence, ToneSource, WavSink, WavSource, read_wav
from agents.media.quality import QualityMeter
from agents.media.webrtc import WebRtcSession
from shared.actor import new_event_loop
from shared.errors import MediaError, SipError

LOOPBACK = ("127.0.0.1",)


class Ear:
    """A sink that remembers, and can be waited for."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed = 0

    def write(self, frame: bytes) -> None:
        self.frames.append(frame)

    def close(self) -> None:
        self.closed += 1

    async def hears(self, what: Callable[[bytes], bool]) -> None:
        """Return once the newest five frames are ``what``."""
        await until(lambda: what(b"".join(self.frames[-5:])) and len(self.frames) >= 5)

    async def listen(self, frames: int) -> bytes:
        """Return the next ``frames`` frames."""
        first = len(self.frames)
        await until(lambda: len(self.frames) >= first + frames)
        return b"".join(self.frames[first : first + frames])


def hears_tone(hz: float) -> Callable[[bytes], bool]:
    return lambda pcm: tone_level(pcm, hz) > 0.15


def is_silent(pcm: bytes) -> bool:
    return rms_level(pcm) < 0.0005


async def until(condition: Callable[[], bool], *, within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - sound has no event to wait for
            await asyncio.sleep(0.002)


class Pair:
    """Two connected sessions and what they told."""

    def __init__(self, one: Source, other: Source, **options: Any) -> None:
        self.ears = Ear(), Ear()
        self.states: tuple[list[MediaState], list[MediaState]] = ([], [])
        self.tones: tuple[list[str], list[str]] = ([], [])
        self.one, self.other = (
            WebRtcSession(
                source,
                self.ears[index],
                addresses=LOOPBACK,
                on_state=self.states[index].append,
                on_tone=self.tones[index].append,
                **options,
            )
            for index, source in enumerate((one, other))
        )

    async def connect(
        self, edit: Callable[[str], str] = str, edit_answer: Callable[[str], str] = str
    ) -> None:
        await self.one.apply(edit_answer(await self.other.answer(edit(await self.one.offer()))))
        await until(lambda: self.one.state == self.other.state == "connected")


@contextlib.asynccontextmanager
async def pair(one: Source | None = None, other: Source | None = None, **options: Any) -> AsyncIterator[Pair]:
    both = Pair(one or ToneSource(440), other or ToneSource(880), **options)
    try:
        yield both
    finally:
        await both.one.close()
        await both.other.close()


def without(*names: str) -> Callable[[str], str]:
    """Return what removes the lines that begin so."""
    return lambda sdp: "".join(
        line
        for line in sdp.splitlines(keepends=True)
        if not line.startswith(tuple(f"a={name}" for name in names))
    )


def test_two_sessions_connect_and_hear_each_other() -> None:
    async def main() -> None:
        async with pair() as both:
            await both.connect()
            await both.ears[1].hears(hears_tone(440))
            await both.ears[0].hears(hears_tone(880))
            assert both.states == (["connecting", "connected"], ["connecting", "connected"])
        assert (both.states[0][-1], both.states[1][-1]) == ("closed", "closed")
        assert [ear.closed for ear in both.ears] == [1, 1]

    asyncio.run(main())


FAR_END = """
import asyncio, sys
from agents.media.specs import FAREWELL, open_session

async def main():
    done = asyncio.Event()
    session = open_session(
        f"wav:{FAREWELL}", f"wav:{sys.argv[1]}", addresses=("127.0.0.1",),
        on_state=lambda state: done.set() if state in ("failed", "closed") else None,
    )
    sdp = sys.stdin.read().replace("\\n", "\\r\\n")
    print((await session.answer(sdp)).replace("\\r\\n", "\\n") + "END", flush=True)
    await done.wait()
    await session.close()

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def far_process(session: WebRtcSession, recording: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Connect ``session`` with one in another process, which plays the farewell and records."""
    far = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FAR_END, recording, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert far.stdin is not None
        assert far.stdout is not None
        far.stdin.write((await session.offer()).replace("\r\n", "\n").encode())
        far.stdin.close()
        answer = (await far.stdout.readuntil(b"END")).removesuffix(b"END").decode()
        await session.apply(answer.replace("\n", "\r\n"))
        await until(lambda: session.state == "connected")
        yield far
    finally:
        await session.close()
        await asyncio.wait_for(far.wait(), 20)


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


def test_sound_that_has_ended_is_freed_without_the_garbage_collector() -> None:
    async def main() -> None:
        gc.collect()
        gc.disable()  # it comes seldom, and does not see how much C code holds
        try:
            async with pair() as both:
                await both.connect()
                await both.ears[0].hears(hears_tone(880))
                parts = [(one, one._send, one._receive) for one in (both.one, both.other)]
                ended: list[weakref.ref[Any]] = [weakref.ref(part) for three in parts for part in three]
                del parts
                heard = both.one.counts.received
            assert both.one.counts.received >= heard > 0  # they are still told
            del both
            await until(lambda: not any(session() for session in ended))
            assert not unreachable()
        finally:
            gc.enable()

    asyncio.run(main())


def unreachable() -> list[object]:
    """Return what only the garbage collector can free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = list(gc.garbage)
    gc.garbage.clear()
    return found


def test_the_event_loop_remembers_no_address_of_a_call() -> None:
    def addresses() -> int:
        caches = [known for known in gc.get_objects() if type(known) is OrderedDict]
        return sum(type(value).__name__ == "SockAddrHolder" for known in caches for value in known.values())

    async def main() -> None:
        before = addresses()
        async with pair() as both:
            await both.connect()
            await both.ears[0].hears(hears_tone(880))
        assert addresses() == before

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


def test_hold_silences_both_directions_and_unhold_restores_them() -> None:
    async def main() -> None:
        async with pair() as both:
            await both.connect()
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
        async with pair() as both:
            await both.connect()
            await both.ears[1].hears(hears_tone(440))
            both.one.mute(True)
            await both.ears[1].hears(is_silent)
            await both.ears[0].hears(hears_tone(880))
            both.one.mute(False)
            await both.ears[1].hears(hears_tone(440))

    asyncio.run(main())


def test_telephone_keys_arrive_once_each_and_in_both_directions() -> None:
    async def main() -> None:
        async with pair() as both:
            await both.connect()
            await asyncio.gather(both.one.dtmf("159#"), both.other.dtmf("*0d"))
            await until(lambda: both.tones == (["*", "0", "D"], ["1", "5", "9", "#"]))
            # Keys take the place of sound, and are no losses.
            assert both.other.counts.lost == 0
            await both.ears[1].hears(hears_tone(440))

    asyncio.run(main())


@pytest.mark.parametrize("ends", ["far end", "new connection", "close"])
def test_keys_that_did_not_all_go_out_are_not_reported_as_sent(ends: str) -> None:
    async def main() -> None:
        async with pair() as both:
            await both.connect()
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
        async with pair() as both:
            await both.connect()
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


def test_an_answer_without_any_candidate_connects_by_the_checks_that_arrive() -> None:
    async def main() -> None:
        async with pair() as both:
            await both.connect(edit_answer=without("candidate"))
            await both.ears[0].hears(hears_tone(880))
            await both.ears[1].hears(hears_tone(440))

    asyncio.run(main())


def test_an_offer_without_any_candidate_connects_too() -> None:
    async def main() -> None:
        async with pair() as both:
            await both.connect(edit=without("candidate"))
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


def test_a_far_end_that_says_goodbye_is_closed_at_once() -> None:
    async def main() -> None:
        async with pair() as both:
            await both.connect()
            await both.one.close()
            await until(lambda: both.other.state == "closed", within=2)

    asyncio.run(main())


def test_a_quiet_far_end_that_lives_is_not_failed() -> None:
    async def main() -> None:
        async with pair(dead_after=0.6) as both:
            await both.connect()
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
        async with pair() as both:
            await both.connect()
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
        async with pair() as both:
            await both.connect()
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
        async with pair() as both:
            await both.connect()
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
        async with pair() as both:
            await both.connect()
            await both.ears[1].hears(hears_tone(440))
            try:
                await successor.apply(await both.other.answer(await successor.offer()))
                await both.ears[1].hears(hears_tone(660))
                await ear.hears(hears_tone(880))
            finally:
                await successor.close()

    asyncio.run(main())


class Starving:
    """A source that gives a frame now and then, and once something of the wrong size."""

    def __init__(self) -> None:
        self._count = 0

    def read(self) -> bytes:
        self._count += 1
        return b"" if self._count % 3 else bytes(FRAME_BYTES if self._count % 2 else 10)

    def close(self) -> None:
        pass


def test_a_source_that_starves_sends_silence_in_time() -> None:
    async def main() -> None:
        async with pair(one=Starving()) as both:
            await both.connect()
            assert is_silent(await both.ears[1].listen(50))
            assert both.one.counts.sent >= 45

    asyncio.run(main())


class Breaking(Starving):
    """A source whose device is gone."""

    def read(self) -> bytes:
        raise MediaError("unplugged")


def test_a_source_and_a_sink_that_break_do_not_take_the_call_down() -> None:
    class Full(Ear):
        def write(self, frame: bytes) -> None:
            raise MediaError("full")

    async def main() -> None:
        broken = WebRtcSession(Breaking(), Full(), addresses=LOOPBACK)
        ear = Ear()
        whole = WebRtcSession(ToneSource(440), ear, addresses=LOOPBACK)
        try:
            await whole.apply(await broken.answer(await whole.offer()))
            assert is_silent(await ear.listen(30))
            assert broken.state == "connected"
        finally:
            await broken.close()
            await whole.close()

    asyncio.run(main())


def test_a_callback_that_raises_does_not_end_the_connection() -> None:
    async def main() -> None:
        def broken(_what: str) -> None:
            raise RuntimeError("a bug in a program")

        ear, far_ear = Ear(), Ear()
        ours = WebRtcSession(ToneSource(440), ear, addresses=LOOPBACK, on_state=broken, on_tone=broken)
        far = WebRtcSession(ToneSource(880), far_ear, addresses=LOOPBACK)
        try:
            await far.apply(await ours.answer(await far.offer()))
            await ear.hears(hears_tone(880))
            await far.dtmf("1")
            await ear.hears(hears_tone(880))
            await far_ear.hears(hears_tone(440))
        finally:
            await far.close()
            await ours.close()

    asyncio.run(main())


def test_a_close_that_is_given_up_leaves_no_microphone_open() -> None:
    async def main() -> None:
        async with pair() as both:
            await both.connect()
            assert both.one._link is not None
            address = both.one._link.address
            closing = asyncio.create_task(both.one.close())
            await asyncio.sleep(0)
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
            assert both.ears[0].closed == 1
            await both.one.close()  # waits for the end of what went on in the background
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as successor:
                successor.bind(address)

    asyncio.run(main())


def datagrams_of_strangers() -> list[bytes]:
    """Return what aioice or aiortc stumble over: nothing, too much, STUN attributes cut short."""
    cut = [
        struct.pack("!HHI12sHH", 1, 8, 0x2112A442, b"x" * 12, kind, 2) + bytes(4) for kind in (0x24, 0x8029)
    ]
    return [b"", b"\x80", b"\x80\x6f" + bytes(5000), b"\x80\xc8" + bytes(5000), b"\x16" + bytes(9000), *cut]


@pytest.mark.parametrize("is_small", [True, False])
def test_what_strangers_send_to_the_address_of_a_call_does_not_end_it(is_small: bool) -> None:
    async def main() -> None:
        errors: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
        async with pair() as both:
            await both.connect()
            assert both.other._link is not None
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for datagram in datagrams_of_strangers():
                    stranger.sendto(datagram, both.other._link.address)
            await both.ears[1].listen(10)
            await both.ears[1].hears(hears_tone(440))
            assert both.other.state == "connected"
        assert errors == []

    with asyncio.Runner(loop_factory=lambda: new_event_loop(is_small=is_small)) as runner:
        runner.run(main())


def test_closing_in_the_middle_of_an_answer_leaves_nothing_open() -> None:
    async def main() -> None:
        async with pair() as both:
            answering = asyncio.create_task(both.other.answer(await both.one.offer()))
            await asyncio.sleep(0)
            await both.other.close()
            with pytest.raises(MediaError, match="closed"):
                await answering
            assert both.other._link is None

    asyncio.run(main())


def test_frames_keep_real_time_without_drift() -> None:
    async def main() -> None:
        async with pair() as both:
            await both.connect()
            loop = asyncio.get_running_loop()
            first, begun = both.one.counts.sent, loop.time()
            await both.ears[0].listen(150)
            sent, took = both.one.counts.sent - first, loop.time() - begun
            assert abs(sent * 0.02 - took) < 0.15

    asyncio.run(main())


def test_what_was_missed_while_the_process_stood_still_is_skipped_not_sent_late() -> None:
    async def main() -> None:
        async with pair() as both:
            await both.connect()
            await both.ears[0].hears(hears_tone(880))
            before = both.one.counts.sent
            subprocess.run([sys.executable, "-c", "import time; time.sleep(1.0)"], check=True)  # noqa: ASYNC221
            await asyncio.sleep(0)
            await both.ears[0].listen(10)
            assert both.one.counts.sent - before < 40

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


def test_fifty_sessions_leave_no_task_no_thread_and_no_descriptor_behind() -> None:
    async def main() -> None:
        def counts() -> tuple[int, int, int]:
            descriptors = len(os.listdir("/dev/fd"))
            return len(asyncio.all_tasks()), threading.active_count(), descriptors

        async def once() -> None:
            async with pair() as both:
                await both.connect()
                await both.ears[0].listen(2)

        await once()
        before = counts()
        for _ in range(25):
            await once()
        for _ in range(5):  # and one that is offered, never answered
            session = WebRtcSession(Silence(), Ear(), addresses=LOOPBACK)
            await session.offer()
            await session.close()
        assert counts() == before

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


def test_the_interface_is_kept() -> None:
    source: Source = Silence()
    sink: Sink = Ear()
    assert source.read() == b""
    sink.close()


def test_both_ends_of_a_lossy_line_know_how_much_is_lost_and_hear_each_other_all_the_same() -> None:
    def lossy(link: Any, rng: random.Random) -> None:
        post = link.post

        def sometimes(packet: bytes) -> bool:
            return rng.random() < 0.2 or post(packet)

        link.post = sometimes

    async def main() -> None:
        async with pair() as both:
            await both.connect()
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
