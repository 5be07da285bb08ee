"""What the processes of the sound benchmark do: ``python -m coordinator.bench.sound_roles ROLE``.

They talk to the benchmark by lines of JSON; times are seconds. A call's ends are in processes of their own,
as they are in life, and whoever measures is in a third one.
"""

import asyncio
import contextlib
import json
import os
import random
import resource
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from agents.media.analysis import samples_of
from agents.media.base import FRAME_SAMPLES, RATE_HZ, Sink, Source
from agents.media.files import ToneSource
from agents.media.specs import parse_sink, parse_source
from agents.media.webrtc import WebRtcSession
from shared.actor import new_event_loop
from shared.clock import monotonic

_LOOPBACK = ("127.0.0.1",)
_LAG_SECONDS = 0.005
_BURST_SECONDS, _BURST_EVERY = 0.03, 0.3
_LOUD = 1500
_BLOCK = 240


def tell(**facts: object) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def asked() -> dict[str, Any]:
    """Return the next line of standard input; at its end raise :exc:`SystemExit`."""
    line = await asyncio.to_thread(sys.stdin.readline)
    if not line:
        raise SystemExit(0)
    facts: dict[str, Any] = json.loads(line)
    return facts


# -- calls -----------------------------------------------------------------------------------------------


async def calls(count: str, microphone: str, loudspeaker: str) -> None:
    """Have ``count`` calls with another process; say how late the event loop is, and what it costs."""
    sessions = [_session(microphone, loudspeaker) for _ in range(int(count))]
    try:
        await _connect(sessions)
        tell(event="connected")
        await _say_how_late()
    finally:  # a process that ends with a device open may hang
        for session in sessions:
            await session.close()


async def _say_how_late() -> None:
    """Measure for so many seconds whenever asked to."""
    while True:
        seconds = float((await asked())["seconds"])
        used, began = _processor_seconds(), monotonic()
        lags = await _lags(seconds)
        tell(lags=lags, processor=(_processor_seconds() - used) / (monotonic() - began))


def _session(microphone: str, loudspeaker: str) -> WebRtcSession:
    source: Source = parse_source(microphone)()
    sink: Sink = parse_sink(loudspeaker)()
    return WebRtcSession(source, sink, addresses=_LOOPBACK)


async def _connect(sessions: Sequence[WebRtcSession]) -> None:
    for session in sessions:
        facts = await asked()
        if "offer" in facts:
            tell(sdp=await session.answer(facts["offer"]))
        else:
            tell(sdp=await session.offer())
            await session.apply((await asked())["answer"])
    while not all(session.state == "connected" for session in sessions):  # noqa: ASYNC110 - nobody else is woken
        await asyncio.sleep(0.01)


async def _lags(seconds: float) -> list[float]:
    """Sleep again and again; return how much later than asked for each sleep ended."""
    loop, lags = asyncio.get_running_loop(), []
    deadline = monotonic() + seconds
    while (begun := monotonic()) < deadline:
        woken = loop.create_future()
        loop.call_later(_LAG_SECONDS, woken.set_result, None)
        await woken
        lags.append(max(monotonic() - begun - _LAG_SECONDS, 0.0))
    return lags


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def aiortc_calls(count: str) -> None:
    """The yardstick: the same with aiortc's own peer connections, as most programs use them."""
    import aioice.ice
    from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
    from aiortc.mediastreams import AudioStreamTrack, MediaStreamError

    # By itself it leaves loopback out, and this machine may have no other network.
    aioice.ice.get_host_addresses = lambda **_options: list(_LOOPBACK)
    peers, listeners = [], []

    class Tone(AudioStreamTrack):
        """The tone that our own calls say, in the frames that this track is made for."""

        def __init__(self) -> None:
            super().__init__()
            self._tone = ToneSource(440)

        async def recv(self) -> Any:
            frame: Any = await super().recv()
            pcm = self._tone.read()
            plane = frame.planes[0]
            plane.update((pcm * 4)[: plane.buffer_size])
            return frame

    async def listen(track: Any) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                await track.recv()

    for _ in range(int(count)):
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.on("track", lambda track: listeners.append(asyncio.ensure_future(listen(track))))
        peer.addTrack(Tone())
        peers.append(peer)
        facts = await asked()
        if "offer" in facts:
            await peer.setRemoteDescription(RTCSessionDescription(facts["offer"], "offer"))
            await peer.setLocalDescription(await peer.createAnswer())
            tell(sdp=peer.localDescription.sdp)
        else:
            await peer.setLocalDescription(await peer.createOffer())
            tell(sdp=peer.localDescription.sdp)
            await peer.setRemoteDescription(RTCSessionDescription((await asked())["answer"], "answer"))
    while not all(peer.connectionState == "connected" for peer in peers):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.01)
    tell(event="connected")
    try:
        await _say_how_late()
    finally:
        for peer in peers:
            await peer.close()


