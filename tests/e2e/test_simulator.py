import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from agents.media.analysis import find_tone, similarity
from agents.media.files import WavSink, WavSource, read_wav
from agents.pbx import Simulator, SimulatorSettings
from agents.pbx.client import ControlClient
from agents.pbx.ledger import Entry, read_ledger
from agents.pbx.robots import SOUNDS
from agents.pbx.settings import Queue
from agents.sip.events import (
    InviteReceived,
    ReinviteDone,
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
from shared.errors import ActionRefused, CertificateUntrusted, ConfigError
from tests.e2e.sip_phone import SipPhone

WITHIN = 20.0


def simulate(directory: Path, story: Callable[[Simulator], Awaitable[None]], **settings: Any) -> list[Entry]:
    """Run ``story`` with a service, and return what its ledger says."""

    async def main() -> None:
        async with (
            asyncio.timeout(90),
            Simulator(SimulatorSettings(directory=directory, **settings)) as simulator,
        ):
            await story(simulator)

    asyncio.run(main())
    return read_ledger(directory / "ledger.ndjson")


def phone_of(simulator: Simulator, extension: str = "101", instance_id: str | None = None) -> SipPhone:
    return SipPhone(simulator.account_path(extension), instance_id=instance_id)


def of(entries: list[Entry], event: str, **facts: Any) -> list[Entry]:
    return [
        entry
        for entry in entries
        if entry.event == event and all(getattr(entry, name) == value for name, value in facts.items())
    ]


async def raw(simulator: Simulator, *, subprotocol: str | None = "sip") -> Any:
    context = ssl.create_default_context(cafile=str(simulator.settings.directory / "ca.pem"))
    subprotocols = [Subprotocol(subprotocol)] if subprotocol else None
    return await connect(
        f"wss://127.0.0.1:{simulator.wss_port}", ssl=context, subprotocols=subprotocols, proxy=None
    )


def register_text(number: int = 1, *, name: str = "a", extra: str = "") -> str:
    return (
        "REGISTER sip:sip.test SIP/2.0\r\n"
        f"Call-Id: call-{name}\r\n"
        f'Contact: <sip:{name}@{name}.invalid;transport=wss>;+sip.instance="<urn:uuid:{name}>";expires=60\r\n'
        "From: <sip:16505550100*101@sip.test>;tag=t\r\nTo: <sip:16505550100*101@sip.test>\r\n"
        f"Via: SIP/2.0/WSS {name}.invalid;branch=z9hG4bK-{name}{number}\r\n"
        f"CSeq: {number} REGISTER\r\n{extra}Content-Length: 0\r\n\r\n"
    )


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
            await phone.do(phone.core._registration.register)
            await phone.wait(RegistrationChanged, lambda event: event.state == "registered")
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
            ControlClient.from_directory(simulator.settings.directory) as control,
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


def test_a_binding_whose_connection_died_is_kept_unreachable_until_it_expires(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        phone = phone_of(simulator)
        await phone.register()
        phone.crash()
        lost = await simulator.wait_for(lambda entry: entry.event == "BINDING_UNREACHABLE")
        assert (lost.bindings, lost.reachable) == (1, 0)
        closed = await simulator.wait_for(lambda entry: entry.event == "FLOW_CLOSED")
        assert (closed.instance_id, closed.via_host) == (phone.instance_id, lost.via_host)
        assert closed.via_host
        expired = await simulator.wait_for(lambda entry: entry.event == "BINDING_EXPIRED")
        assert expired.bindings == 0
        async with ControlClient.from_directory(simulator.settings.directory) as control:
            assert await control.bindings("101") == []

    simulate(tmp_path, story, expiry=1.0)


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
            ControlClient.from_directory(simulator.settings.directory) as control,
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


def check_sound(recording: Path, original: Path, tone_hz: float) -> None:
    heard, said = read_wav(recording), read_wav(original)
    assert find_tone(heard, tone_hz) is not None
    assert similarity(said, heard).score > 0.8


async def answer(phone: SipPhone, call: InviteReceived, source: Any = None, sink: Any = None) -> None:
    sdp = await phone.sound(source, sink).answer(call.sdp)
    await phone.do(lambda now: phone.core.answer(call.session_id, sdp, now))


async def dial(phone: SipPhone, number: str, source: Any = None, sink: Any = None) -> str:
    offer = await phone.sound(source, sink).offer()
    return await phone.do(lambda now: phone.core.invite(number, offer, now=now))


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
            await simulator.wait_for(
                lambda entry: entry.event == "ROBOT_MEDIA" and entry.state == "connected", within=WITHIN
            )
            await phone.do(lambda now: phone.core.hangup(session, now))
            assert (await phone.wait(SessionEnded)).cause == "local_bye"
            await simulator.wait_for(lambda entry: entry.event == "CALL_ENDED")

    entries = simulate(tmp_path, story)
    assert of(entries, "CALL_STARTED")[0].number == "16505550199"
    assert len(of(entries, "ACK", direction="in")) == 2  # of the 407, and of the 200
    assert of(entries, "CALL_ENDED")[0].reason == "remote_bye"


async def apply(phone: SipPhone, answered: SessionAnswered) -> None:
    assert phone.media is not None
    await phone.media.apply(answered.sdp)


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
            session = await dial(alice, "102")
            call = await bob.wait(InviteReceived)
            assert call.remote_number == "+16505550101"
            await answer(bob, call)
            await apply(alice, await alice.wait(SessionAnswered))
            assert alice.media is not None
            assert alice.media.local_sdp is not None

            hold = Sdp.parse(alice.media.local_sdp).with_direction("sendonly").encode()
            await alice.do(lambda now: alice.core.reinvite(session, hold, now))
            done = await alice.wait(ReinviteDone)
            assert done.status == 200
            assert Sdp.parse(done.sdp).direction == "recvonly"
            unhold = Sdp.parse(hold).with_direction("sendrecv").encode()
            await alice.do(lambda now: alice.core.reinvite(session, unhold, now))
            done = await alice.wait(ReinviteDone)
            assert Sdp.parse(done.sdp).direction == "sendrecv"
            assert not [event for event in bob.events if isinstance(event, ReinviteReceived)]

            await bob.do(lambda now: bob.core.hangup(call.session_id, now))
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
            ControlClient.from_directory(simulator.settings.directory) as control,
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
            ControlClient.from_directory(simulator.settings.directory) as control,
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
            ControlClient.from_directory(simulator.settings.directory) as control,
        ):
            robot = await control.call("101")
            call = await phone.wait(InviteReceived)
            await answer(phone, call)
            await phone.wait(SessionConfirmed)
            await phone.until_connected()
            assert phone.media is not None
            sdp = Sdp.parse(phone.media.local_sdp or "")
            for direction, answered in (("sendonly", "recvonly"), ("sendrecv", "sendrecv")):
                sdp = sdp.with_direction(direction).with_version(sdp.version + 1)  # type: ignore[arg-type]
                offer = sdp.encode()
                await phone.do(lambda now, offer=offer: phone.core.reinvite(call.session_id, offer, now))  # type: ignore[misc]
                done = await phone.wait(ReinviteDone)
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
            await alice.do(lambda now: alice.core.hangup(session, now))
            assert (await bob.wait(SessionEnded)).cause == "remote_cancel"
            assert (await alice.wait(SessionEnded)).cause == "local_cancel"

    entries = simulate(tmp_path, story)
    assert len(of(entries, "CANCEL", direction="in")) == len(of(entries, "CANCEL", direction="out")) == 1


def test_a_declined_call_ends_the_robot_with_the_status(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator) as phone,
            ControlClient.from_directory(simulator.settings.directory) as control,
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


# -- connections that die


def test_another_process_with_the_same_instance_id_continues_the_call(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with ControlClient.from_directory(simulator.settings.directory) as control:
            first = phone_of(simulator, instance_id="line")
            await first.register()
            robot = await control.call("101")
            call = await first.wait(InviteReceived)
            await answer(first, call)
            await first.wait(SessionConfirmed)
            dialog = first.core.export_session(call.session_id)
            first.crash()
            await simulator.wait_for(lambda entry: entry.event == "LEG_ADRIFT")

            async with phone_of(simulator, instance_id="line") as second:
                session = second.core.restore_session(dialog)
                offer = await second.sound().offer()
                await second.do(lambda now: second.core.reinvite(session, offer, now))
                done = await second.wait(ReinviteDone)
                assert done.status == 200
                assert second.media is not None
                await second.media.apply(done.sdp)
                await simulator.wait_for(lambda entry: entry.event == "LEG_CONTINUED")
                await second.until_connected()
                assert (await control.robot(robot.id)).state == "answered"
                await control.hang_up(robot.id)
                assert (await second.wait(SessionEnded)).cause == "remote_bye"
            await first.silence()

    entries = simulate(tmp_path, story)
    assert not [entry for entry in entries if (entry.bindings or 0) > 1]
    assert of(entries, "BYE", direction="out")[0].flow == "f2"


def test_a_stopped_process_that_was_replaced_hears_nothing_more(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            ControlClient.from_directory(simulator.settings.directory) as control,
            phone_of(simulator, instance_id="line") as stopped,
        ):
            robot = await control.call("101")
            call = await stopped.wait(InviteReceived)
            await answer(stopped, call)
            await stopped.wait(SessionConfirmed)
            heard = len(stopped.received)
            async with phone_of(simulator, instance_id="line") as leader:
                session = leader.core.restore_session(stopped.core.export_session(call.session_id))
                offer = await leader.sound().offer()
                await leader.do(lambda now: leader.core.reinvite(session, offer, now))
                assert (await leader.wait(ReinviteDone)).status == 200
                another = await control.call("101")
                await leader.wait(InviteReceived)
                await control.hang_up(robot.id)
                await control.hang_up(another.id)
                await leader.wait(SessionEnded, lambda event: event.cause == "remote_bye")
                await leader.wait(SessionEnded, lambda event: event.cause == "remote_cancel")
            # Its own agent message (Cmd 7) may have been on its way; nothing of the new leader's time is.
            assert not [frame for frame in stopped.received[heard:] if not frame.startswith("MESSAGE ")]

    entries = simulate(tmp_path, story)
    assert [entry.flow for entry in of(entries, "INVITE", direction="out")] == ["f1", "f2"]
    assert [entry.flow for entry in of(entries, "BYE", direction="out")] == ["f2"]


def test_a_continued_call_whose_sound_passes_by_the_service_is_offered_anew_to_the_far_phone(
    tmp_path: Path,
) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator, "102") as bob:
            first = phone_of(simulator, instance_id="line")
            await first.register()
            session = await dial(first, "102")
            await answer(bob, await bob.wait(InviteReceived))
            await apply(first, await first.wait(SessionAnswered))
            await bob.wait(SessionConfirmed)
            dialog = first.core.export_session(session)
            first.crash()
            async with phone_of(simulator, instance_id="line") as second:
                session = second.core.restore_session(dialog)
                offer = await second.sound().offer()
                await second.do(lambda now: second.core.reinvite(session, offer, now))
                asked = await bob.wait(ReinviteReceived)
                assert bob.media is not None
                sdp = await bob.media.answer(asked.sdp)
                await bob.do(lambda now: bob.core.accept_reinvite(asked.session_id, sdp, now))
                done = await second.wait(ReinviteDone)
                assert (done.status, done.sdp) == (200, sdp)
                assert second.media is not None
                await second.media.apply(done.sdp)
                await second.until_connected()

                await second.do(
                    lambda now: second.core.reinvite(session, offer.replace("ufrag:", "ufrag:x"), now)
                )
                asked = await bob.wait(ReinviteReceived)
                await bob.do(lambda now: bob.core.reject_reinvite(asked.session_id, 488, now))
                assert (await second.wait(ReinviteDone)).status == 488

                bob.crash()
                await simulator.wait_for(
                    lambda entry: entry.event == "LEG_ADRIFT" and entry.extension == "102"
                )
                await second.do(
                    lambda now: second.core.reinvite(session, offer.replace("ufrag:", "ufrag:y"), now)
                )
                assert (await second.wait(ReinviteDone)).status == 480
            await first.silence()

    simulate(tmp_path, story, direct_media=True)


def test_a_call_whose_phone_never_comes_back_ends_after_the_grace(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator, "102") as bob,
            ControlClient.from_directory(simulator.settings.directory) as control,
        ):
            alice = phone_of(simulator, "101")
            await alice.register()
            await dial(alice, "102")
            await answer(bob, await bob.wait(InviteReceived))
            await apply(alice, await alice.wait(SessionAnswered))
            await bob.wait(SessionConfirmed)
            alice.crash()
            await simulator.wait_for(lambda entry: entry.event == "LEG_ADRIFT")
            assert [leg.adrift for leg in (await control.calls())[0].legs] == [True, False]
            assert (await bob.wait(SessionEnded)).cause == "remote_bye"
            await alice.silence()

    [ended] = of(simulate(tmp_path, story, flow_grace=1.0), "CALL_ENDED")
    assert ended.reason == "connection lost"


