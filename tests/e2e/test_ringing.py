"""What a dummy window does with a ringing call, and what the caller hears and chooses then."""

import asyncio
from pathlib import Path

import pytest

from agents.media.analysis import similarity
from agents.media.files import read_wav
from agents.pbx.robots import SOUNDS
from coordinator import ActionRefused, Call, CallState, Cause, Phone

from .office import WITHIN, Office, ringing, tell

TEXTS = ("voicemail", "declined", "menu", "greeting", "farewell")


async def ringing_at_a_dummy(place: Office, *, hears: str = "none") -> tuple[Phone, Call, Call]:
    """Let 102 call 101, which has two windows; return the caller, its call, and the call at the dummy."""
    guest = await place.window("102", hears=hears)
    real, dummy = await place.window("101"), await place.window("101", "second")
    assert (real.role, dummy.role) == ("real", "dummy")
    outgoing = await guest.dial("101")
    return guest, outgoing, await ringing(dummy)


def most_like(recording: Path) -> str:
    """Return which of the service's texts is in a recording."""
    heard = read_wav(recording)
    return max(TEXTS, key=lambda name: similarity(read_wav(SOUNDS / f"{name}.wav"), heard).score)


async def answered(call: Call) -> None:
    async with asyncio.timeout(WITHIN):
        await call.answered()


@pytest.mark.parametrize(
    ("verb", "cause", "text", "diverted"),
    [
        ("decline", Cause.DECLINED, "declined", "declined"),
        ("to_voicemail", Cause.VOICEMAIL, "voicemail", "to voicemail"),
    ],
)
def test_a_dummy_sends_a_caller_away_and_the_caller_hears_why(
    tmp_path: Path, verb: str, cause: Cause, text: str, diverted: str
) -> None:
    heard = tmp_path / "heard.wav"

    async def story(place: Office) -> None:
        _, outgoing, call = await ringing_at_a_dummy(place, hears=f"wav:{heard}")
        await getattr(call, verb)()
        assert (call.state, call.cause) == (CallState.DISPOSED, cause)
        await place.happened("CALL_DIVERTED", reason=diverted)
        await answered(outgoing)
        robot = place.simulator.robots.all()[-1]
        if verb == "decline":
            async with asyncio.timeout(WITHIN):
                assert await outgoing.ended() is Cause.HUNG_UP_THERE  # when the announcement is over
        else:
            await place.heard(robot.name, 4.0)
            await outgoing.hangup()

    entries = tell(tmp_path, story)
    assert most_like(heard) == text
    sent = [entry for entry in entries if entry.event == "MESSAGE" and entry.direction == "in"]
    assert len(sent) == 2  # the receipt and the command: once each


def test_a_dummy_forwards_a_caller_to_a_robot(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"

    async def story(place: Office) -> None:
        _, outgoing, call = await ringing_at_a_dummy(place, hears=f"wav:{heard}")
        await call.forward("16505550199")
        assert call.cause is Cause.FORWARDED
        assert call.ending == "ended: forwarded"
        await answered(outgoing)
        await place.heard(place.simulator.robots.all()[-1].name, 4.0)
        await outgoing.hangup()

    tell(tmp_path, story)
    assert most_like(heard) == "farewell"


@pytest.mark.parametrize(
    ("keys", "answer", "callback"),
    [("3", "yes", ""), ("4", "no", ""), ("516505550177#1", "urgent", "16505550177")],
)
def test_a_reply_returns_to_the_dummy_what_the_caller_pressed(
    tmp_path: Path, keys: str, answer: str, callback: str
) -> None:
    async def story(place: Office) -> None:
        _, outgoing, call = await ringing_at_a_dummy(place)
        await call.start_reply()
        replying = asyncio.create_task(call.reply("I am on my way"))
        await answered(outgoing)
        assert call.cause is Cause.REPLIED
        async with asyncio.timeout(WITHIN):
            await outgoing.connected()
        await outgoing.send_dtmf(keys)
        async with asyncio.timeout(WITHIN):
            replied = await replying
        assert (replied.answer, replied.callback) == (answer, callback)
        assert replied.name == "Extension 102"

    tell(tmp_path, story)


def test_a_reply_to_a_caller_who_hangs_up_returns_none(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        _, outgoing, call = await ringing_at_a_dummy(place)
        replying = asyncio.create_task(call.reply("later"))
        await answered(outgoing)
        await outgoing.hangup()
        async with asyncio.timeout(WITHIN):
            assert (await replying).answer == "none"

    tell(tmp_path, story)


def test_two_windows_that_want_different_things_get_one_and_a_refusal(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        await place.window("102")
        real, dummy = await place.window("101"), await place.window("101", "second")
        await place.robot_calls("101")
        calls = [await ringing(real), await ringing(dummy)]
        outcomes = await asyncio.gather(calls[0].to_voicemail(), calls[1].decline(), return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, ActionRefused)]
        assert len(refused) == 1
        assert refused[0].code in ("wrong_state", "no_such_call")

    entries = tell(tmp_path, story)
    assert len([entry for entry in entries if entry.event == "CALL_DIVERTED"]) == 1
