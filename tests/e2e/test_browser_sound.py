"""Sound that passes the service, as the npm package hears it in Chromium: whose, and when."""

import asyncio
from pathlib import Path

import pytest

from agents.pbx.ledger import Entry, read_ledger
from agents.pbx.media import line
from agents.pbx.media.tones import MUSIC_HZ

from .browser import Browser, BrowserCall
from .browser_stage import (
    BEEP,
    GREETING_MARK,
    NEW,
    OLD,
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


async def talking(stage: Stage, sdk: str) -> tuple[BrowserCall, BrowserCall]:
    """Have 101 with the new SDK call 102 with ``sdk``; return both ends."""
    caller, callee = await stage.phone(NEW, "caller", "101"), await stage.phone(sdk, "callee")
    dialled = await caller.call("102")
    arrived = await callee.arrived()
    await arrived.act("answer")
    await dialled.until("answered")
    for call in (dialled, arrived):
        await call.listen()
    return dialled, arrived


@both_sdks
def test_two_pages_hear_each_other_and_who_is_held_hears_music(
    browser: Browser, tmp_path: Path, sdk: str
) -> None:
    async def story(stage: Stage) -> None:
        dialled, arrived = await talking(stage, sdk)
        await dialled.hears(BEEP, seconds=0.04)
        await arrived.hears(BEEP, seconds=0.04)
        await arrived.act("hold")
        for hz in MUSIC_HZ:
            await dialled.hears(hz, seconds=0.3)
        await arrived.heard()
        await dialled.heard()
        await asyncio.sleep(2.0)
        assert await arrived.heard() == []
        assert not [hz for hz in await dialled.heard() if abs(hz - BEEP) < 30]
        await arrived.act("unhold")
        await arrived.hears(BEEP, seconds=0.04)
        await dialled.hears(BEEP, seconds=0.04)
        await dialled.act("hangup")
        await arrived.until("disposed")

    play(browser, tmp_path, story)


@both_sdks
def test_a_caller_hears_ringback_where_the_service_answers_at_once(
    browser: Browser, tmp_path: Path, sdk: str
) -> None:
    async def story(stage: Stage) -> None:
        caller, callee = await stage.phone(sdk, "caller", "101"), await stage.phone(NEW, "callee")
        dialled = await caller.call("102")
        await (await dialled.until("answered")).listen()
        await dialled.hears(440.0, seconds=0.4)
        arrived = await callee.arrived()
        await arrived.act("answer")
        await dialled.hears(BEEP, seconds=0.04)
        await dialled.act("hangup")
        await arrived.until("disposed")

    play(browser, tmp_path, story, answer_at_once=True)


def test_a_caller_who_waits_long_for_the_answer_is_heard_at_once_then(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "_CONNECT_SECONDS", 1.0)

    async def story(stage: Stage) -> None:
        caller, callee = await stage.phone(NEW, "caller", "101"), await stage.phone(NEW, "callee")
        dialled = await caller.call("102")
        arrived = await callee.arrived()
        await asyncio.sleep(2.5)  # longer than a connection may take that nobody waits for
        await arrived.act("answer")
        await (await dialled.until("answered")).listen()
        await dialled.hears(BEEP, seconds=0.04)
        await dialled.act("hangup")
        await arrived.until("disposed")

    play(browser, tmp_path, story)


def test_a_page_that_is_called_without_an_offer_makes_one(browser: Browser, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        robot, _phone, call = await inbound(stage, NEW)
        await call.hears(GREETING_MARK, seconds=0.05)
        await eventually(lambda: beeps_in(robot))
        await stage.control.hang_up(robot.id)
        await call.until("disposed")

    play(browser, tmp_path, story, ask_for_offers=True)


@both_sdks
def test_a_call_of_two_pages_is_recorded(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        _dialled, arrived = await talking(stage, sdk)
        await arrived.hears(BEEP, seconds=0.04)
        assert (await arrived.act("startRecording"))["code"] == 0
        await eventually(is_recorded)
        assert (await arrived.act("stopRecording"))["code"] == 0
        await arrived.act("hangup")

    async def is_recorded() -> bool:
        [recording] = (tmp_path / "recordings").glob("c*.wav")
        return len(seconds_of(str(recording), BEEP)) > 3

    play(browser, tmp_path, story)
    assert asyncio.run(is_recorded())


def test_three_pages_and_a_robot_meet_in_a_conference(browser: Browser, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        conference = stage.simulator.conferences.create("102")
        calls = []
        for sdk, name, extension in ((OLD, "one", "101"), (NEW, "two", "102"), (NEW, "three", "102")):
            phone = await stage.phone(sdk, name, extension)
            call = await phone.call(conference.number)
            await (await call.until("answered")).listen()
            assert (await call.facts())["session_id"] == conference.session_id
            calls.append(call)
        for call in calls:
            await call.hears(BEEP, seconds=0.04)
        robot = await stage.control.call(conference.number)
        for call in calls:
            await call.hears(GREETING_MARK, seconds=0.1)
        await stage.control.hang_up(robot.id)
        stage.simulator.conferences.end(conference.session_id)
        for call in calls:
            await call.until("disposed")

    play(browser, tmp_path, story)


@both_sdks
def test_a_page_supervises_by_keys(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        robot, _phone, call = await inbound(stage, NEW)
        boss = await stage.phone(sdk, "boss", "101")
        watching = await boss.call("*82")
        await (await watching.until("answered")).listen()
        await watching.hears(350.0, seconds=0.2)
        await watching.act("sendDtmf", "102#")
        await stage.simulator.wait_for(lambda entry: entry.event == "SUPERVISED")
        await watching.hears(BEEP, seconds=0.04)
        await call.hears(BEEP, seconds=0.04)
        await stage.control.hang_up(robot.id)
        await watching.until("disposed")

    play(browser, tmp_path, story)


def test_who_takes_over_learns_the_calls_name_by_a_re_invite(browser: Browser, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        robot, _phone, call = await inbound(stage, NEW)
        session = (await call.facts())["session_id"]
        boss = await stage.phone(NEW, "boss", "101")
        taking = await boss.call("*83")
        await (await taking.until("answered")).listen()
        await taking.hears(350.0, seconds=0.2)
        await taking.act("sendDtmf", "102#")
        await call.until("disposed")
        await eventually(lambda: is_named(taking, session))
        since = (await stage.control.robot(robot.id)).seconds
        await eventually(lambda: beeps_in(robot, after=since))
        await stage.control.hang_up(robot.id)
        await taking.until("disposed")

    async def is_named(call: BrowserCall, session: str) -> bool:
        return bool((await call.facts())["session_id"] == session)

    play(browser, tmp_path, story)


@both_sdks
def test_after_a_warm_transfer_the_target_is_sent_an_update_which_newer_sdks_answer(
    browser: Browser, tmp_path: Path, sdk: str
) -> None:
    async def story(stage: Stage) -> None:
        robot, phone, call = await inbound(stage, NEW)
        target = await stage.phone(sdk, "target", "101")
        await call.hears(GREETING_MARK, seconds=0.1)
        consulting = asyncio.create_task(phone.do("warmTransfer", 0, "101"))
        arrived = await target.arrived()
        await arrived.act("answer")
        await arrived.listen()
        await consulting
        await phone.do("completeWarmTransfer", 0)
        await call.until("disposed")
        await arrived.hears(GREETING_MARK, seconds=0.05)
        await stage.simulator.wait_for(is_update)
        if sdk == NEW:
            await stage.simulator.wait_for(
                lambda entry: entry.event == "RESPONSE" and entry.method == "UPDATE" and entry.status == 200
            )
        await stage.control.hang_up(robot.id)
        await arrived.until("disposed")

    def is_update(entry: Entry) -> bool:
        return entry.event == "UPDATE" and entry.extension == "101"

    play(browser, tmp_path, story)
    answers = [entry for entry in read_ledger(tmp_path / "ledger.ndjson") if entry.method == "UPDATE"]
    assert bool(answers) == (sdk == NEW)
