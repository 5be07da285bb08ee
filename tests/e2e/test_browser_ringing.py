"""What a phone of the npm package does with a call that rings, and what others do to it."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.pbx.rest.keys import RestFile
from agents.pbx.settings import Queue
from agents.rest.client import RestClient, RestLogin

from .browser import Browser, BrowserCall, BrowserPhone
from .browser_stage import (
    GREETING_MARK,
    NEW,
    OLD,
    SDKS,
    Stage,
    beeps_in,
    both_sdks,
    eventually,
    inbound,
    needs_browser,
    play,
    robot_called,
)

pytestmark = needs_browser

# -- how its ringing ends


@both_sdks
def test_the_caller_who_gives_up_cancels(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        phone = await stage.phone(sdk)
        robot = await stage.control.call("102")
        call = await phone.arrived()
        await stage.control.robot(robot.id, until="ringing")
        await stage.control.hang_up(robot.id)
        await call.until("disposed")
        assert "answered" not in (await call.facts())["states"]

    play(browser, tmp_path, story)


@both_sdks
def test_of_two_pages_one_answers_and_the_other_is_cancelled(
    browser: Browser, tmp_path: Path, sdk: str
) -> None:
    async def story(stage: Stage) -> None:
        one, other = await stage.phone(sdk, "one"), await stage.phone(SDKS[sdk == OLD], "other")
        robot = await stage.control.call("102")
        call, lost = await one.arrived(), await other.arrived()
        assert (await call.facts())["call_id"] != (await lost.facts())["call_id"]
        await call.act("answer")
        await lost.until("disposed")
        await call.act("hangup")
        await stage.ended(robot)
        assert any(line.startswith("< CANCEL sip:") for line in await other.wire())

    play(browser, tmp_path, story)


@both_sdks
def test_a_call_that_asks_for_it_is_answered_by_itself(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        phone = await stage.phone(sdk)
        robot = await stage.control.call("102", answer_after=300)
        call = await phone.arrived()
        await (await call.until("answered")).listen()
        await call.hears(GREETING_MARK, seconds=0.1)
        await stage.control.hang_up(robot.id)
        await call.until("disposed")

    play(browser, tmp_path, story)


@both_sdks
def test_a_queues_call_is_shown_as_one(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        phone = await stage.phone(sdk)
        robot = await stage.control.call("200", name="ALICE")
        call = await phone.arrived()
        info = (await call.facts())["call_info"]
        assert (info["callAttributes"], info["queueName"]) == ("queue-call,reject", "Tyler's call queue")
        assert (info["displayInfo"], info["callerIdName"]) == ("queueName", "ALICE")
        await call.act("answer")
        assert (await stage.control.robot(robot.id, until="answered")).state == "answered"
        await call.act("hangup")

    play(browser, tmp_path, story, queues=(Queue("200", "Tyler's call queue", ("102",)),))


# -- what REST does to a ringing call


@both_sdks
def test_a_call_is_answered_by_rest(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        phone = await stage.phone(sdk)
        robot = await stage.control.call("102")
        facts = await (await phone.arrived()).facts()
        async with client(stage, "102") as rest:
            await rest.answer_party(facts["session_id"], facts["party_id"], device(stage, "102"))
        again = await phone.arrived(1)
        await (await again.until("answered")).listen()
        await again.hears(GREETING_MARK, seconds=0.1)
        first = await phone.arrived(0)
        await first.until("disposed")
        assert "answered" not in (await first.facts())["states"]
        assert (await again.facts())["session_id"] == facts["session_id"]
        await stage.control.hang_up(robot.id)
        await again.until("disposed")

    play(browser, tmp_path, story, rest_port=0)


def test_a_call_that_rings_elsewhere_is_picked_up_without_an_offer(browser: Browser, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        phone = await stage.phone(NEW)
        ringing = await stage.phone(NEW, "ringing", "101")
        robot = await stage.control.call("101")
        lost = await ringing.arrived()
        facts = await lost.facts()
        async with client(stage, "102") as rest:
            await rest.pick_up(facts["session_id"], facts["party_id"], device(stage, "102"))
        taken = await phone.arrived()
        await (await taken.until("answered")).listen()
        await taken.hears(GREETING_MARK, seconds=0.1)
        await lost.until("disposed")
        await eventually(lambda: beeps_in(robot))
        await taken.act("hangup")
        await stage.ended(robot)

    play(browser, tmp_path, story, rest_port=0)


@both_sdks
def test_a_conference_is_dialled_and_a_robot_brought_in(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        robot, phone, call = await inbound(stage, sdk)
        facts = await call.facts()
        async with client(stage, "102") as rest:
            made = await rest.create_conference()
            room = await (await phone.call(made.voice_call_token)).until("answered")
            await room.listen()
            await rest.bring_in(made.id, facts["session_id"], facts["party_id"])
            await call.until("disposed")
            before = (await stage.control.robot(robot.id)).seconds
            await eventually(lambda: beeps_in(robot, after=before))
            assert len((await rest.session(made.id)).parties) == 2
            await room.act("hangup")
            await stage.control.hang_up(robot.id)

    play(browser, tmp_path, story, rest_port=0)


def client(stage: Stage, extension: str) -> RestClient:
    """Return a REST client of an extension's user."""
    directory = stage.simulator.settings.directory
    file = msgspec.json.decode((directory / "rest.json").read_bytes(), type=RestFile)
    return RestClient(
        RestLogin(
            server=file.server,
            client_id=file.client_id,
            client_secret=file.client_secret,
            jwt=file.jwt[extension],
            ca_file=directory / file.ca_file,
        )
    )


