"""Run by a test in a sound system of its own: change devices in mid-call, and print the gaps as JSON."""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import sounddevice

from agents.media.analysis import rms_level
from agents.media.base import FRAME_SAMPLES, RATE_HZ
from agents.media.devices import list_devices
from agents.media.files import ToneSource
from agents.media.webrtc import WebRtcSession
from coordinator.sound import DeviceManager, WindowSound
from shared.config import Account, load_settings
from shared.log import configure_logging

ACCOUNT = Account(authorization_id="1", domain="d", outbound_proxy="127.0.0.1:1", username="u", password="p")


class Listener:
    """Listens to several microphones at once; all frames have their time."""

    def __init__(self, *names: str) -> None:
        self.heard: list[tuple[float, float]] = []  # when, and how loud it was on the loudest of them
        self._streams = [self._open(name) for name in names]

    def _open(self, name: str) -> Any:
        def captured(data: Any, _frames: int, _time: Any, _status: Any) -> None:
            self.heard.append((time.monotonic(), rms_level(bytes(data))))

        stream = sounddevice.RawInputStream(
            device=name,
            samplerate=RATE_HZ,
            blocksize=240,
            channels=1,
            dtype="int16",
            latency="low",
            callback=captured,
        )
        stream.start()
        return stream

    def close(self) -> None:
        for stream in self._streams:
            stream.close()


class Ear:
    """The far end's: remembers when it heard something."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, float]] = []

    def write(self, frame: bytes) -> None:
        self.heard.append((time.monotonic(), rms_level(frame)))

    def close(self) -> None:
        pass


def gap(heard: list[tuple[float, float]], first: float, last: float) -> float:
    """Return the longest time without sound between two moments."""
    loud = sorted(at for at, level in heard if level > 0.05 and first <= at <= last)
    return max((b - a for a, b in itertools.pairwise(loud)), default=last - first)


def play_everywhere(*names: str) -> list[Any]:
    """Play a tone on these loudspeakers."""

    def player(name: str) -> Any:
        tone = ToneSource(440)

        def wanted(out: Any, _frames: int, _time: Any, _status: Any) -> None:
            out[:] = tone.read()

        stream = sounddevice.RawOutputStream(
            device=name,
            samplerate=RATE_HZ,
            blocksize=FRAME_SAMPLES,
            channels=1,
            dtype="int16",
            latency="low",
            callback=wanted,
        )
        stream.start()
        return stream

    return [player(name) for name in names]


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 - sound has no event to wait for
            await asyncio.sleep(0.01)


async def call(manager: DeviceManager, ear: Ear) -> tuple[WindowSound, Any, WebRtcSession]:
    """Connect a window's sound with a far end that says a tone."""
    sound = WindowSound(ACCOUNT, load_settings(), manager)
    ours = await sound.load()("call", lambda _state: None, lambda _key: None)
    far = WebRtcSession(ToneSource(440), ear, addresses=("127.0.0.1",))
    await far.apply(await ours.answer(await far.offer()))
    await until(lambda: far.state == ours.state == "connected")
    return sound, ours, far


async def change_loudspeaker() -> dict[str, float]:
    """The far end's tone goes to the desk's loudspeaker, then to the head's, then the list is read anew."""
    sound, ours, far = await call(DeviceManager("silence", "device:desk_speaker"), Ear())
    listener = Listener("desk_mic", "head_mic")
    try:
        await until(lambda: len([1 for _, level in listener.heard if level > 0.05]) > 100)
        first = time.monotonic()
        await sound.use(loudspeaker="device:head_speaker")
        await asyncio.sleep(1.0)
        last = time.monotonic()
        level = sound.level.loudspeaker
        sound.volume.loudspeaker = 0.0
        await until(lambda: all(level < 0.001 for _, level in listener.heard[-20:]))
        return {"loudspeaker": gap(listener.heard, first - 0.2, last), "level": level}
    finally:
        listener.close()
        await ours.close()
        await far.close()


async def change_microphone() -> dict[str, float]:
    """The far end hears the desk's microphone, then the head's."""
    ear = Ear()
    players = play_everywhere("desk_speaker", "head_speaker")
    sound, ours, far = await call(DeviceManager("device:desk_mic", "none"), ear)
    try:
        await until(lambda: len([1 for _, level in ear.heard if level > 0.05]) > 50)
        first = time.monotonic()
        await sound.use(microphone="device:head_mic")
        await asyncio.sleep(1.0)
        last = time.monotonic()
        return {"microphone": gap(ear.heard, first - 0.2, last)}
    finally:
        for player in players:
            player.close()
        await ours.close()
        await far.close()


async def look_for_devices() -> dict[str, float]:
    """What is played while PortAudio is started anew, as when a device was plugged in."""
    sound, ours, far = await call(DeviceManager("silence", "device:desk_speaker"), Ear())
    recorder = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "listen", "desk_mic", stdout=asyncio.subprocess.PIPE
    )
    assert recorder.stdout is not None
    try:
        await recorder.stdout.readuntil(b"loud\n")
        await asyncio.to_thread(list_devices, refresh="always")
        facts: dict[str, float] = json.loads(await recorder.stdout.readline())
        return facts
    finally:
        await recorder.wait()
        await ours.close()
        await far.close()
        sound.close()


async def listen(name: str) -> None:
    """Print "loud" when there is sound, and two seconds later the longest gap since."""
    listener = Listener(name)
    await until(lambda: len([1 for _, level in listener.heard if level > 0.05]) > 100)
    say("loud")
    first = time.monotonic()
    await asyncio.sleep(2.0)
    say(json.dumps({"refresh": gap(listener.heard, first - 0.2, first + 1.9)}))
    listener.close()


async def main() -> None:
    if sys.argv[1:2] == ["listen"]:
        await listen(sys.argv[2])
        return
    configure_logging("json", "warning")
    say(json.dumps(await change_loudspeaker() | await change_microphone() | await look_for_devices()))


if __name__ == "__main__":
    asyncio.run(main())
