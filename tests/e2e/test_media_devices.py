"""Devices that change in the middle of a call, measured by sound in a sound system without a sound card."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from coordinator.bench.pulse import is_available, open_pulse

pytestmark = pytest.mark.skipif(
    not is_available(), reason="needs PulseAudio (apt install pulseaudio libportaudio2)"
)
LONGEST_GAP = 0.1


async def run_there(script: str, *names: str) -> dict[str, float]:
    async with open_pulse(names) as environment:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            Path(__file__).with_name(script),
            env=environment | {"PYTHONPATH": ":".join(sys.path)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        facts: dict[str, float] = json.loads(out)
        return facts


#: Ends with its devices open, while the last word is played.
CARELESS = """
import time
from agents.media.devices import DeviceSink, DeviceSource
from agents.media.files import ToneSource
ends, tone = (DeviceSource(), DeviceSink()), ToneSource(440)
for _ in range(5):
    ends[0].read(), ends[1].write(tone.read())
    time.sleep(0.01)
"""


async def end_carelessly(times: int) -> list[int | None]:
    """Return the exit statuses of programs that end with their devices open; None: it did not end."""

    async def run(environment: dict[str, str]) -> int | None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", CARELESS, env=environment)
        try:
            return await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
            return None

    async with open_pulse(("desk",)) as surroundings:
        environment = surroundings | {"PYTHONPATH": ":".join(sys.path)}
        return [*await asyncio.gather(*(run(environment) for _ in range(times)))]


def test_a_program_that_leaves_its_devices_open_ends_all_the_same() -> None:
    assert asyncio.run(end_carelessly(6)) == [0] * 6


def test_a_change_of_devices_in_a_call_loses_less_than_100_ms_of_sound() -> None:
    facts = asyncio.run(run_there("device_changer.py", "desk", "head"))
    assert facts["loudspeaker"] < LONGEST_GAP
    assert facts["microphone"] < LONGEST_GAP
    assert facts["refresh"] < LONGEST_GAP
    assert facts["level"] > 0.1


def test_a_call_follows_the_default_to_a_new_device_and_back_when_that_is_unplugged() -> None:
    facts = asyncio.run(run_there("device_follower.py", "desk", "voice"))
    for what in ("other default", "unplugged"):
        assert facts[f"{what}, loudspeaker"] < LONGEST_GAP
        assert facts[f"{what}, microphone"] < LONGEST_GAP
    assert facts["plugged in again"] < 3.0  # after the last device had gone: it is looked for each second