def device(stage: Stage, extension: str) -> str:
    """Return the id of the device that an extension's account file is for."""
    return stage.simulator.devices.of(extension)[0].device_id


# -- other things that a ringing phone may want


async def rung(stage: Stage, sdk: str) -> tuple[BrowserPhone, BrowserCall, BrowserCall]:
    """Have a page of 101 call a new one of 102; return that phone, its call and the caller's."""
    phone, caller = await stage.phone(sdk), await stage.phone(NEW, "caller", "101")
    dialled = await caller.call("102")
    call = await phone.arrived()
    await dialled.until("ringing")
    await eventually(lambda: wire_has(phone, "> MESSAGE sip:"))
    return phone, call, dialled


async def wire_has(phone: BrowserPhone, text: str) -> bool:
    return any(line.startswith(text) for line in await phone.wire())


@both_sdks
@pytest.mark.parametrize(("method", "mark"), [("decline", 852.0), ("toVoicemail", 770.0), ("forward", 697.0)])
def test_a_ringing_call_is_sent_elsewhere(
    browser: Browser, tmp_path: Path, sdk: str, method: str, mark: float
) -> None:
    async def story(stage: Stage) -> None:
        phone, call, dialled = await rung(stage, sdk)
        asked = len(await phone.wire())
        await call.act(method, *(["199"] if method == "forward" else []))
        await call.until("disposed")
        sequence = [line.split(" sip:")[0] for line in await phone.wire()][asked:]
        answered = "> SIP/2.0 200 OK"
        begin = sequence.index("> MESSAGE")
        assert sequence[begin : begin + 3] == ["> MESSAGE", "< SIP/2.0 100 Trying", "< SIP/2.0 200 OK"]
        assert sequence[begin + 3 : begin + 7] == ["< MESSAGE", answered, "< CANCEL", answered]
        await (await dialled.until("answered")).listen()
        await dialled.hears(mark, seconds=0.1)
        if method == "decline":
            await dialled.until("disposed")
            return
        robot = await robot_called(stage)
        await eventually(lambda: beeps_in(robot))
        await dialled.act("hangup")
        await stage.ended(robot)

    play(browser, tmp_path, story)


@both_sdks
def test_a_reply_is_answered_by_the_callers_keys(browser: Browser, tmp_path: Path, sdk: str) -> None:
    async def story(stage: Stage) -> None:
        phone, call, dialled = await rung(stage, sdk)
        await call.act("startReply")
        asking = asyncio.create_task(phone.do("reply", 0, "On my way"))
        await call.until("disposed")
        await (await dialled.until("answered")).listen()
        await dialled.hears(1050, seconds=0.1)
        await dialled.act("sendDtmf", "516505550188#1")
        answer = await asking
        assert (answer["Sts"], answer["Resp"], answer["ExtNfo"]) == ("0", "3", "16505550188")
        await dialled.until("disposed")

    play(browser, tmp_path, story)


@pytest.mark.parametrize(
    ("reply", "words", "key", "response"),
    [
        (
            {"type": "callYouBack", "direction": "toCaller", "delay": 15, "unit": "minutes"},
            "call back in 15 minutes, to the caller",
            "4",
            "2",
        ),
        ({"type": "onMyWay"}, "on my way", "3", "1"),
        ({"type": "onOtherLine"}, "other line", "3", "1"),
        ({"type": "callYouBackLater", "direction": "fromCaller"}, "call later, from the caller", "4", "2"),
        ({"type": "inAMeeting"}, "meeting", "3", "1"),
        ({"type": "onOtherLineNoCall"}, "other line no call", "3", "1"),
    ],
)
def test_a_structured_reply_is_understood(
    browser: Browser, tmp_path: Path, reply: dict[str, Any], words: str, key: str, response: str
) -> None:
    async def story(stage: Stage) -> None:
        phone, call, dialled = await rung(stage, NEW)
        asking = asyncio.create_task(phone.do("reply", 0, reply))
        await call.until("disposed")
        await (await dialled.until("answered")).listen()
        await dialled.hears(1050, seconds=0.1)
        await dialled.act("sendDtmf", key)
        answer = await asking
        assert (answer["Sts"], answer["Resp"]) == ("0", response)
        await dialled.until("disposed")
        entry = await stage.simulator.wait_for(lambda entry: entry.event == "CALL_DIVERTED")
        assert entry.reason == f"replied: {words}"

    play(browser, tmp_path, story)
