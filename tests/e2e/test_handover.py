"""An answered call outlives the process that leads, and is heard all the time."""

import asyncio
import signal
import wave
from functools import partial
from pathlib import Path

import pytest

from agents.media.analysis import tone_level
from coordinator.supervisor import Child

from .stage import Stage, assert_polite, epoch_is, instance, is_talking, stage

TONE_HZ, SPARE_HZ = 440.0, 880.0
RATE_HZ = 48_000


def seconds_of(recording: Path) -> float:
    """Return how long a recording is so far."""
    with wave.open(str(recording)) as file:
        return float(file.getnframes() / RATE_HZ)


def heard(recording: Path, *, last: float, hz: float = TONE_HZ) -> float:
    """Return the level of our tone, or that of ``hz``, in the last seconds of a recording."""
    with wave.open(str(recording)) as file:
        pcm = file.readframes(file.getnframes())
    tail = pcm[-int(last * RATE_HZ) * 2 :]
    return float(tone_level(tail, hz))


async def call_at_a_dummy(it: Stage) -> tuple[Child, Child]:
    """Have a window that does not lead talk to a robot; return the leader and that window."""
    await it.join("a", "b")
    talker = await join_with_tone(it, "talker", TONE_HZ)
    leader = await it.leader()
    assert leader is not talker
    assert (await talker.do("call 199"))["event"] == "done"
    await talker.wait_for(is_talking)
    return leader, talker


async def join_with_tone(it: Stage, name: str, hz: float) -> Child:
    """Start a window that says a tone; return it once all show it with its sound."""
    options = ("--microphone", f"tone:{hz:.0f}", "--loudspeaker", "none")
    window = await it.supervisor.start_window("front", str(it.account), name, *options, **it.env)
    it.windows[name] = window
    await window.wait_for(lambda line: instance(window) in line.get("sound", ()))
    return window


async def robots_recording(it: Stage) -> Path:
    """Return the file into which the robot writes what it hears."""
    [robot] = [robot for robot in await it.control.robots() if robot.state == "answered"]
    return Path(robot.recording)


def reinvites(it: Stage) -> int:
    """Return how often the far end was told where the phone is."""
    return len(it.ledger("INVITE", kind="reinvite", direction="in"))


def has_more_reinvites(it: Stage, than: int) -> bool:
    """Return whether it was told once more."""
    return reinvites(it) > than


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "leaves politely"])
def test_a_call_goes_on_without_a_gap_when_the_leader(number: signal.Signals) -> None:
    async def main() -> None:
        async with stage() as it:
            leader, talker = await call_at_a_dummy(it)
            epoch = it.holder().epoch
            leader.kill(number)
            del it.windows[leader.name]
            for window in it.windows.values():
                await window.wait_for(epoch_is(epoch + 1))
            await it.until(lambda: it.ledger("BINDING_REPLACED"))
            # The successor says where it is, in the same dialog, and the service has it back.
            await it.until(lambda: reinvites(it))
            recording = await robots_recording(it)
            before = seconds_of(recording)
            await it.until(lambda: seconds_of(recording) > before + 2.0)
            assert heard(recording, last=2.0) > 0.1
            for command in ("hold", "unhold", "mute", "unmute"):
                assert (await talker.do(command))["event"] == "done", command
            assert not any(line["event"] == "call_ended" for line in talker.lines)
            # Any other window can end it.
            other = next(window for window in it.windows.values() if window is not talker)
            assert (await other.do("hangup"))["event"] == "done"
            await it.until(lambda: it.ledger("CALL_ENDED"))
            assert it.ledger("BINDING_REMOVED") == []
            assert it.ledger("UNREGISTER") == []
            assert {entry.bindings for entry in it.ledger("REGISTER", status=200)} == {1}
            for window in it.windows.values():
                assert_polite(window)

    asyncio.run(main())


def test_a_leader_that_leaves_while_its_heir_sleeps_leaves_its_calls_to_the_next_in_line() -> None:
    async def main() -> None:
        # With a long lease nobody finds an offered one by chance, as it looks who renews it.
        async with stage(lease_time=10.0) as it:
            leader, talker = await call_at_a_dummy(it)
            [heir] = [window for window in it.windows.values() if window not in (leader, talker)]
            epoch, told = it.holder().epoch, reinvites(it)
            heir.kill(signal.SIGSTOP)
            leader.kill(signal.SIGTERM)
            del it.windows[leader.name]
            await talker.wait_for(epoch_is(epoch + 1))
            await it.until(partial(has_more_reinvites, it, told))
            heir.kill(signal.SIGCONT)
            await heir.wait_for(epoch_is(epoch + 1))
            assert not any(line["event"] == "call_ended" for line in talker.lines)
            assert (await talker.do("hangup"))["event"] == "done"
            await it.until(lambda: it.ledger("CALL_ENDED"))
            assert it.ledger("UNREGISTER") == []
            for window in it.windows.values():
                assert_polite(window)

    asyncio.run(main())


def test_a_call_outlives_two_leaders_killed_one_after_the_other() -> None:
    async def main() -> None:
        async with stage() as it:
            await it.join("c")
            leader, talker = await call_at_a_dummy(it)
            for _ in range(2):
                epoch = it.holder().epoch
                told = reinvites(it)
                leader.kill()
                del it.windows[leader.name]
                await talker.wait_for(epoch_is(epoch + 1))
                await it.until(partial(has_more_reinvites, it, told))
                leader = await it.leader()
                if leader is talker:
                    break
            assert not any(line["event"] == "call_ended" for line in talker.lines)
            assert (await talker.do("hangup"))["event"] == "done"
            await it.until(lambda: it.ledger("CALL_ENDED"))

    asyncio.run(main())


@pytest.mark.parametrize("is_leader", [True, False], ids=["leads", "does not lead"])
def test_a_call_goes_on_at_another_window_when_the_process_with_its_sound_is_killed_and(
    is_leader: bool,
) -> None:
    async def main() -> None:
        async with stage() as it:
            talker = await join_with_tone(it, "talker", TONE_HZ)
            leader = talker
            if not is_leader:
                await talker.wait_for(lambda line: line.get("state") == "registered")
            spare = await join_with_tone(it, "spare", SPARE_HZ)
            if not is_leader:
                talker, spare = spare, talker
            assert (await it.leader()) is leader
            assert (await talker.do("call 199"))["event"] == "done"
            await talker.wait_for(is_talking)
            recording = await robots_recording(it)
            since = len(spare.lines)
            talker.kill()
            del it.windows[talker.name]
            moved = await spare.wait_for(
                lambda line: (
                    line.get("call", {}).get("media_host") == instance(spare)
                    and line["call"]["media"] == "connected"
                ),
                since=since,
            )
            assert moved["call"]["state"] == "answered"
            before = seconds_of(recording)
            await it.until(lambda: seconds_of(recording) > before + 2.0)
            hz = SPARE_HZ if is_leader else TONE_HZ
            assert heard(recording, last=1.5, hz=hz) > 0.1
            for command in ("hold", "unhold", "hangup"):
                assert (await spare.do(command))["event"] == "done", command
            await it.until(lambda: it.ledger("CALL_ENDED"))
            assert len(it.ledger("CALL_ANSWERED")) == 1

    asyncio.run(main())
