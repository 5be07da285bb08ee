"""The service, with the npm package ``ringcentral-web-phone`` as it is published, in Chromium."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.media.analysis import find_tone, tone_level
from agents.media.base import FRAME_BYTES, FRAME_SECONDS
from agents.media.files import read_wav
from agents.pbx import Simulator, SimulatorSettings
from agents.pbx.client import ControlClient
from agents.pbx.rest.keys import RestFile
from agents.pbx.settings import Queue
from agents.pbx.views import RobotView
from agents.rest.client import RestClient, RestLogin
from coordinator.supervisor import Child, Supervisor

from .browser import Browser, BrowserCall, BrowserPhone, Page, missing

REASON = missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"browser tests: {REASON}")

SDKS = ("2.1", "2.5")
OLD, NEW = SDKS
BEEP = 400.0  # Hz, of Chromium's fake microphone: 20 ms twice a second
MARKS = (697.0, 1477.0)  # Hz, before and after what the callee robot says
GREETING_MARK = 941.0  # Hz, before what the caller robot says

both_sdks = pytest.mark.parametrize("sdk", SDKS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as started:
        yield started


class Stage:
    """A service, its control API, and phones in pages."""

    def __init__(self, browser: Browser, simulator: Simulator, control: ControlClient) -> None:
        self.browser, self.simulator, self.control = browser, simulator, control
        self.pages: list[Page] = []
        self._stack = AsyncExitStack()

    async def page(self, sdk: str) -> Page:
        """Open a page."""
        page = Page(self.browser, f"page {len(self.pages) + 1} with {sdk}", sdk)
        self.pages.append(await self._stack.enter_async_context(page))
        return page

    def phone_in(self, page: Page, name: str, extension: str = "102") -> BrowserPhone:
        """Return a phone in a page, not registered yet."""
        return BrowserPhone(page, self.simulator.account_path(extension), name)

    async def phone(self, sdk: str, name: str = "browser", extension: str = "102") -> BrowserPhone:
        """Open a page with a phone, and register it."""
        phone = self.phone_in(await self.page(sdk), name, extension)
        await phone.register()
        return phone

    async def ended(self, robot: RobotView) -> RobotView:
        """Return a robot when its call has ended."""
        found = await self.control.robot(robot.id, until="ended")
        assert found.state == "ended"
        return found

    async def close(self) -> None:
        """Close the pages."""
        await self._stack.aclose()


Story = Callable[[Stage], Awaitable[None]]


def play(browser: Browser, directory: Path, story: Story, **settings: Any) -> None:
    """Run ``story`` with a service of its own."""

    async def main() -> None:
        async with (
            asyncio.timeout(100),
            Simulator(SimulatorSettings(directory=directory, **settings)) as simulator,
            ControlClient.from_directory(directory) as control,
        ):
            stage = Stage(browser, simulator, control)
            try:
                await story(stage)
            finally:
                await stage.close()

    asyncio.run(main())


async def robot_called(stage: Stage) -> RobotView:
    """Return the robot that was called last."""
    return (await stage.control.robots())[-1]


def seconds_of(recording: str, hz: float) -> list[float]:
    """Return when ``hz`` is loud in a robot's recording: the beginnings of frames of 20 ms."""
    pcm = read_wav(Path(recording))
    frames = range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)
    loud = [index for index, at in enumerate(frames) if tone_level(pcm[at : at + FRAME_BYTES], hz) > 0.1]
    return [index * FRAME_SECONDS for index in loud]


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when ``condition`` holds; raise TimeoutError if it does not within ten seconds."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - what it looks at is in other processes
            await asyncio.sleep(0.05)


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


async def inbound(stage: Stage, sdk: str) -> tuple[RobotView, BrowserPhone, BrowserCall]:
    """Have a robot call a new page, and answer."""
    phone = await stage.phone(sdk)
    robot = await stage.control.call("102", name="ALICE")
    call = await phone.arrived()
    facts = await call.facts()
    assert (facts["states"][0], facts["remote_number"]) == ("ringing", "+16505550123")
    await call.act("answer")
    await call.listen()
    return robot, phone, call


@both_sdks
def test_an_inbound_call_is_heard_both_ways_and_ends_when_the_robot_hangs_up(
    browser: Browser, tmp_path: Path, sdk: str
) -> None:
    async def story(stage: Stage) -> None:
        robot, phone, call = await inbound(stage, sdk)
        await call.hears(GREETING_MARK, seconds=0.1)
        await eventually(lambda: recorded(robot))
        await stage.control.hang_up(robot.id)
        await call.until("disposed")
        tail = ["< BYE sip:", "> SIP/2.0 200 OK", "< MESSAGE sip:", "> SIP/2.0 200 OK"]
        await eventually(lambda: ends_with(phone, tail))

    async def recorded(robot: RobotView) -> bool:
        return len(seconds_of(robot.recording, BEEP)) > 1

    async def ends_with(phone: BrowserPhone, tail: list[str]) -> bool:
        return all(map(str.startswith, (await phone.wire())[-4:], tail))

    play(browser, tmp_path, story)


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
            await asyncio.sleep(0.3)
            await call.heard()
            await asyncio.sleep(1.7)
            if held:
                assert await call.heard() == []
        await call.act("hangup")
        marks["end"] = (await stage.ended(robot)).seconds
        beeps = seconds_of(robot.recording, BEEP)
        for name, after in pairwise(marks):
            heard = [at for at in beeps if marks[name] + 0.5 < at < marks[after] - 0.2]
            assert bool(heard) == (name in ("unmute", "unhold")), (name, heard, marks)

    play(browser, tmp_path, story)


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


async def beeps_in(robot: RobotView, *, after: float = 0.0) -> bool:
    return any(at > after for at in seconds_of(robot.recording, BEEP))


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
        await asyncio.sleep(2.5)
        assert (await call.facts())["connection"] == "connected"
        await call.act("hangup")
        robot = await stage.ended(robot)
        assert robot.reason == "remote_bye"
        assert [at for at in seconds_of(robot.recording, BEEP) if at > before + 1]

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
        await asyncio.sleep(1.0)
        await dialled.act("hangup")
        robot = await stage.ended(await robot_called(stage))
        assert len(seconds_of(robot.recording, BEEP)) > 1

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
        await eventually(lambda: heard_after(robot, before))
        await stage.control.hang_up(robot.id)
        await dialled.until("disposed")

    async def heard_after(robot: RobotView, before: float) -> bool:
        return any(at > before for at in seconds_of(robot.recording, BEEP))

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
        await eventually(lambda: heard_after(robot, before))
        await arrived.act("hangup")
        await stage.ended(robot)

    async def heard_after(robot: RobotView, before: float) -> bool:
        return any(at > before for at in seconds_of(robot.recording, BEEP))

    play(browser, tmp_path, story)
