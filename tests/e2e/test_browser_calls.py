"""Phones of the npm package ``ringcentral-web-phone``, as it is published, register, call and are called."""

from pathlib import Path

import pytest

from agents.pbx.views import RobotView
from coordinator.supervisor import Child, Supervisor

from .browser import Browser, BrowserPhone
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
    robot_called,
    seconds_of,
)

pytestmark = needs_browser

# -- registrations


@both_sdks
def test_register_refresh_and_unregister(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        phone = await stage.phone(sdk)
        challenged = [
            "> REGISTER sip:sip.test SIP/2.0",
            "< SIP/2.0 100 Trying",
            "< SIP/2.0 401 Unauthorized",
            "> REGISTER sip:sip.test SIP/2.0",
            "< SIP/2.0 100 Trying",
            "< SIP/2.0 200 OK",
        ]
        assert await phone.wire() == challenged
        await stage.simulator.wait_for(lambda entry: entry.event == "BINDING_REFRESHED")
        again = ["> REGISTER sip:sip.test SIP/2.0", "< SIP/2.0 200 OK"]
        await eventually(lambda: wire_is(phone, [*challenged, *again]))

        await phone.do("dispose")
        entry = await stage.simulator.wait_for(lambda entry: entry.event == "BINDING_REMOVED")
        assert entry.bindings == 0
        await stage.simulator.wait_for(lambda entry: entry.event == "FLOW_CLOSED")

    async def wire_is(phone: BrowserPhone, lines: list[str]) -> bool:
        return await phone.wire() == lines

    play(browser, tmp_path, story, expiry=5.0)


@both_sdks
def test_a_sixth_instance_is_refused_and_the_same_one_takes_over(
    browser: Browser, tmp_path: Path, sdk: str
) -> None:
    async def story(stage: Stage) -> None:
        page = await stage.page(sdk)
        for number in range(5):
            await stage.phone_in(page, f"instance-{number}").register()
        with pytest.raises(AssertionError, match=r"Registration failed: SIP/2\.0 603 Too Many Contacts"):
            await stage.phone_in(page, "instance-5").register()
        again = await stage.phone(sdk, "instance-4")
        assert len(await stage.control.bindings("102")) == 5

        robot = await stage.control.call("102")
        await again.arrived()
        replaced = BrowserPhone(page, stage.simulator.account_path("102"), "instance-4")
        assert not any("INVITE" in line for line in await replaced.wire())
        await (await replaced.call("199")).until("answered")
        await stage.control.hang_up(robot.id)

    play(browser, tmp_path, story)


# -- calls to a robot


@both_sdks
def test_an_outbound_call_is_heard_both_ways(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        phone = await stage.phone(sdk)
        call = await phone.call("16505550199")
        await (await call.until("answered")).listen()
        for hz in MARKS:
            await call.hears(hz, seconds=0.15)
        facts = await call.facts()
        assert facts["states"] == ["init", "ringing", "answered"]
        assert (facts["remote_number"], facts["local_number"]) == ("16505550199", "16505550100*102")
        assert facts["party_id"] == facts["session_id"].replace("s-", "p-") + "-1"
        await call.act("hangup")
        robot = await stage.ended(await robot_called(stage))
        assert (await call.facts())["states"][-1] == "disposed"
        assert [line for line in await phone.wire() if "REGISTER" not in line][4:] == [
            "> INVITE sip:16505550199@sip.test SIP/2.0",
            "< SIP/2.0 100 Trying",
            "< SIP/2.0 407 Proxy Authentication Required",
            "> INVITE sip:16505550199@sip.test SIP/2.0",
            "< SIP/2.0 100 Trying",
            "< SIP/2.0 183 Session Progress",
            *sorted(["< SIP/2.0 200 OK", "> ACK sip:16505550199@sip.test SIP/2.0"], reverse=sdk == NEW),
            "> BYE sip:sip.test SIP/2.0",
            "< SIP/2.0 200 OK",
        ]
        beeps = seconds_of(robot.recording, BEEP)
        assert beeps[-1] - beeps[0] > 2

    play(browser, tmp_path, story)


@both_sdks
def test_a_bad_number_fails_and_a_call_may_be_cancelled(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        phone = await stage.phone(sdk)
        bad = await phone.call("78654")
        await bad.until("disposed")
        facts = await bad.facts()
        assert "failed: SIP/2.0 486 Busy Here" in facts["states"]
        assert not facts["listed"]

        ringing = await phone.call("199")
        await ringing.until("ringing")
        await ringing.act("cancel")
        facts = await ringing.facts()
        assert "answered" not in facts["states"]
        assert facts["states"][-1] == "disposed"
        await stage.ended(await robot_called(stage))

    play(browser, tmp_path, story, robot_answer_delay=30.0)


@both_sdks
def test_custom_headers_and_the_callers_number_arrive(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        caller, callee = await stage.phone(sdk), await stage.phone(sdk, "callee", "101")
        call = await caller.call("101", caller_id="16505550177", headers={"X-Colour": "blue"})
        arrived = await callee.arrived()
        facts = await arrived.facts()
        assert facts["remote_number"] == "+16505550177"
        assert facts["session_id"] == (await call.facts())["session_id"]
        await arrived.act("answer")
        await call.until("answered")
        await arrived.act("hangup")
        await call.until("disposed")

    play(browser, tmp_path, story)
    written = (tmp_path / "ledger.ndjson").read_text()
    assert written.count('"CALL_ANSWERED"') == 1


@both_sdks
def test_keys_are_heard_by_the_robot(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        phone = await stage.phone(sdk)
        call = await phone.call("199")
        await (await call.until("answered")).listen()
        await call.hears(MARKS[0], seconds=0.1)
        await call.act("sendDtmf", "159#")
        robot = await robot_called(stage)
        await eventually(lambda: pressed(stage, robot, "159#"))
        await call.act("hangup")

    play(browser, tmp_path, story)


async def pressed(stage: Stage, robot: RobotView, keys: str) -> bool:
    return (await stage.control.robot(robot.id)).keys == keys


# -- calls from a robot


@both_sdks
def test_an_inbound_call_is_heard_both_ways_and_ends_when_the_robot_hangs_up(
    browser: Browser, tmp_path: Path, sdk: str
) -> None:
    async def story(stage: Stage) -> None:
        robot, phone, call = await inbound(stage, sdk)
        await call.hears(GREETING_MARK, seconds=0.1)
        await eventually(lambda: beeps_in(robot))
        await stage.control.hang_up(robot.id)
        await call.until("disposed")
        tail = ["< BYE sip:", "> SIP/2.0 200 OK", "< MESSAGE sip:", "> SIP/2.0 200 OK"]
        await eventually(lambda: ends_with(phone, tail))

    async def ends_with(phone: BrowserPhone, tail: list[str]) -> bool:
        return all(map(str.startswith, (await phone.wire())[-4:], tail))

    play(browser, tmp_path, story)


# -- with our own phone


async def window(supervisor: Supervisor, stage: Stage, directory: Path) -> Child:
    """Start a window of extension 101 that says 440 Hz and records what it hears."""
    child = await supervisor.start_window(
        "line",
        str(stage.simulator.account_path("101")),
        "desk",
        "--microphone",
        "tone:440",
        "--loudspeaker",
        f"wav:{directory / 'window.wav'}",
        SHAREDLINE_RUNTIME_DIR=str(directory / "run"),
        SHAREDLINE_STATE_DIR=str(directory / "state"),
    )
    await stage.simulator.wait_for(lambda entry: entry.event == "BINDING_ADDED" and entry.extension == "101")
    return child


@both_sdks
def test_the_sdk_and_our_phone_call_each_other_and_hear_each_other(
    browser: Browser, tmp_path: Path, sdk: str
) -> None:
    heard = tmp_path / "window.wav"

    async def story(stage: Stage) -> None:
        async with Supervisor() as supervisor:
            desk = await window(supervisor, stage, tmp_path)
            phone = await stage.phone(sdk)

            dialled = await phone.call("101")
            await desk.wait_for(lambda line: line["event"] == "inbound_call")
            assert (await desk.do("answer"))["event"] == "done"
            await (await dialled.until("answered")).listen()
            await dialled.hears(440, seconds=1.0)
            await eventually(beeps)
            await dialled.act("hangup")
            await desk.wait_for(lambda line: line["event"] == "call_ended")

            heard.rename(tmp_path / "first.wav")
            since = len(desk.lines)
            assert (await desk.do("call 102"))["event"] == "done"
            arrived = await phone.arrived(1)
            await arrived.act("answer")
            await arrived.listen()
            await arrived.hears(440, seconds=1.0)
            await eventually(beeps)
            assert (await desk.do("hangup"))["event"] == "done"
            await arrived.until("disposed")
            await desk.wait_for(lambda line: line["event"] == "call_ended", since=since)

    async def beeps() -> bool:
        return heard.exists() and len(seconds_of(str(heard), BEEP)) > 1

    play(browser, tmp_path, story)
