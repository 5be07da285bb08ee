"""What a phone of the npm package does with a call that is answered."""

import asyncio
from functools import partial
from itertools import pairwise
from pathlib import Path

from agents.media.analysis import find_tone
from agents.media.files import read_wav
from agents.pbx.views import RobotView

from .browser import Browser
from .browser_stage import (
    BEEP,
    GREETING_MARK,
    MARKS,
    NEW,
    Stage,
    beeps_in,
    both_sdks,
    eventually,
    inbound,
    needs_browser,
    play,
    seconds_of,
)

pytestmark = needs_browser


@both_sdks
def test_hold_silences_both_ends_and_mute_only_ours(browser: Browser, tmp_path: Path, sdk: str) -> None:
    marks: dict[str, float] = {}

    async def story(stage: Stage) -> None:
        robot, _phone, call = await inbound(stage, sdk)
        await call.hears(GREETING_MARK, seconds=0.1)
        for name in ("mute", "unmute", "hold", "unhold"):
            await call.act(name)
            held = name == "hold"
            assert (await stage.control.robot(robot.id)).held == held
            marks[name] = (await stage.control.robot(robot.id)).seconds
            if name in ("unmute", "unhold"):
                await eventually(partial(beeps_in, robot, after=marks[name] + 0.5))
                continue
            await asyncio.sleep(0.3)
            await call.heard()
            await asyncio.sleep(1.5)  # silence has no event to wait for: here would be three beeps
            if held:
                assert await call.heard() == []
        await call.act("hangup")
        marks["end"] = (await stage.ended(robot)).seconds
        beeps = seconds_of(robot.recording, BEEP)
        for name, after in pairwise(marks):
            heard = [at for at in beeps if marks[name] + 0.5 < at < marks[after] - 0.2]
            assert bool(heard) == (name in ("unmute", "unhold")), (name, heard, marks)

    play(browser, tmp_path, story)


# -- connections


def test_a_call_goes_on_after_its_websocket_was_cut(browser: Browser, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        robot, phone, call = await inbound(stage, NEW)
        await call.hears(GREETING_MARK, seconds=0.1)
        (binding,) = await stage.control.bindings("102")
        await stage.control.drop(binding.flow)
        await phone.do("closed")
        await phone.do("restart")
        before = (await stage.control.robot(robot.id)).seconds
        await call.act("reInvite")
        await eventually(lambda: beeps_in(robot, after=before + 1))
        assert (await call.facts())["connection"] == "connected"
        await call.act("hangup")
        assert (await stage.ended(robot)).reason == "remote_bye"

    play(browser, tmp_path, story)


# -- transfers


@both_sdks
def test_a_call_is_transferred_to_another_robot(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        robot, phone, call = await inbound(stage, sdk)
        await call.hears(GREETING_MARK, seconds=0.1)
        await call.act("transfer", "199")
        await call.until("disposed")
        sequence = [line.split(" sip:")[0] for line in await phone.wire()]
        begin = sequence.index("> REFER")
        assert sequence[begin : begin + 8] == [
            "> REFER",
            "< SIP/2.0 202 Accepted",
            *("< NOTIFY", "> SIP/2.0 200 OK") * 2,
            "< BYE",
            "> SIP/2.0 200 OK",
        ]
        await eventually(lambda: hears_the_other(robot))

    async def hears_the_other(robot: RobotView) -> bool:
        return find_tone(read_wav(Path(robot.recording)), MARKS[0]) is not None

    play(browser, tmp_path, story)


@both_sdks
def test_a_call_is_transferred_after_asking(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        robot, phone, call = await inbound(stage, sdk)
        await call.hears(GREETING_MARK, seconds=0.1)
        await phone.do("warmTransfer", 0, "199")
        asking = await (await phone.arrived(1)).until("answered")
        await asking.listen()
        await asking.hears(MARKS[0], seconds=0.1)
        assert (await stage.control.robot(robot.id)).held
        await phone.do("completeWarmTransfer", 0)
        await call.until("disposed")
        await asking.until("disposed")
        assert [view.state for view in await stage.control.calls()] == ["answered"]

    play(browser, tmp_path, story)


# -- what is asked for in a call by INFO


@both_sdks
def test_a_call_is_recorded_both_ways(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        phone = await stage.phone(sdk)
        call = await phone.call("199")
        await (await call.until("answered")).listen()
        assert (await call.act("stopRecording"))["code"] == 1
        assert await call.act("startRecording") == {"code": 0, "description": "Succeeded"}
        assert (await call.act("startRecording"))["code"] == 1
        await call.hears(MARKS[1], seconds=0.2)
        assert (await call.act("stopRecording"))["code"] == 0
        await call.act("hangup")

    play(browser, tmp_path, story)
    [recording] = (tmp_path / "recordings").glob("c*.wav")
    assert find_tone(read_wav(recording), MARKS[1]) is not None
    assert len(seconds_of(str(recording), BEEP)) > 3


@both_sdks
def test_a_parked_call_is_picked_up_elsewhere(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        robot, _phone, call = await inbound(stage, sdk)
        await call.hears(GREETING_MARK, seconds=0.1)
        parked = await call.act("park")
        assert parked == {"code": 0, "description": "Succeeded", "park extension": "801"}
        await call.until("disposed")
        assert (await stage.control.robot(robot.id)).state == "answered"
        before = (await stage.control.robot(robot.id)).seconds

        other = await stage.phone(NEW, "other", "101")
        dialled = await other.call("*801")
        await dialled.until("answered")
        await eventually(lambda: beeps_in(robot, after=before))
        await stage.control.hang_up(robot.id)
        await dialled.until("disposed")

    play(browser, tmp_path, story)


@both_sdks
def test_a_call_is_flipped_to_another_phone(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        robot, _phone, call = await inbound(stage, sdk)
        await call.hears(GREETING_MARK, seconds=0.1)
        other = await stage.phone(NEW, "other", "101")
        flipped = await call.act("flip", "16505550101")
        assert (flipped["code"], flipped["number"], flipped["target"]) == (0, "+16505550101", "16505550101")
        arrived = await other.arrived()
        await arrived.act("answer")
        await arrived.listen()
        await stage.simulator.wait_for(lambda entry: entry.event == "TRANSFERRED")
        await call.act("hangup")
        before = (await stage.control.robot(robot.id)).seconds
        await eventually(lambda: beeps_in(robot, after=before))
        await arrived.act("hangup")
        await stage.ended(robot)

    play(browser, tmp_path, story)
