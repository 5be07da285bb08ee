"""What a phone that rings answers in place of a person, with real sound: replies, and messages."""

import asyncio
from pathlib import Path

import pytest

from agents.media.analysis import similarity
from agents.media.files import WavSink, WavSource, read_wav
from agents.pbx import Simulator
from agents.pbx.replies import MENU
from agents.sip.events import InviteReceived, SessionAnswered, SessionEnded
from agents.sip.ringcentral import AgentMessage, Command
from tests.e2e.sip_phone import SipPhone

from .service import dial, phone_of, simulate

PHRASES = MENU.parent / "replies"


async def rung(caller: SipPhone, callee: SipPhone, heard: Path) -> tuple[str, InviteReceived]:
    """Have one phone call the other; return the call as either has it."""
    dialled = await dial(caller, "102", WavSource(MENU.parent / "greeting.wav"), WavSink(heard))
    return dialled, await callee.wait(InviteReceived)


async def tell(phone: SipPhone, call: InviteReceived, command: Command, **body: str) -> None:
    """Send an agent message about a ringing call."""
    await phone.do(lambda now: phone.core.agent_command(call.session_id, command, body, now))


def said_to(phone: SipPhone, command: Command) -> list[AgentMessage]:
    """Return the agent messages of a kind that a phone was sent."""
    bodies = (frame.partition("\r\n\r\n")[2] for frame in phone.received if frame.startswith("MESSAGE "))
    return [message for body in bodies if (message := AgentMessage.parse(body)).command == command]


@pytest.mark.parametrize(
    ("body", "phrases"),
    [
        ({"RepTp": "1", "Dir": "0", "Vl": "5", "Units": "1"}, ("call-you-back-to", "5", "hours")),
        ({"RepTp": "3"}, ("other-line",)),
        ({"RepTp": "4", "Dir": "1"}, ("later-from",)),
        ({"RepTp": "5"}, ("meeting",)),
    ],
)
def test_a_structured_reply_is_spoken_and_the_callers_key_comes_back(
    tmp_path: Path, body: dict[str, str], phrases: tuple[str, ...]
) -> None:
    heard = tmp_path / "heard.wav"

    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator, "101") as caller, phone_of(simulator, "102") as callee:
            _, call = await rung(caller, callee, heard)
            await tell(callee, call, Command.CLIENT_REPLY, **body)
            await callee.frame("CANCEL sip:")
            answered = await caller.wait(SessionAnswered)
            assert caller.media is not None
            await caller.media.apply(answered.sdp)
            await caller.until_connected()
            async with asyncio.timeout(20):
                while heard.stat().st_size < 96_000 * (2 + len(phrases)):  # noqa: ASYNC110 - sound takes its time
                    await asyncio.sleep(0.05)
            await caller.media.dtmf("3")
            await callee.frame("MESSAGE ", 'Cmd="9"', 'Resp="1"')
            await caller.wait(SessionEnded)

    entries = simulate(tmp_path, story)
    assert any((entry.reason or "").startswith("replied: ") for entry in entries)
    sound = read_wav(heard)
    for phrase in phrases:
        assert similarity(read_wav(PHRASES / f"{phrase}.wav"), sound).score > 0.8, phrase


def test_who_was_left_a_message_is_told_at_all_phones(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator, "101") as caller,
            phone_of(simulator, "102") as callee,
            phone_of(simulator, "102") as other,
        ):
            dialled, call = await rung(caller, callee, tmp_path / "heard.wav")
            await tell(callee, call, Command.CLIENT_VOICEMAIL)
            answered = await caller.wait(SessionAnswered)
            assert caller.media is not None
            await caller.media.apply(answered.sdp)
            await caller.until_connected()
            robot = simulator.desk.robots()[-1]
            async with asyncio.timeout(20):
                while simulator.desk.robot(robot.id).seconds < 0.5:  # noqa: ASYNC110 - sound takes its time
                    await asyncio.sleep(0.05)
            await caller.do(lambda now: caller.core.hangup(dialled, now))
            for phone in (callee, other):
                await phone.frame("MESSAGE ", 'Cmd="3"')
                [notice] = said_to(phone, Command.NEW_MESSAGE)
                assert notice.client == phone.account.authorization_id
            assert said_to(caller, Command.NEW_MESSAGE) == []

    entries = simulate(tmp_path, story)
    assert [entry.extension for entry in entries if entry.event == "VOICEMAIL_LEFT"] == ["102"]


def test_who_hangs_up_before_the_mailbox_hears_has_left_no_message(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator, "101") as caller, phone_of(simulator, "102") as callee:
            dialled, call = await rung(caller, callee, tmp_path / "heard.wav")
            await tell(callee, call, Command.CLIENT_VOICEMAIL)
            await callee.frame("CANCEL sip:")
            await caller.do(lambda now: caller.core.hangup(dialled, now))
            await caller.wait(SessionEnded)

    entries = simulate(tmp_path, story, robot_answer_delay=5.0)
    assert [entry for entry in entries if entry.event == "VOICEMAIL_LEFT"] == []


def test_whom_nobody_answers_in_time_gets_to_the_mailbox(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator, "101") as caller, phone_of(simulator, "102") as callee:
            await rung(caller, callee, tmp_path / "heard.wav")
            await callee.frame("MESSAGE ", 'Cmd="9"')
            await callee.frame("CANCEL sip:")
            answered = await caller.wait(SessionAnswered)
            assert caller.media is not None
            await caller.media.apply(answered.sdp)
            await caller.until_connected()

    entries = simulate(tmp_path, story, ring_time=0.5, mailbox=True)
    assert [entry.reason for entry in entries if entry.event == "CALL_DIVERTED"] == ["nobody answered"]