# -- mouth to ear ----------------------------------------------------------------------------------------


async def wire(microphone: str, loudspeaker: str) -> None:
    """The yardstick: one PortAudio stream that copies a microphone to a loudspeaker."""
    import sounddevice

    def copied(data: Any, out: Any, _frames: int, _time: Any, _status: Any) -> None:
        out[:] = bytes(data)

    stream = sounddevice.RawStream(
        device=(microphone, loudspeaker),
        samplerate=RATE_HZ,
        blocksize=FRAME_SAMPLES // 2,
        channels=1,
        dtype="int16",
        latency="low",
        callback=copied,
    )
    with contextlib.closing(stream):
        stream.start()
        tell(event="connected")
        await asked()


async def delays(mouth_speaker: str, mouth: str, ear: str) -> None:
    """Say bursts at uneven times; say how much later than by the mouth each is heard at the ear."""
    import sounddevice

    onsets = {name: _Onsets() for name in (mouth, ear)}
    streams = [_listen(sounddevice, name, heard) for name, heard in onsets.items()]
    speaker = _Bursts()
    streams.append(
        sounddevice.RawOutputStream(
            device=mouth_speaker,
            samplerate=RATE_HZ,
            blocksize=_BLOCK,
            channels=1,
            dtype="int16",
            latency="low",
            callback=speaker.wanted,
        )
    )
    streams[-1].start()
    with contextlib.ExitStack() as opened:
        for stream in streams:
            opened.callback(stream.close)
        while True:
            wanted = int((await asked())["bursts"])
            for heard in onsets.values():
                heard.times.clear()
            while len(onsets[ear].times) < wanted + 1:  # noqa: ASYNC110 - PortAudio wakes nobody
                await asyncio.sleep(0.05)
            tell(delays=_pairs(onsets[mouth].times, onsets[ear].times))


def _pairs(said: list[float], heard: list[float]) -> list[float]:
    """Return for each burst heard how long before it was said: the last one before, that is."""
    found = []
    for at in heard:
        before = [begin for begin in said if begin < at]
        if before:
            found.append(at - before[-1])
    return found


class _Onsets:
    """When sound began after silence, on one microphone."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._quiet = RATE_HZ

    def captured(self, data: Any, _frames: int, _time: Any, _status: Any) -> None:
        samples, now = samples_of(bytes(data)), monotonic()
        for index, sample in enumerate(samples):
            if abs(sample) < _LOUD:
                self._quiet += 1
                continue
            if self._quiet > RATE_HZ * 0.15:
                self.times.append(now - (len(samples) - index) / RATE_HZ)
            self._quiet = 0


class _Bursts:
    """Short tones at uneven times: even ones would always meet the same moment of a 20 ms frame."""

    def __init__(self) -> None:
        tone, length = ToneSource(1000, level=0.5), int(RATE_HZ * _BURST_SECONDS) * 2
        self._burst = b"".join(tone.read() for _ in range(2))[:length]
        self._rest = b""
        self._silence = RATE_HZ
        self._rng = random.Random(1)

    def wanted(self, out: Any, frames: int, _time: Any, _status: Any) -> None:
        size = frames * 2
        if len(self._rest) < size:
            gap = int(RATE_HZ * self._rng.uniform(_BURST_EVERY, _BURST_EVERY * 1.5))
            self._rest += bytes(gap * 2) + self._burst
        out[:], self._rest = self._rest[:size], self._rest[size:]


def _listen(sounddevice: Any, name: str, heard: _Onsets) -> Any:
    stream = sounddevice.RawInputStream(
        device=name,
        samplerate=RATE_HZ,
        blocksize=_BLOCK,
        channels=1,
        dtype="int16",
        latency="low",
        callback=heard.captured,
    )
    stream.start()
    return stream


# -- one after the other ---------------------------------------------------------------------------------


async def series(group: str, account: str, number: str) -> None:
    """Join, and have calls one after the other; say what this process holds when asked."""
    from coordinator.node import join

    async with join(group, account=account, microphone="tone:440", loudspeaker="none") as phone:
        await phone.until(lambda: any(window.media for window in phone.windows))
        while "calls" in (facts := await asked()):
            for _ in range(int(facts["calls"])):
                call = await phone.call(number)
                await call.connected()
                await call.hangup()
            await phone.until(lambda: not phone.snapshot or not phone.snapshot.calls)
            tell(**_held())


def _held() -> dict[str, float]:
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[1])
    return {
        "mb": pages * resource.getpagesize() / (1 << 20),
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


ROLES: dict[str, Callable[..., Any]] = {
    "aiortc_calls": aiortc_calls,
    "calls": calls,
    "delays": delays,
    "series": series,
    "wire": wire,
}


def main() -> None:
    """Play the role that the command line names, with the rest as its arguments."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(ROLES[sys.argv[1]](*sys.argv[2:]))


if __name__ == "__main__":
    main()
