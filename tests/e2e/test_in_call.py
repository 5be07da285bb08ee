"""What a dummy window does with an answered call, and what the service's ledger and recordings say of it."""

import asyncio
from pathlib import Path

import pytest

from agents.media.analysis import find_tone, similarity
from agents.media.files import read_wav
from coordinator import ActionRefused, Call, CallState, Cause, MediaState, Phone

from .office import FAREWELL, GREETING, WITHIN, Office, ringing, same_call, tell


async def talking(place: Office, *, says: str = "silence", hears: str = "none") -> tuple[Phone, Phone, str]:
    """Let a robot talk with 101's real window; return that, its dummy, and the robot's id."""
    real, dummy = await place.window("101", says=says, hears=hears), await place.window("101", "second")
    robot = await place.robot_calls("101")
    await (await ringing(real)).answer()
    async with asyncio.timeout(WITHIN):
        await real.calls[0].connected()
    await same_call(dummy, real.calls[0])
    return real, dummy, robot


async def shown(phone: Phone, call: Call, name: str, value: object) -> None:
    """Wait until another window shows something of a call."""
    seen = await same_call(phone, call)
    async with asyncio.timeout(WITHIN):
        await phone.until(lambda: getattr(seen, name) == value)


def test_a_recording_that_a_dummy_asks_for_is_state_everywhere_and_has_both_voices(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        real, dummy, robot = await talking(place, says="tone:440")
        call = dummy.calls[0]
        await call.start_recording()
        assert call.recording
        await shown(real, call, "recording", True)
        await place.heard(robot, 2.0)
        await call.stop_recording()
        await shown(real, call, "recording", False)
        await call.hangup()

    tell(tmp_path, story)
    [recording] = (tmp_path / "service" / "recordings").glob("c*-1.wav")
    assert find_tone(read_wav(recording), 440.0) is not None


def test_the_service_refuses_what_it_cannot_do_and_the_call_goes_on(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        _, dummy, _ = await talking(place)
        call = dummy.calls[0]
        with pytest.raises(ActionRefused) as caught:
            await call.flip("whatever")
        assert caught.value.code == "far_end"
        await call.mute()
        assert (call.state, call.muted) == (CallState.ANSWERED, True)
        await call.hangup()

    tell(tmp_path, story)


def test_a_call_that_a_dummy_parks_is_retrieved_from_the_place_that_it_was_told(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"

    async def story(place: Office) -> None:
        real, dummy, robot = await talking(place)
        call, other = dummy.calls[0], real.calls[0]
        location = await call.park()
        assert location
        assert [call.cause, await other.ended()] == [Cause.PARKED] * 2
        assert place.simulator.robots.get(robot).state == "answered"
        colleague = await place.window("102", hears=f"wav:{heard}", says=f"wav:{FAREWELL}")
        retrieved = await colleague.retrieve(location)
        await place.heard(robot, 3.0)
        await retrieved.hangup()
        assert (await place.simulator.robots.until(robot, "ended", WITHIN)).state == "ended"

    tell(tmp_path, story)
    assert similarity(read_wav(GREETING), read_wav(heard)).score > 0.5


def test_a_call_is_flipped_to_another_phone_which_has_it_when_we_hang_up(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        _, dummy, robot = await talking(place)
        mobile = await place.window("102")
        call = dummy.calls[0]
        assert (await call.flip("16505550102")).endswith("16505550102")
        await (await ringing(mobile)).answer()
        await place.happened("TRANSFERRED")
        await call.hangup()
        await place.heard(robot, 1.0)
        assert [one.state for one in mobile.calls] == [CallState.ANSWERED]

    tell(tmp_path, story)


def test_a_re_invite_gives_a_call_a_new_connection_and_the_far_end_hears_us_again(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        real, dummy, robot = await talking(place, says="tone:440")
        call = dummy.calls[0]
        await call.re_invite()
        async with asyncio.timeout(WITHIN):
            await real.until(lambda: real.calls[0].media is MediaState.CONNECTED)
        before = place.simulator.robots.get(robot).robot_view().seconds
        await place.heard(robot, 2.0)
        recording = await place.recording(robot)
        assert find_tone(read_wav(recording), 440.0, after=before + 0.5) is not None

    entries = tell(tmp_path, story)
    kinds = [entry.kind for entry in entries if entry.event == "INVITE" and entry.direction == "in"]
    assert kinds == ["reinvite"]


def test_keys_of_a_dummy_reach_the_far_end(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        _, dummy, robot = await talking(place)
        await dummy.calls[0].send_dtmf("159#")
        assert place.simulator.robots.get(robot).robot_view().keys == "159#"

    tell(tmp_path, story)


def test_keys_of_the_far_end_are_heard_in_every_window_whichever_has_the_sound(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        caller = await place.window("101")
        windows = [await place.window("102"), await place.window("102", "second")]
        heard: list[asyncio.Queue[str]] = [asyncio.Queue(), asyncio.Queue()]
        windows[0].on("key_pressed", lambda _call, key: heard[0].put_nowait(key))
        windows[1].on("key_pressed", lambda _call, key: heard[1].put_nowait(key))
        outgoing = await caller.dial("102")
        await (await ringing(windows[1])).answer()
        async with asyncio.timeout(WITHIN):
            await outgoing.connected()
            await outgoing.send_dtmf("4#")
            assert [[await keys.get() for _ in "4#"] for keys in heard] == [["4", "#"], ["4", "#"]]
        await outgoing.hangup()
        assert all(keys.empty() for keys in heard)

    tell(tmp_path, story)


def test_a_mute_is_shown_in_every_window(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        real, dummy, _ = await talking(place)
        await dummy.calls[0].mute()
        for phone in (real, dummy):
            await shown(phone, dummy.calls[0], "muted", True)
        await real.calls[0].unmute()
        for phone in (real, dummy):
            await shown(phone, real.calls[0], "muted", False)

    tell(tmp_path, story)
