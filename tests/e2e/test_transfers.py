"""Transfers between real windows, phones and robots, with the simulated service: who hears whom then."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agents.media.analysis import find_tone
from agents.media.files import read_wav
from agents.pbx.ledger import Entry
from agents.sip.dialog import Dialog
from agents.sip.events import DialogRequestDone, DialogRequestReceived, SessionAnswered
from agents.sip.refer import refer_to
from coordinator import ActionRefused, Call, CallState, Cause
from tests.e2e.sip_phone import SipPhone

from .office import FAREWELL, GREETING, WITHIN, Office, check_heard, ringing, same_call, tell


def order(entries: list[Entry], extension: str) -> list[tuple[str, str, int | None]]:
    """Return what passed between an extension's phone and the service from its REFER on."""
    kinds = ("REFER", "NOTIFY", "BYE", "RESPONSE")
    mine = [entry for entry in entries if entry.extension == extension and entry.event in kinds]
    first = next(index for index, entry in enumerate(mine) if entry.event == "REFER")
    return [
        (entry.method or entry.event, entry.direction or "", entry.status)
        for entry in mine[first:]
        if entry.event != "RESPONSE" or entry.method in ("REFER", "NOTIFY", "BYE")
    ]


def test_a_blind_transfer_connects_the_robot_with_the_extension_whose_window_answers(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"

    async def story(place: Office) -> None:
        real, dummy = await place.window("101"), await place.window("101", "second")
        target = await place.window("102", says=f"wav:{FAREWELL}", hears=f"wav:{heard}")
        robot = await place.robot_calls("101")
        await (await ringing(real)).answer()
        call = await same_call(dummy, real.calls[0])
        other_view = real.calls[0]
        transfer = asyncio.create_task(call.transfer("102"))
        await (await ringing(target)).answer()
        await transfer
        assert [await call.ended(), await other_view.ended()] == [Cause.TRANSFERRED] * 2
        assert not real.calls
        assert not dummy.calls
        await place.heard(robot, 5.5)
        check_heard(await place.recording(robot), FAREWELL)
        async with asyncio.timeout(WITHIN):
            await target.until(lambda: not target.calls)

    entries = tell(tmp_path, story)
    check_heard(heard, GREETING)
    assert order(entries, "101") == [
        ("REFER", "in", None),
        ("REFER", "out", 202),
        ("NOTIFY", "out", None),
        ("NOTIFY", "in", 200),
        ("NOTIFY", "out", None),
        ("NOTIFY", "in", 200),
        ("BYE", "out", None),
        ("BYE", "in", 200),
    ]
    [accepted] = [entry for entry in entries if entry.event == "TRANSFER_ACCEPTED"]
    [transferred] = [entry for entry in entries if entry.event == "TRANSFERRED"]
    assert accepted.number == transferred.number == "102"
    assert transferred.call != transferred.other_call
    assert transferred.call_id


@pytest.mark.parametrize(("target", "status"), [("78654", 486), ("whatever", 404), ("102", 480)])
def test_a_blind_transfer_that_fails_says_so_to_the_dummy_and_the_call_goes_on(
    tmp_path: Path, target: str, status: int
) -> None:
    async def story(place: Office) -> None:
        real, dummy = await place.window("101"), await place.window("101", "second")
        robot = await place.robot_calls("101")
        await (await ringing(real)).answer()
        call = await same_call(dummy, real.calls[0])
        with pytest.raises(ActionRefused) as caught:
            await call.transfer(target)
        assert (caught.value.code, caught.value.status) == ("far_end", status)
        assert call.state is CallState.ANSWERED
        await call.hold()
        await call.unhold()
        await place.heard(robot, 0.5)
        await call.hangup()

    entries = tell(tmp_path, story)
    [failed] = [entry for entry in entries if entry.event == "TRANSFER_FAILED"]
    assert failed.status == status
    assert not [entry for entry in entries if entry.event == "TRANSFERRED"]


def test_a_target_that_declines_leaves_the_caller_with_the_services_announcement(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        phone, target = await place.window("101"), await place.window("102")
        robot = await place.robot_calls("101")
        await (await ringing(phone)).answer()
        transfer = asyncio.create_task(phone.calls[0].transfer("102"))
        await (await ringing(target)).decline()
        await transfer
        await place.happened("CALL_DIVERTED", reason="declined")
        async with asyncio.timeout(WITHIN):
            assert (await place.simulator.robots.until(robot, "ended", WITHIN)).state == "ended"

    tell(tmp_path, story)


def test_a_blind_transfer_that_its_asker_gives_up_stops_the_ringing(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        phone, target = await place.window("101"), await place.window("102")
        await place.robot_calls("101")
        await (await ringing(phone)).answer()
        call = phone.calls[0]
        transfer = asyncio.create_task(call.transfer("102"))
        stopped = await ringing(target)
        await call.hangup()
        with pytest.raises(ActionRefused):
            await transfer
        assert await stopped.ended() is Cause.CANCELLED

    tell(tmp_path, story)


def test_a_warm_transfer_lets_two_robots_hear_each_other(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        real, dummy = await place.window("101"), await place.window("101", "second")
        first = await place.robot_calls("101")
        await (await ringing(real)).answer()
        call = await same_call(dummy, real.calls[0])
        await place.happened("ROBOT_MEDIA", leg=first, state="connected")
        consultation = await call.warm_transfer("16505550199")
        views = [await same_call(real, one) for one in (call, consultation.call)]
        assert call.held
        second = place.simulator.robots.all()[-1].name
        await consultation.complete()
        for one in (call, consultation.call, *views):
            assert await one.ended() is Cause.TRANSFERRED
        assert not real.calls
        assert not dummy.calls
        await place.heard(first, 5.5)
        await place.heard(second, 0.1)
        recordings = [await place.recording(first), await place.recording(second)]
        check_heard(recordings[0], FAREWELL)
        check_heard(recordings[1], GREETING)

    entries = tell(tmp_path, story)
    assert order(entries, "101")[:10] == [
        ("REFER", "in", None),
        ("REFER", "out", 202),
        ("NOTIFY", "out", None),
        ("NOTIFY", "in", 200),
        ("BYE", "out", None),
        ("BYE", "in", 200),
        ("NOTIFY", "out", None),
        ("NOTIFY", "in", 200),
        ("BYE", "out", None),
        ("BYE", "in", 200),
    ]
    byes = [entry.call_id for entry in entries if entry.event == "BYE" and entry.direction == "out"]
    [transferred] = [entry for entry in entries if entry.event == "TRANSFERRED"]
    assert byes[:2] == [transferred.other_call_id, transferred.call_id]


def test_a_warm_transfer_connects_a_robot_with_a_phone_that_can_hold_it_then(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"

    async def story(place: Office) -> None:
        phone = await place.window("101")
        asked = await place.window("102", says=f"wav:{FAREWELL}", hears=f"wav:{heard}")
        robot = await place.robot_calls("101")
        await (await ringing(phone)).answer()
        consulting = asyncio.create_task(phone.calls[0].warm_transfer("102"))
        call = await ringing(asked)
        await call.answer()
        consultation = await consulting
        await consultation.complete()
        await place.heard(robot, 5.5)
        await call.hold()
        assert place.simulator.robots.get(robot).robot_view().held
        await call.unhold()
        assert not place.simulator.robots.get(robot).robot_view().held
        await place.recording(robot)
        assert await call.ended() is Cause.HUNG_UP_THERE

    tell(tmp_path, story)
    check_heard(heard, GREETING)


def test_a_warm_transfer_connects_two_phones_by_the_service(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    answered = tmp_path / "answered.wav"

    async def story(place: Office) -> None:
        phone = await place.window("101")
        boss = await place.window("102", hears=f"wav:{heard}", says="tone:440")
        guest = await place.window("103", hears=f"wav:{answered}", says="tone:1000")
        calling = asyncio.create_task(guest.call("101"))
        await (await ringing(phone)).answer()
        guests_call = await calling
        consulting = asyncio.create_task(phone.calls[0].warm_transfer("102"))
        boss_call = await ringing(boss)
        await boss_call.answer()
        consultation = await consulting
        await consultation.complete()
        assert not phone.calls
        await place.happened("TRANSFERRED")
        await hears(answered, 440.0)
        await hears(heard, 1000.0)
        await boss_call.hold()
        await boss_call.unhold()
        await guests_call.hangup()
        assert await boss_call.ended() is Cause.HUNG_UP_THERE

    async def hears(path: Path, hertz: float) -> None:
        async with asyncio.timeout(WITHIN):
            while find_tone(read_wav(path), hertz) is None:  # noqa: ASYNC110 - nor does a file
                await asyncio.sleep(0.1)

    tell(tmp_path, story)


def test_a_blind_transfer_of_a_phone_goes_to_a_robot(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        phone = await place.window("101")
        guest = await place.window("102", says=f"wav:{GREETING}")
        calling = asyncio.create_task(guest.call("101"))
        await (await ringing(phone)).answer()
        await calling
        await phone.calls[0].transfer("199")
        robot = place.simulator.robots.all()[-1].name
        await place.heard(robot, 1.0)
        assert [call.state for call in guest.calls] == [CallState.ANSWERED]
        await place.recording(robot)

    tell(tmp_path, story)


def test_a_consultation_that_is_cancelled_takes_the_original_off_hold(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        phone = await place.window("101")
        robot = await place.robot_calls("101")
        await (await ringing(phone)).answer()
        original = phone.calls[0]
        originals.append(original)
        consultation = await original.warm_transfer("199")
        assert held(place, robot) == (True, True)
        await consultation.cancel()
        assert held(place, robot) == (False, False)
        assert consultation.call.state.is_final
        await original.hangup()

    def held(place: Office, robot: str) -> tuple[bool, bool]:
        return originals[0].held, place.simulator.robots.get(robot).robot_view().held

    originals: list[Call] = []
    tell(tmp_path, story)


# -- REFERs that no window of ours would send


async def established(phone: SipPhone, number: str = "199") -> tuple[str, Dialog]:
    """Call a robot; return the session and its dialog."""
    offer = await phone.sound().offer()
    session = await phone.do(lambda now: phone.core.invite(number, offer, now=now))
    await phone.wait(SessionAnswered, lambda event: event.session_id == session)
    dialog = phone.core._sessions.session(session).dialog
    assert dialog is not None
    return session, dialog


async def refer(phone: SipPhone, session: str, target: str) -> int:
    """Send a REFER; return the status of its answer."""
    headers = [("Refer-To", target)]
    request = await phone.do(lambda now: phone.core.request_in_dialog(session, "REFER", now, headers=headers))
    return (await phone.wait(DialogRequestDone, lambda event: event.request_id == request)).status


async def notified(phone: SipPhone, session: str) -> str:
    """Return the next NOTIFY's status line."""
    event = await phone.wait(
        DialogRequestReceived,
        lambda event: event.session_id == session and event.request.method == "NOTIFY",
    )
    assert event.request.headers.get("Event") == "refer"
    assert event.request.headers.get("Content-Type") == "message/sipfrag;version=2.0"
    return event.request.body.strip()


def test_an_unknown_or_own_or_foreign_dialog_is_not_replaced_and_both_calls_stay(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        async with (
            SipPhone(place.simulator.account_path("101")) as phone,
            SipPhone(place.simulator.account_path("102")) as stranger,
        ):
            session, own = await established(phone)
            _, other = await established(phone)
            _, foreign = await established(stranger)
            swapped = replace(other, local=other.remote, remote=other.local)
            unknown = replace(other, call_id="unknown")
            for dialog in (unknown, swapped, own, foreign):
                assert await refer(phone, session, refer_to("199", "sip.test", dialog)) == 202
                assert await notified(phone, session) == "SIP/2.0 100 Trying"
                assert (await notified(phone, session)).startswith("SIP/2.0 481 ")
            assert len(place.simulator.live_calls()) == 3
            assert all(call.far is not None for call in place.simulator.live_calls())

    entries = tell(tmp_path, story)
    assert len([entry for entry in entries if entry.event == "TRANSFER_FAILED" and entry.status == 481]) == 4


def test_a_refer_of_somebody_who_is_not_in_the_dialog_is_not_for_this_call(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        async with (
            SipPhone(place.simulator.account_path("101")) as phone,
            SipPhone(place.simulator.account_path("102")) as stranger,
        ):
            session, _ = await established(phone)
            stolen = stranger.core.restore_session(phone.core.export_session(session))
            assert await refer(stranger, stolen, "sip:102@sip.test") == 481
            assert len(place.simulator.live_calls()) == 1

    assert not [entry for entry in tell(tmp_path, story) if entry.event == "TRANSFER_ACCEPTED"]


def test_a_refer_that_cannot_be_read_or_comes_too_early_is_refused(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        await place.window("102")
        async with SipPhone(place.simulator.account_path("101")) as phone:
            session, _ = await established(phone)
            for target in ("nonsense", "<sip:%00@h>", "<sip:1@h?Replaces=x>"):
                assert await refer(phone, session, target) == 400
            assert await refer(phone, session, "sip:102@sip.ringcentral.com") == 202
            await notified(phone, session)
            assert await refer(phone, session, "sip:102@sip.test") == 491

    tell(tmp_path, story)
