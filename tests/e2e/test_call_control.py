"""Calls that are answered, taken and made by REST, with phones and real sound."""

from pathlib import Path
from typing import Any

import pytest

from agents.media.files import ToneSource, WavSink
from agents.pbx import Simulator
from agents.sip.events import InviteReceived, SessionAnswered, SessionConfirmed, SessionEnded, SessionProgress
from agents.sip.ringcentral import AgentMessage
from tests.e2e.rest_program import OWN, Rest, serve
from tests.e2e.sip_phone import SipPhone

from .service import answer, dial, phone_of
from .telephony import TELEPHONY, THREE, ask, heard, make_phone, session_of


def test_a_session_tells_its_parties_and_the_tags_of_their_dialogs(tmp_path: Path) -> None:
    async def story(simulator: Simulator, rest: Rest) -> None:
        async with phone_of(simulator, "101") as caller, phone_of(simulator, "102") as callee:
            await rest.login("101")
            dialled = await dial(caller, "102")
            progress = await caller.wait(SessionProgress)
            assert progress.session_ref is not None
            ringing = await callee.wait(InviteReceived)
            session = await session_of(rest, progress.session_ref)
            assert [party["status"]["code"] for party in session["parties"]] == ["Proceeding", "Proceeding"]
            assert [party["id"] for party in session["parties"]] == [progress.party_id, ringing.party_id]

            await answer(callee, ringing)
            answered = await caller.wait(SessionAnswered)
            mine, other = (await session_of(rest, session["id"]))["parties"]
            assert (mine["direction"], other["direction"]) == ("Outbound", "Inbound")
            assert (mine["from"]["extensionNumber"], mine["to"]["extensionNumber"]) == ("101", "102")
            assert (mine["status"]["code"], mine["extensionId"]) == ("Answered", "62000000101")
            response = answered.response
            assert mine["sipData"] == {"toTag": response.to.tag, "fromTag": response.from_.tag}
            assert other["sipData"]["toTag"] != other["sipData"]["fromTag"]

            ended = await rest.http.delete(f"{TELEPHONY}/sessions/{session['id']}")
            assert ended.status_code == 204
            for phone in (caller, callee):
                await phone.wait(SessionEnded)
            await rest.refused(404, "CMN-102", "GET", f"{TELEPHONY}/sessions/{session['id']}")
            assert dialled

    serve(tmp_path, story)


def test_a_call_is_switched_to_another_phone_by_what_presence_tells(tmp_path: Path) -> None:
    got = tmp_path / "got.wav"

    async def story(simulator: Simulator, rest: Rest) -> None:
        async with (
            phone_of(simulator, "101") as first,
            phone_of(simulator, "101") as second,
            phone_of(simulator, "102") as far,
        ):
            await rest.login("101")
            assert (await presence(rest))["telephonyStatus"] == "NoCall"
            await dial(first, "102")
            ringing = await far.wait(InviteReceived)
            assert (await presence(rest))["telephonyStatus"] == "Ringing"
            await answer(far, ringing, ToneSource(660))
            await first.wait(SessionAnswered)

            [call] = (await presence(rest))["activeCalls"]
            assert (call["direction"], call["telephonyStatus"]) == ("Outbound", "CallConnected")
            tags = call["sipData"]
            value = (
                f"{call['telephonySessionId']};to-tag={tags['toTag']};from-tag={tags['fromTag']};early-only"
            )
            offer = await second.sound(ToneSource(440), WavSink(got)).offer()
            headers = [("Replaces", value)]
            await second.do(lambda now: second.core.invite("102", offer, now=now, headers=headers))
            answered = await second.wait(SessionAnswered)
            assert second.media is not None
            await second.media.apply(answered.sdp)
            await first.wait(SessionEnded)
            await heard(got, 660)
            assert len((await presence(rest))["activeCalls"]) == 1

    async def presence(rest: Rest) -> dict[str, Any]:
        found: dict[str, Any] = (await rest.http.get(f"{OWN}/presence")).json()
        return found

    serve(tmp_path, story)


def test_answering_by_rest_cancels_the_ringing_and_rings_anew_to_be_answered_at_once(tmp_path: Path) -> None:
    async def story(simulator: Simulator, rest: Rest) -> None:
        phone, device = await make_phone(rest, "102")
        async with phone, phone_of(simulator, "102") as other, phone_of(simulator, "101") as caller:
            await dial(caller, "102")
            first = await phone.wait(InviteReceived)
            await other.wait(InviteReceived)
            assert first.session_ref is not None
            path = f"/sessions/{first.session_ref}/parties/{first.party_id}/answer"
            party = await ask(rest, path, {"deviceId": device})
            assert (party["id"], party["to"]["deviceId"]) == (first.party_id, device)

            assert (await phone.wait(SessionEnded)).session_id == first.session_id
            again = await phone.wait(InviteReceived)
            assert again.session_ref == first.session_ref
            frame = await phone.frame("INVITE sip:", "Alert-Info: Auto Answer\r\n")
            assert ";Answer-After=0\r\n" in frame
            await answer(phone, again)
            await caller.wait(SessionAnswered)
            await other.frame("CANCEL sip:")
            assert not any("Alert-Info" in frame for frame in other.received)
            await rest.refused(409, "TAS-102", "POST", TELEPHONY + path, json={"deviceId": device})

    serve(tmp_path, story)