def test_a_phone_that_came_back_without_its_calls_loses_them_after_the_grace(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with ControlClient.from_directory(simulator.settings.directory) as control:
            first = phone_of(simulator, instance_id="line")
            await first.register()
            robot = await control.call("101")
            await answer(first, await first.wait(InviteReceived))
            await first.wait(SessionConfirmed)
            first.crash()
            async with phone_of(simulator, instance_id="line"):
                view = await control.robot(robot.id, until="ended")
                assert view.reason == "call unknown to the phone"
            await first.silence()

    entries = simulate(tmp_path, story, flow_grace=1.0)
    assert len(of(entries, "OPTIONS", direction="out")) == 1


def test_a_phone_that_reconnects_keeps_its_calls_without_a_reinvite(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            ControlClient.from_directory(simulator.settings.directory) as control,
            phone_of(simulator, instance_id="line") as phone,
        ):
            robot = await control.call("101")
            await answer(phone, await phone.wait(InviteReceived))
            await phone.wait(SessionConfirmed)
            [flow] = await control.flows()
            await control.drop(flow.flow)
            await simulator.wait_for(lambda entry: entry.event == "LEG_ADRIFT")
            await phone.register()
            await simulator.wait_for(
                lambda entry: entry.event == "RESPONSE" and entry.method == "OPTIONS", within=WITHIN
            )
            assert (await control.robot(robot.id)).state == "answered"
            await control.hang_up(robot.id)
            assert (await phone.wait(SessionEnded)).cause == "remote_bye"

    simulate(tmp_path, story, flow_grace=1.0)


def test_a_robot_whose_phone_vanished_can_be_hung_up(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with ControlClient.from_directory(simulator.settings.directory) as control:
            phone = phone_of(simulator)
            await phone.register()
            robot = await control.call("101")
            await answer(phone, await phone.wait(InviteReceived))
            await phone.wait(SessionConfirmed)
            phone.crash()
            await simulator.wait_for(lambda entry: entry.event == "LEG_ADRIFT")
            await control.hang_up(robot.id)
            assert (await control.robot(robot.id)).state == "ended"
            assert await control.calls() == []
            await phone.silence()

    entries = simulate(tmp_path, story)
    assert of(entries, "UNDELIVERED", direction="out")
    assert not of(entries, "BYE", direction="out")


def test_a_phone_that_lost_its_connection_while_ringing_rings_again_when_it_is_back(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with ControlClient.from_directory(simulator.settings.directory) as control:
            first = phone_of(simulator, instance_id="line")
            await first.register()
            robot = await control.call("101")
            await first.wait(InviteReceived)
            first.crash()
            async with phone_of(simulator, instance_id="line") as second:
                await answer(second, await second.wait(InviteReceived))
                assert (await control.robot(robot.id, until="answered")).state == "answered"
                await control.hang_up(robot.id)

    simulate(tmp_path, story)


# -- bad input


def test_frames_that_are_no_sip_are_answered_or_closed_and_nobody_else_notices(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator) as phone:
            torn = await raw(simulator)
            await torn.send(register_text().split("Content-Length")[0].replace("Contact", "Contact\0"))
            assert (await torn.recv()).startswith("SIP/2.0 400 Bad Request")
            await torn.send(register_text(2))  # the connection is still good
            assert (await torn.recv()).startswith("SIP/2.0 100")
            await torn.close()

            unreadable = await raw(simulator)
            for method in ("REGISTER", "INVITE"):
                text = register_text().replace("To: <", "To: <<").replace("REGISTER", method)
                await unreadable.send(text)
                assert (await unreadable.recv()).startswith("SIP/2.0 400 Bad Request")
            await unreadable.close()

            missing = await raw(simulator)
            await missing.send(register_text().replace("Call-Id: call-a\r\n", ""))
            assert (await missing.recv()).startswith("SIP/2.0 400 Bad Request")
            await missing.close()

            for frame, code in ((b"\x00\x01", 1003), ("hello", 1002), ("x" * 70_000, 1009)):
                stranger = await raw(simulator)
                await stranger.send(frame)
                with pytest.raises(ConnectionClosed) as closed:
                    await stranger.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == code

            await phone.do(phone.core._registration.register)
            await phone.wait(RegistrationChanged, lambda event: event.state == "registered")

    entries = simulate(tmp_path, story)
    assert len(of(entries, "BAD_FRAME")) == 7


def test_a_connection_without_the_subprotocol_is_no_websocket_of_ours(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        for subprotocol in (None, "chat"):
            with pytest.raises(InvalidStatus) as refused:
                await raw(simulator, subprotocol=subprotocol)
            assert refused.value.response.status_code == 400
        async with httpx.AsyncClient(verify=False) as browser:
            answered = await browser.get(f"https://127.0.0.1:{simulator.wss_port}/")
            assert answered.status_code == 426
        context = ssl.create_default_context(cafile=str(simulator.settings.directory / "ca.pem"))
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.wss_port, ssl=context)
        writer.write(b"\x00\xff torn\r\n\r\n")
        await reader.read()
        writer.close()
        # Not even TLS, and not even a byte.
        for greeting in (b"REGISTER sip:sip.test SIP/2.0\r\n\r\n", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", simulator.wss_port)
            writer.write(greeting)
            assert ((await reader.read()).startswith(b"HTTP/1.1 400 ")) is bool(greeting)
            writer.close()
        async with phone_of(simulator):
            pass

    refused = of(simulate(tmp_path, story, handshake_time=0.5), "FLOW_REFUSED")
    assert [entry.reason.split(":")[0] for entry in refused if entry.reason] == [
        "HTTP 400",
        "HTTP 400",
        "HTTP 426",
        "no WebSocket request",
        "no TLS",
        "no TLS",
    ]


def test_whoever_says_nothing_is_closed_and_a_registered_phone_is_not(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator) as phone:
            silent = await raw(simulator)
            with pytest.raises(ConnectionClosed):
                await silent.recv()
            await phone.do(phone.core._registration.register)
            await phone.wait(RegistrationChanged, lambda event: event.state == "registered")

    [closed] = [
        entry
        for entry in of(simulate(tmp_path, story, idle_time=0.5), "FLOW_CLOSED")
        if entry.reason == "idle"
    ]
    assert closed.extension is None


def test_whoever_does_not_read_is_cut_off(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        deaf = await raw(simulator)
        deaf.transport.pause_reading()

        async def shout() -> None:
            for number in range(200_000):
                await deaf.send(register_text(number).replace("REGISTER", "OPTIONS"))

        with pytest.raises(ConnectionClosed):
            await shout()
        closed = await simulator.wait_for(lambda entry: entry.event == "FLOW_CLOSED", within=WITHIN)
        assert closed.reason == "does not read what it is sent"

    simulate(tmp_path, story)


def test_a_keepalive_is_answered_and_is_no_message(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        connection = await raw(simulator)
        await connection.send("\r\n\r\n")
        assert await connection.recv() == "\r\n"
        await connection.close()

    assert not of(simulate(tmp_path, story), "BAD_FRAME")


def test_a_stranger_can_neither_call_nor_end_a_call(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator) as phone,
            ControlClient.from_directory(simulator.settings.directory) as control,
        ):
            robot = await control.call("101")
            await answer(phone, await phone.wait(InviteReceived))
            await control.robot(robot.id, until="answered")
            stranger = await raw(simulator)
            invite = register_text().replace("REGISTER sip:sip.test", "INVITE sip:102@sip.test")
            await stranger.send(invite.replace("1 REGISTER", "1 INVITE"))
            assert (await stranger.recv()).startswith("SIP/2.0 403 Forbidden")
            ack = next(frame for frame in phone.received if frame.startswith("ACK "))
            await stranger.send(ack.replace("ACK", "BYE"))
            assert (await stranger.recv()).startswith("SIP/2.0 481")
            assert (await control.robot(robot.id)).state == "answered"
            await stranger.close()
            await control.hang_up(robot.id)

    simulate(tmp_path, story)


# -- control and program


def test_the_control_api_is_for_who_knows_the_token(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        path = simulator.settings.directory / "control.json"
        assert path.stat().st_mode & 0o077 == 0
        url = json.loads(path.read_text())["url"]
        async with httpx.AsyncClient(trust_env=False) as stranger:
            assert (await stranger.get(f"{url}/calls")).status_code == 401
            foreign = {"Host": "evil.example"}
            assert (await stranger.get(f"{url}/calls", headers=foreign)).status_code == 400
        async with ControlClient.from_directory(simulator.settings.directory) as control:
            assert await control.calls() == []
            for robot_call in (control.robot("r99"), control.bindings("999"), control.drop("f99")):
                with pytest.raises(ActionRefused) as refused:
                    await robot_call
                assert refused.value.code == "no_such_call"
            (tmp_path / "bad.wav").write_text("no sound")
            for play in ("no.wav", "bad.wav"):
                with pytest.raises(ActionRefused) as refused:
                    await control.call("101", play=tmp_path / play)
                assert refused.value.code == "bad_request"
            async with httpx.AsyncClient(trust_env=False) as wellwisher:
                token = {"Authorization": f"Bearer {json.loads(path.read_text())['token']}"}
                for body in (b"{", b"{}", b"\xff", b"x" * 70_000, b'{"to":"1","fro":"2"}'):
                    answered = await wellwisher.post(f"{url}/robots/call", content=body, headers=token)
                    assert answered.status_code == 400
                    assert answered.json()["error"]
                for query in ("until=never", "until=ended&timeout=x", "until=ended&timeout=1e9"):
                    answered = await wellwisher.get(f"{url}/robots/r1?{query}", headers=token)
                    assert answered.status_code == 400

    simulate(tmp_path / "sim", story)
    with pytest.raises(ConfigError):
        ControlClient.from_directory(tmp_path / "sim")


def test_control_sees_and_drops_bindings_and_flows(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator, instance_id="urn:a/b c") as phone,
            ControlClient.from_directory(simulator.settings.directory) as control,
        ):
            [binding] = await control.bindings("101")
            [flow] = await control.flows()
            assert (binding.instance_id, binding.flow) == ("urn:a/b c", flow.flow)
            assert 55 < binding.expires_in <= 60
            assert binding.via_host in phone.sent[0]
            await control.expire("101", "urn:a/b c")
            assert await control.bindings("101") == []
            with pytest.raises(ActionRefused):
                await control.expire("101", "urn:a/b c")
            await dial(phone, "199")
            ended = await phone.wait(SessionEnded)
            assert ended.status == 403
            assert await control.robots() == []
            await control.drop(flow.flow)
            await simulator.wait_for(lambda entry: entry.event == "FLOW_CLOSED")
            assert await control.flows() == []

    simulate(tmp_path, story)


def run_program(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "agents.pbx", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_program_says_where_it_listens_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    program = run_program("--dir", str(tmp_path), "--extension", "103:16505550103")
    assert program.stdout is not None
    listening = json.loads(program.stdout.readline())
    assert listening["dir"] == str(tmp_path.resolve())
    assert load_account(tmp_path / "103.json").outbound_proxy == f"127.0.0.1:{listening['wss']}"

    taken = run_program("--dir", str(tmp_path / "other"), "--wss", str(listening["wss"]))
    _, complaint = taken.communicate(timeout=WITHIN)
    assert taken.returncode == 2
    assert "choose another port with --wss" in complaint
    assert len(complaint.splitlines()) == 1

    second = run_program("--dir", str(tmp_path))
    _, complaint = second.communicate(timeout=WITHIN)
    assert second.returncode == 2
    assert f"another simulated service (process {program.pid}) runs in {tmp_path}" in complaint
    assert len(complaint.splitlines()) == 1
    assert (tmp_path / "control.json").exists()

    program.terminate()
    _, complaint = program.communicate(timeout=WITHIN)
    assert (program.returncode, complaint) == (0, "")
    assert [entry.event for entry in read_ledger(tmp_path / "ledger.ndjson")] == [
        "SERVICE_STARTED",
        "SERVICE_STOPPED",
    ]


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["--extension", "101"], "bad extension '101'"),
        (["--extension", "101:1650555010x"], "bad extension"),
        (["--domain", "no such"], "bad domain"),
        (["--wss", "70000"], "bad wss_port"),
    ],
)
def test_the_program_names_a_bad_option_in_one_line(tmp_path: Path, arguments: list[str], cause: str) -> None:
    program = run_program("--dir", str(tmp_path), *arguments)
    _, complaint = program.communicate(timeout=WITHIN)
    assert program.returncode == 2
    assert cause in complaint
    assert len(complaint.splitlines()) == 1


def test_a_service_that_starts_again_keeps_accounts_and_authority(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        accounts.append(load_account(simulator.account_path("101")))
        authorities.append((tmp_path / "ca.pem").read_bytes())

    accounts: list[Any] = []
    authorities: list[bytes] = []
    simulate(tmp_path, story)
    simulate(tmp_path, story)
    assert accounts[0].password == accounts[1].password
    assert accounts[0].authorization_id == accounts[1].authorization_id
    assert authorities[0] == authorities[1]


# -- queues


def test_all_members_of_a_queue_ring_one_answers_and_all_see_whose_call_it_was(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator, "101") as one,
            phone_of(simulator, "102") as other,
            ControlClient.from_directory(tmp_path) as control,
        ):
            robot = await control.call("16505550200", name="ALICE")
            call = await one.wait(InviteReceived)
            await other.wait(InviteReceived)
            for phone in (one, other):
                frame = await phone.frame("INVITE sip:", "queue-call,reject")
                assert ";callerIdName=ALICE;" in frame
                assert ";queueName=Sales\r\n" in frame
            await answer(one, call)
            await other.frame("CANCEL sip:")
            assert (await control.robot(robot.id, until="answered")).state == "answered"
            await control.hang_up(robot.id)

    entries = simulate(tmp_path, story, queues=(Queue("200", "Sales", ("101", "102"), "16505550200"),))
    assert len(of(entries, "CALL_ANSWERED")) == 1


def test_a_member_that_was_cut_off_while_it_rang_is_rung_again(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        phone = phone_of(simulator, "102", instance_id="member")
        await phone.register()
        async with ControlClient.from_directory(tmp_path) as control:
            robot = await control.call("200")
            await phone.wait(InviteReceived)
            phone.crash()
            await simulator.wait_for(lambda entry: entry.event == "BINDING_UNREACHABLE")
            async with phone_of(simulator, "102", instance_id="member") as again:
                await again.wait(InviteReceived)
                await control.hang_up(robot.id)

    simulate(tmp_path, story, queues=(Queue("200", "Sales", ("101", "102")),))
