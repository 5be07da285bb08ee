"""Run by a test in a sound system of its own: devices come, become the default and go in mid-call.

The call uses the system's default for both. What it plays is recorded where it should be heard, and what its
far end hears is recorded there. Prints the longest gap of each, and how long it was silent after its last
device had gone and another had come, in seconds, as JSON.
"""

import asyncio
import json
import time
from typing import Any, cast

from agents.media.analysis import tone_level
from agents.media.devices import needs_mending
from agents.media.files import ToneSource
from coordinator.sound import DeviceManager
from shared.log import configure_logging
from shared.phone import Phone
from tests.e2e.device_changer import Ear, call, gap, say, until

_FORMAT = ("--raw", "--format=s16le", "--rate=48000", "--channels=1")
_BLOCK_BYTES = 960
#: PulseAudio moves those who listen, too: an ear must know which tone it hears.
_FAR_HZ, _ROOM_HZ = 440.0, 1500.0
_LOUD = 0.05
Heard = list[tuple[float, float]]


class NoPhone:
    """A phone that never rings."""

    def on(self, *_event: object) -> None:
        """Tell nothing."""


async def pactl(*words: str) -> str:
    """Have the sound server do something; return what it says."""
    process = await asyncio.create_subprocess_exec("pactl", *words, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0, words
    return out.decode().strip()


async def load(name: str) -> str:
    """Plug in a loudspeaker ``name`` with a microphone before it; return what unloads it."""
    return await pactl("load-module", "module-null-sink", f"sink_name={name}", "norewinds=1")


class Room:
    """A tone before one microphone after the other, and an ear before each loudspeaker."""

    def __init__(self) -> None:
        self.heard: Heard = []
        self._processes: list[asyncio.subprocess.Process] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def speak(self, name: str) -> None:
        """Have ``name``'s microphone hear a tone."""
        words = ("pacat", "--playback", f"--device={name}", "--latency-msec=50", *_FORMAT)
        process = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.PIPE)
        self._processes.append(process)
        self._tasks.append(asyncio.create_task(self._say(process.stdin)))

    async def listen(self, name: str) -> None:
        """Hear what is played on ``name``."""
        words = ("parec", f"--device={name}.monitor", "--latency-msec=5", *_FORMAT)
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        self._processes.append(process)
        self._tasks.append(asyncio.create_task(self._hear(process.stdout)))

    async def close(self) -> None:
        """Let all be silent."""
        for task in self._tasks:
            task.cancel()
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def _say(self, into: Any) -> None:
        tone = ToneSource(_ROOM_HZ)
        while True:
            into.write(tone.read())
            await into.drain()

    async def _hear(self, out: Any) -> None:
        while True:
            block = await out.readexactly(_BLOCK_BYTES)
            self.heard.append((time.monotonic(), tone_level(block, _FAR_HZ)))


def is_loud(heard: Heard) -> bool:
    """Return whether there was sound all the latest time."""
    now = time.monotonic()
    latest = [at for at, level in heard if level > _LOUD and at > now - 0.5]
    return bool(latest) and latest[-1] > now - 0.1 and gap(heard, now - 0.5, now) < 0.1


class Gaps:
    """The longest gaps of both directions, from now on."""

    def __init__(self, room: Room, ear: Ear) -> None:
        self._room, self._ear, self._first = room, ear, time.monotonic() - 0.2

    async def measured(self, what: str) -> dict[str, float]:
        """Return them once there was sound for a while."""
        await asyncio.sleep(0.8)
        await until(lambda: is_loud(self._room.heard) and is_loud(self._ear.heard))
        last = time.monotonic() - 0.1
        return {
            f"{what}, loudspeaker": gap(self._room.heard, self._first, last),
            f"{what}, microphone": gap(self._ear.heard, self._first, last),
        }


async def main() -> None:
    configure_logging("json", "error")
    await pactl("set-default-source", "voice.monitor")
    room, ear, facts = Room(), Ear(), dict[str, float]()
    await room.speak("voice")
    await room.listen("desk")
    sound, ours, far = await call(DeviceManager("default", "default"), ear)
    sound.start(cast("Phone", NoPhone()))
    await until(lambda: is_loud(room.heard) and is_loud(ear.heard))

    plugged = [await load("headset"), await load("boom")]
    await room.speak("boom")
    await room.listen("headset")
    gaps = Gaps(room, ear)
    await pactl("set-default-sink", "headset")
    await pactl("set-default-source", "boom.monitor")
    facts |= await gaps.measured("other default")

    gaps = Gaps(room, ear)
    for module in plugged:
        await pactl("unload-module", module)
    facts |= await gaps.measured("unplugged")

    await pactl("unload-module", "module-null-sink")  # all that are left: PulseAudio ends our streams
    await until(lambda: needs_mending() and not is_loud(room.heard))
    for name in ("desk", "voice"):
        await load(name)
    plugged_at = time.monotonic()
    await pactl("set-default-source", "voice.monitor")
    await room.speak("voice")
    await room.listen("desk")
    await until(lambda: is_loud(room.heard) and is_loud(ear.heard))
    facts["plugged in again"] = time.monotonic() - plugged_at
    say(json.dumps(facts))
    sound.close()
    await ours.close()
    await far.close()
    await room.close()


if __name__ == "__main__":
    asyncio.run(main())