def test_each_phone_that_rang_is_told_for_each_device_that_the_call_is_taken(tmp_path: Path) -> None:
    def told(phone: SipPhone) -> list[str]:
        bodies = [frame.partition("\r\n\r\n")[2] for frame in phone.received if frame.startswith("MESSAGE ")]
        taken = [message for body in bodies if (message := AgentMessage.parse(body)).command == 7]
        return sorted(message.client or "" for message in taken)

    async def story(simulator: Simulator, rest: Rest) -> None:
        phone, _device = await make_phone(rest, "102")
        async with phone, phone_of(simulator, "102") as other, phone_of(simulator, "101") as caller:
            await dial(caller, "102")
            call = await phone.wait(InviteReceived)
            await other.wait(InviteReceived)
            await answer(phone, call)
            await caller.wait(SessionAnswered)
            devices = sorted(one.account.authorization_id for one in (phone, other))
            for one in (phone, other):
                for device in devices:
                    await one.frame("MESSAGE ", 'Cmd="7"', f'Cln="{device}"')
                assert told(one) == devices
            assert (await other.wait(SessionEnded)).cause != "rejected"
            [view] = simulator.desk.calls()
            assert [leg.state for leg in view.legs] == ["answered", "answered"]

    serve(tmp_path, story)


def test_a_call_that_rings_elsewhere_is_picked_up_by_an_invite_without_an_offer(tmp_path: Path) -> None:
    said, got = tmp_path / "said.wav", tmp_path / "got.wav"

    async def story(simulator: Simulator, rest: Rest) -> None:
        phone, device = await make_phone(rest, "103")
        async with phone, phone_of(simulator, "102") as rung, phone_of(simulator, "101") as caller:
            await dial(caller, "102", ToneSource(440), WavSink(said))
            ringing = await rung.wait(InviteReceived)
            path = f"/sessions/{ringing.session_ref}/parties/{ringing.party_id}/pickup"
            await ask(rest, path, {"deviceId": device})
            taken = await phone.wait(InviteReceived)
            assert taken.sdp == ""
            await rest.refused(409, "TAS-102", "POST", TELEPHONY + path, json={"deviceId": device})
            offer = await phone.sound(ToneSource(660), WavSink(got)).offer()
            await phone.do(lambda now: phone.core.answer(taken.session_id, offer, now))
            confirmed = await phone.wait(SessionConfirmed)
            assert "m=audio" in confirmed.sdp
            assert phone.media is not None
            await phone.media.apply(confirmed.sdp)
            await rung.frame("CANCEL sip:")
            answered = await caller.wait(SessionAnswered)
            assert caller.media is not None
            await caller.media.apply(answered.sdp)
            await heard(got, 440)
            await heard(said, 660)

    serve(tmp_path, story, extensions=THREE)


def test_a_call_out_rings_the_users_phone_first_and_then_whom_it_calls(tmp_path: Path) -> None:
    said, got = tmp_path / "said.wav", tmp_path / "got.wav"

    async def story(simulator: Simulator, rest: Rest) -> None:
        phone, device = await make_phone(rest, "101")
        async with phone, phone_of(simulator, "102") as callee:
            order = {"from": {"deviceId": device}, "to": {"extensionNumber": "1-0-2"}}
            session = (await ask(rest, "/call-out", order, status=201))["session"]
            [party] = session["parties"]
            assert (session["origin"]["type"], party["status"]["code"]) == ("CallOut", "Setup")
            rung = await phone.wait(InviteReceived)
            assert rung.session_ref == session["id"]
            await phone.frame("INVITE sip:", "Alert-Info: Auto Answer")
            assert not any(frame.startswith("INVITE") for frame in callee.received)
            await answer(phone, rung, ToneSource(440), WavSink(said))
            called = await callee.wait(InviteReceived)
            assert called.remote_number in ("+16505550101", "16505550101", "101")
            await answer(callee, called, ToneSource(660), WavSink(got))
            await heard(said, 660)
            await heard(got, 440)
            parties = (await session_of(rest, session["id"]))["parties"]
            assert [one["status"]["code"] for one in parties] == ["Answered", "Answered"]
            await phone.do(lambda now: phone.core.hangup(rung.session_id, now))
            await callee.wait(SessionEnded)

    serve(tmp_path, story)


def test_a_call_out_that_nobody_answers_or_that_leads_nowhere_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.pbx.rest.call_office._MOST_DIALING", 1)

    async def story(_simulator: Simulator, rest: Rest) -> None:
        phone, device = await make_phone(rest, "101")
        order = {"from": {"deviceId": device}, "to": {"phoneNumber": "78654"}}
        await rest.refused(409, "TAS-102", "POST", f"{TELEPHONY}/call-out", json=order)
        async with phone:
            session = (await ask(rest, "/call-out", order, status=201))["session"]
            rung = await phone.wait(InviteReceived)
            await answer(phone, rung)
            assert (await phone.wait(SessionEnded)).cause == "remote_bye"

            session = (await ask(rest, "/call-out", order, status=201))["session"]
            await phone.wait(InviteReceived)
            assert (await session_of(rest, session["id"]))["parties"][0]["status"]["code"] == "Setup"
            await rest.refused(409, "TAS-102", "POST", f"{TELEPHONY}/call-out", json=order)  # one at a time
            assert (await rest.http.delete(f"{TELEPHONY}/sessions/{session['id']}")).status_code == 204
            await phone.wait(SessionEnded)
            await rest.refused(404, "CMN-102", "GET", f"{TELEPHONY}/sessions/{session['id']}")

            await ask(rest, "/call-out", order, status=201)
            refusing = await phone.wait(InviteReceived)
            await phone.do(lambda now: phone.core.reject(refusing.session_id, 603, now))

    serve(tmp_path, story)
