"""Registrations and calls at the simulated service, as a phone sees them and as the ledger tells them."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agents.media.files import WavSink, WavSource
from agents.pbx import Simulator
from agents.pbx.robots import SOUNDS
from agents.sip.events import (
    InviteReceived,
    ReinviteReceived,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionProgress,
)
from agents.sip.registration import RegistrationChanged
from agents.sip.sdp import Sdp
from shared.clock import monotonic
from shared.config import load_account
from shared.errors import ActionRefused, CertificateUntrusted

from .service import (
    answer,
    apply,
    check_sound,
    controlled,
    dial,
    direct,
    hang_up,
    happens,
    of,
    phone_of,
    refresh,
    simulate,
    talk,
    talk_with_robot,
)
from .sip_phone import SipPhone

# -- registrations


def test_register_refresh_and_unregister_have_the_messages_of_the_real_service(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator) as phone:
            assert phone.statuses() == [
                "SIP/2.0 100 Trying",
                "SIP/2.0 401 Unauthorized",
                "SIP/2.0 100 Trying",
                "SIP/2.0 200 OK",
            ]
            challenge = next(line for line in phone.received[1].split("\r\n") if line.startswith("Www-"))
            assert challenge.startswith('Www-Authenticate: Digest realm="sip.test", nonce="')
            await refresh(phone)
            assert phone.statuses()[4:] == ["SIP/2.0 200 OK"]
            await phone.unregister()
            assert phone.statuses()[5:] == [
                "SIP/2.0 100 Trying",
                "SIP/2.0 401 Unauthorized",
                "SIP/2.0 100 Trying",
                "SIP/2.0 200 OK",
            ]

    entries = simulate(tmp_path, story)
    written = (tmp_path / "ledger.ndjson").read_text()
    assert load_account(tmp_path / "101.json").password not in written
    assert "nonce" not in written
    assert [entry.status for entry in of(entries, "REGISTER")] == [401, 200, 200]
    assert [entry.status for entry in of(entries, "UNREGISTER")] == [401, 200]
    assert of(entries, "BINDING_REMOVED")[0].bindings == 0


def test_the_same_instance_id_replaces_its_binding_and_the_sixth_other_one_is_refused(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        phones = [phone_of(simulator, instance_id=f"phone-{number}") for number in range(5)]
        for phone in phones:
            await phone.register()
        again = phone_of(simulator, instance_id="phone-3")
        await again.register()
        assert len(simulator.registrar.bindings("101")) == 5

        sixth = phone_of(simulator, instance_id="phone-6")
        await sixth.connect()
        failed = await sixth.wait(RegistrationChanged, lambda event: event.state == "failed")
        assert (failed.status, failed.reason) == (603, "Too Many Contacts")
        for phone in [*phones, again, sixth]:
            await phone.close()

    entries = simulate(tmp_path, story)
    assert len(of(entries, "BINDING_REPLACED", instance_id="phone-3")) == 1
    assert of(entries, "REGISTER", status=603)[0].bindings == 5


@pytest.mark.parametrize("fault", ["password", "authorization_id"])
def test_wrong_credentials_are_forbidden_and_leave_no_binding(tmp_path: Path, fault: str) -> None:
    async def story(simulator: Simulator) -> None:
        account = replace(load_account(simulator.account_path("101")), **{fault: "800000000001"})  # type: ignore[arg-type]  # both are str
        phone = SipPhone(account)
        await phone.connect()
        failed = await phone.wait(RegistrationChanged, lambda event: event.state == "failed")
        assert failed.status == 403
        assert simulator.registrar.bindings("101") == []
        await phone.close()

    assert of(simulate(tmp_path, story), "REGISTER", status=403)


def test_an_older_connection_of_the_same_instance_can_still_call_and_is_not_called(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator, instance_id="line") as older,
            phone_of(simulator, instance_id="line") as newer,
            controlled(simulator) as control,
        ):
            await dial(older, "78654")
            assert (await older.wait(SessionEnded)).status == 486
            robot = await control.call("101")
            await newer.wait(InviteReceived)
            await control.hang_up(robot.id)
            await newer.wait(SessionEnded)
            assert not [frame for frame in older.received if frame.startswith("INVITE ")]

    entries = simulate(tmp_path, story)
    assert [entry.flow for entry in of(entries, "INVITE", direction="out")] == ["f2"]


def test_whoever_does_not_know_the_authority_does_not_trust_the_service(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        phone = SipPhone(replace(load_account(simulator.account_path("101")), ca_file=None))
        with pytest.raises(CertificateUntrusted):
            await phone.connect()

    simulate(tmp_path, story)


# -- calls with sound


def test_a_robot_calls_and_speech_arrives_both_ways(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"

    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator) as phone,
            controlled(simulator) as control,
        ):
            robot = await control.call("+1 (650) 555-0101", caller="16505550123", name="Ada: Lovelace")
            call = await phone.wait(InviteReceived)
            assert (call.remote_number, call.remote_name) == ("+16505550123", "Ada Lovelace")
            assert call.party_id is not None
            assert call.party_id.endswith("-2")
            said = asyncio.Event()
            source = WavSource(SOUNDS / "farewell.wav", on_end=said.set)
            await answer(phone, call, source, WavSink(heard))
            await phone.wait(SessionConfirmed)
            assert (await control.robot(robot.id, until="answered")).state == "answered"
            [view] = await control.calls()
            assert [leg.kind for leg in view.legs] == ["robot", "phone"]
            await said.wait()
            await control.hang_up(robot.id)
            ended = await phone.wait(SessionEnded)
            assert ended.cause == "remote_bye"
            await phone.silence()
            check_sound(Path(robot.recording), SOUNDS / "farewell.wav", 697.0)
            check_sound(heard, SOUNDS / "greeting.wav", 941.0)

    entries = simulate(tmp_path / "sim", story)
    assert [entry.kind for entry in of(entries, "INVITE", direction="out")] == ["initial"]
    assert len(of(entries, "ACK", direction="out")) == len(of(entries, "BYE", direction="out")) == 1
    assert of(entries, "RESPONSE", direction="in", method="BYE")[0].status == 200
    assert of(entries, "CALL_ENDED")[0].reason == "robot hung up"


def test_an_outbound_call_has_the_messages_of_the_real_service_and_the_robot_answers(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator) as phone:
            before = len(phone.received)
            session = await dial(phone, "16505550199")
            progress = await phone.wait(SessionProgress)
            assert progress.status == 183
            assert progress.party_id is not None
            assert progress.party_id.endswith("-1")
            answered = await phone.wait(SessionAnswered)
            await apply(phone, answered)
            assert phone.statuses()[before:] == [
                "SIP/2.0 100 Trying",
                "SIP/2.0 407 Proxy Authentication Required",
                "SIP/2.0 100 Trying",
                "SIP/2.0 183 Session Progress",
                "SIP/2.0 200 OK",
            ]
            await happens(simulator, "ROBOT_MEDIA", state="connected")
            await hang_up(phone, session)
            assert (await phone.wait(SessionEnded)).cause == "local_bye"
            await happens(simulator, "CALL_ENDED")

    entries = simulate(tmp_path, story)
    assert of(entries, "CALL_STARTED")[0].number == "16505550199"
    assert len(of(entries, "ACK", direction="in")) == 2  # of the 407, and of the 200
    assert of(entries, "CALL_ENDED")[0].reason == "remote_bye"


def test_numbers_that_lead_nowhere_end_with_a_status_after_the_183(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator) as phone:
            for number, status in (("78654", 486), ("whatever", 404), ("102", 480)):
                await dial(phone, number)
                assert (await phone.wait(SessionProgress)).status == 183
                ended = await phone.wait(SessionEnded)
                assert (ended.cause, ended.status) == ("rejected", status)

    simulate(tmp_path, story)


@pytest.mark.parametrize("uri", ["nonsense", "sip:a<b@sip.test", "sip:199@host:99999", ":"])
def test_an_invite_whose_request_uri_cannot_be_read_is_a_bad_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator) as phone:
            send = phone.socket.send

            async def torn(frame: str) -> None:
                await send(frame.replace("INVITE sip:199@sip.test SIP", f"INVITE {uri} SIP"))

            with monkeypatch.context() as patch:
                patch.setattr(phone.socket, "send", torn)
                await dial(phone, "199")
                assert (await phone.wait(SessionEnded)).status == 400
            await dial(phone, "78654")
            assert (await phone.wait(SessionEnded)).status == 486

    assert [entry.number for entry in of(simulate(tmp_path, story), "CALL_STARTED")] == ["78654"]


def test_one_extension_calls_another_and_holds_without_the_far_end_noticing(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator, "101") as alice, phone_of(simulator, "102") as bob:
            session, answered = await talk(alice, bob)
            [call] = [event for event in bob.events if isinstance(event, InviteReceived)]
            assert call.remote_number == "+16505550101"
            for mine, theirs in (("sendonly", "recvonly"), ("sendrecv", "sendrecv")):
                done = await direct(alice, session, mine)
                assert (done.status, Sdp.parse(done.sdp).direction) == (200, theirs)
            assert not [event for event in bob.events if isinstance(event, ReinviteReceived)]

            await hang_up(bob, answered)
            assert (await alice.wait(SessionEnded)).cause == "remote_bye"

    entries = simulate(tmp_path, story)
    assert len(of(entries, "LEG_HELD")) == len(of(entries, "LEG_UNHELD")) == 1
    invites = {entry.call_id for entry in of(entries, "INVITE", kind="initial")}
    assert len(invites) == 2  # each leg has a Call-Id of its own


def test_all_instances_ring_and_the_losers_are_told_that_another_one_answered(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator) as one,
            phone_of(simulator) as two,
            controlled(simulator) as control,
        ):
            robot = await control.call("101")
            call, other = await one.wait(InviteReceived), await two.wait(InviteReceived)
            await answer(one, call)
            ended = await two.wait(SessionEnded)
            assert (ended.session_id, ended.cause) == (other.session_id, "answered_elsewhere")
            await two.frame("MESSAGE sip:", 'Cmd="7"')
            await one.frame("MESSAGE sip:", 'Cmd="7"')
            await two.frame("CANCEL sip:", "Reason: SIP;cause=200")
            await control.hang_up(robot.id)

    simulate(tmp_path, story)


def test_when_two_phones_answer_at_once_one_has_the_call_and_the_other_is_hung_up(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator) as one,
            phone_of(simulator) as two,
            controlled(simulator) as control,
        ):
            robot = await control.call("101")
            calls = await one.wait(InviteReceived), await two.wait(InviteReceived)
            answers = [
                await phone.sound().answer(call.sdp) for phone, call in zip((one, two), calls, strict=True)
            ]
            for phone, call, sdp in zip((one, two), calls, answers, strict=True):
                phone.core.answer(call.session_id, sdp, monotonic())
            await asyncio.gather(one.flush(), two.flush())
            ends = [asyncio.create_task(phone.wait(SessionEnded)) for phone in (one, two)]
            done, pending = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            assert (len(done), len(pending)) == (1, 1)
            assert (await control.robot(robot.id, until="answered")).state == "answered"
            await control.hang_up(robot.id)
            await asyncio.gather(*pending)

    entries = simulate(tmp_path, story)
    assert len(of(entries, "CALL_ANSWERED")) == 1
    assert len({entry.leg for entry in of(entries, "BYE", direction="out")}) == 2


def test_nobody_answers_and_the_caller_is_told_after_the_ring_time(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator, "101") as alice, phone_of(simulator, "102") as bob:
            await dial(alice, "102")
            await bob.wait(InviteReceived)
            ended = await alice.wait(SessionEnded)
            assert (ended.cause, ended.status) == ("rejected", 480)
            assert (await bob.wait(SessionEnded)).cause == "remote_cancel"

    simulate(tmp_path, story, ring_time=0.3, ring_delay=0.05)


def test_a_robot_can_answer_at_once(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator) as phone:
            await dial(phone, "199")
            await phone.wait(SessionAnswered)

    simulate(tmp_path, story, answer_at_once=True, robot_answer_delay=60.0)


def test_a_robot_knows_that_it_is_held(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator) as phone,
            controlled(simulator) as control,
        ):
            robot, session = await talk_with_robot(control, phone)
            await phone.until_connected()
            assert phone.media is not None
            for direction, answered in (("sendonly", "recvonly"), ("sendrecv", "sendrecv")):
                done = await direct(phone, session, direction)
                assert (done.status, Sdp.parse(done.sdp).direction) == (200, answered)
                assert (await control.robot(robot.id)).held is (direction == "sendonly")
            assert phone.media.state == "connected"
            await control.hang_up(robot.id)

    simulate(tmp_path, story)


def test_a_caller_that_gives_up_stops_the_ringing(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator, "101") as alice, phone_of(simulator, "102") as bob:
            session = await dial(alice, "102")
            await bob.wait(InviteReceived)
            await hang_up(alice, session)
            assert (await bob.wait(SessionEnded)).cause == "remote_cancel"
            assert (await alice.wait(SessionEnded)).cause == "local_cancel"

    entries = simulate(tmp_path, story)
    assert len(of(entries, "CANCEL", direction="in")) == len(of(entries, "CANCEL", direction="out")) == 1


def test_a_declined_call_ends_the_robot_with_the_status(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator) as phone,
            controlled(simulator) as control,
        ):
            robot = await control.call("101")
            call = await phone.wait(InviteReceived)
            await phone.do(lambda now: phone.core.reject(call.session_id, 486, now))
            view = await control.robot(robot.id, until="ended")
            assert (view.state, view.status) == ("ended", 486)
            with pytest.raises(ActionRefused) as refused:
                await control.hang_up(robot.id)
            assert refused.value.code == "wrong_state"

    simulate(tmp_path, story)
