"""Calls that are made, answered, taken, joined and watched by REST, with phones and real sound."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.media.analysis import tone_level
from agents.media.base import RATE_HZ
from agents.media.files import ToneSource, WavSink, read_wav
from agents.pbx import Extension, Simulator
from agents.pbx.client import ControlClient
from agents.rest.client import RestClient, RestLogin
from agents.sip.events import (
    InviteReceived,
    ReinviteReceived,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionProgress,
)
from agents.sip.ringcentral import AgentMessage
from shared.errors import ActionRefused, RestFailed
from tests.e2e.sip_phone import SipPhone
from tests.e2e.test_rest import OWN, PROVISION, WSS, Rest, serve, write_account

from .service import answer, apply, dial, phone_of

THREE = tuple(Extension(number, f"16505550{number}") for number in ("101", "102", "103"))
TELEPHONY = "/restapi/v1.0/account/~/telephony"


async def make_phone(rest: Rest, extension: str) -> tuple[SipPhone, str]:
    """Provision a device of an extension; return its phone, not registered yet, and the device's id."""
    await rest.login(extension)
    given = (await rest.http.post(PROVISION, json=WSS)).json()
    return SipPhone(write_account(rest.directory, given["sipInfo"][0])), given["device"]["id"]


async def ask(rest: Rest, path: str, body: Any = None, *, status: int = 200) -> dict[str, Any]:
    """Have something done, and return the answer."""
    answer = await rest.http.post(TELEPHONY + path, json=body if body is not None else {})
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def session_of(rest: Rest, session_id: str) -> dict[str, Any]:
    """Return a session as the service shows it."""
    answer = await rest.http.get(f"{TELEPHONY}/sessions/{session_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def loudness(path: Path, hz: float) -> float:
    """Return how loud a tone is at most, in a tenth of a second of what a phone has heard."""
    pcm = read_wav(path) if path.exists() else b""
    tenth = RATE_HZ // 10 * 2
    return max(
        (tone_level(pcm[at : at + tenth], hz) for at in range(0, len(pcm) - tenth, tenth)), default=0.0
    )


async def heard(path: Path, hz: float) -> None:
    """Return when a phone hears a tone, perhaps among others."""
    async with asyncio.timeout(15):
        while loudness(path, hz) < 0.05:  # noqa: ASYNC110 - a file has no event to wait for
            await asyncio.sleep(0.1)


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
            order = {"from": {"deviceId": device}, "to": {"extensionNumber": "102"}}
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


def test_a_conference_is_dialled_and_others_are_brought_in_and_all_hear_all(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.wav" for name in ("host", "guest", "late")]

    async def story(simulator: Simulator, rest: Rest) -> None:
        async with (
            phone_of(simulator, "101") as host,
            phone_of(simulator, "102") as guest,
            phone_of(simulator, "103") as late,
        ):
            await rest.login("101")
            session = (await ask(rest, "/conference", status=201))["session"]
            number = session["voiceCallToken"]
            assert number.startswith("conf_")
            assert (session["origin"]["type"], session["parties"]) == ("Conference", [])
            for phone, hz, path in ((host, 440, files[0]), (late, 880, files[2])):
                await dial(phone, number, ToneSource(hz), WavSink(path))
                answered = await phone.wait(SessionAnswered)
                assert phone.media is not None
                await phone.media.apply(answered.sdp)

            await dial(host, "102", ToneSource(440))
            ringing = await guest.wait(InviteReceived)
            await answer(guest, ringing, ToneSource(660), WavSink(files[1]))
            await host.wait(SessionAnswered)
            body = {"sessionId": ringing.session_ref, "partyId": ringing.party_id}
            party = await ask(rest, f"/sessions/{session['id']}/parties/bring-in", body, status=201)
            parties = (await session_of(rest, session["id"]))["parties"]
            assert party["id"] in [one["id"] for one in parties]
            assert len(parties) == 3
            for path, others in zip(files, ((660, 880), (440, 880), (440, 660)), strict=True):
                for hz in others:
                    await heard(path, hz)

    serve(tmp_path, story, extensions=THREE)


@pytest.mark.parametrize(
    ("mode", "agent_hears", "caller_hears"),
    [("Listen", False, False), ("Whisper", True, False), ("Barge", True, True)],
)
def test_a_supervisor_hears_a_call_and_is_heard_there_as_the_mode_says(
    tmp_path: Path, mode: str, agent_hears: bool, caller_hears: bool
) -> None:
    async def story(simulator: Simulator, rest: Rest) -> None:
        async with supervised(tmp_path, simulator, rest) as (phone, path, order):
            await ask(rest, path, order | {"mode": mode}, status=201)
            await answer(phone, await phone.wait(InviteReceived), ToneSource(880), WavSink(tmp_path / "boss"))
            for hz in (440, 660):
                await heard(tmp_path / "boss", hz)
            for name, hears in (("agent", agent_hears), ("caller", caller_hears)):
                if hears:
                    await heard(tmp_path / name, 880)
            is_heard = [loudness(tmp_path / name, 880) > 0.05 for name in ("agent", "caller")]
            assert is_heard == [agent_hears, caller_hears]

    serve(tmp_path, story, extensions=THREE)


def test_a_supervisor_takes_a_call_over_and_what_cannot_be_supervised_is_refused(tmp_path: Path) -> None:
    async def story(simulator: Simulator, rest: Rest) -> None:
        async with supervised(tmp_path, simulator, rest) as (phone, path, order):
            for change, status, code in (
                ({"agentExtensionNumber": "109"}, 404, "CMN-102"),
                ({"mode": "Shout"}, 400, "CMN-101"),
            ):
                await rest.refused(status, code, "POST", TELEPHONY + path, json=order | change)
            await ask(rest, path, order | {"mode": "TakeOver"}, status=201)
            rung = await phone.wait(InviteReceived)
            await answer(phone, rung, ToneSource(880), WavSink(tmp_path / "boss"))
            asked = await phone.wait(ReinviteReceived)
            assert phone.media is not None
            sdp = await phone.media.answer(asked.sdp)
            await phone.do(lambda now: phone.core.accept_reinvite(rung.session_id, sdp, now))
            await heard(tmp_path / "boss", 440)
            await heard(tmp_path / "caller", 880)
            [call] = simulator.desk.calls()
            assert [leg.number for leg in call.legs] == ["101", "103"]

    serve(tmp_path, story, extensions=THREE)


@asynccontextmanager
async def supervised(
    directory: Path, simulator: Simulator, rest: Rest
) -> AsyncIterator[tuple[SipPhone, str, dict[str, str]]]:
    """Yield the phone of a supervisor, and path and order with which it supervises 102, which 101 called."""
    phone, device = await make_phone(rest, "103")
    async with phone, phone_of(simulator, "101") as caller, phone_of(simulator, "102") as agent:
        await dial(caller, "102", ToneSource(440), WavSink(directory / "caller"))
        ringing = await agent.wait(InviteReceived)
        await answer(agent, ringing, ToneSource(660), WavSink(directory / "agent"))
        await apply(caller)
        order = {"mode": "Listen", "supervisorDeviceId": device, "agentExtensionNumber": "102"}
        yield phone, f"/sessions/{ringing.session_ref}/supervise", order


def test_what_does_not_exist_is_told_as_such(tmp_path: Path) -> None:
    async def story(simulator: Simulator, rest: Rest) -> None:
        _phone, device = await make_phone(rest, "101")
        await rest.refused(404, "CMN-102", "GET", f"{TELEPHONY}/sessions/s-none")
        nobody = f"{TELEPHONY}/sessions/s-none/parties/p-none-1"
        for path in ("answer", "pickup"):
            await rest.refused(404, "CMN-102", "POST", f"{nobody}/{path}", json={"deviceId": "1"})
            await rest.refused(400, "CMN-101", "POST", f"{nobody}/{path}", json={"deviceId": 1})
        body = {"sessionId": "s-none", "partyId": "p-none-1"}
        await rest.refused(404, "CMN-102", "POST", f"{TELEPHONY}/sessions/s-none/parties/bring-in", json=body)
        session = (await ask(rest, "/conference", status=201))["session"]
        path = f"{TELEPHONY}/sessions/{session['id']}/parties/bring-in"
        await rest.refused(404, "CMN-102", "POST", path, json=body)
        assert (await rest.http.delete(f"{TELEPHONY}/sessions/{session['id']}")).status_code == 204
        await rest.refused(404, "CMN-102", "DELETE", f"{TELEPHONY}/sessions/{session['id']}")
        order = {"from": {"deviceId": device}, "to": {}}
        async with phone_of(simulator, "101"):
            await rest.refused(409, "TAS-102", "POST", f"{TELEPHONY}/call-out", json=order)
        await rest.login("102")
        await rest.refused(404, "CMN-102", "POST", f"{TELEPHONY}/call-out", json=order)
        async with ControlClient.from_directory(tmp_path) as control:
            assert await control.calls() == []

    serve(tmp_path, story)


# -- by our own client


def test_our_client_does_all_of_it_with_typed_answers_and_errors(tmp_path: Path) -> None:
    async def story(simulator: Simulator, rest: Rest) -> None:
        phone, device = await make_phone(rest, "101")
        login = RestLogin(
            server=rest.file.server,
            client_id=rest.file.client_id,
            client_secret=rest.file.client_secret,
            jwt=rest.file.jwt["101"],
            ca_file=tmp_path / "ca.pem",
        )
        async with phone, phone_of(simulator, "102") as other, RestClient(login) as client:
            made = await client.call_out(device, "102")
            rung = await phone.wait(InviteReceived)
            assert (rung.session_ref, rung.party_id) == (made.session_id, made.parties[0].id)
            await answer(phone, rung)
            ringing = await other.wait(InviteReceived)
            await answer(other, ringing)
            await until(lambda: states(client, made.id), ["Answered", "Answered"])
            session = await client.session(made.id)
            tags = session.replaces(session.parties[0].id)
            assert tags.startswith(f"{made.id};to-tag=")
            assert tags.endswith(";early-only")
            with pytest.raises(ActionRefused, match="no party"):
                session.replaces("p-none-1")

            conference = await client.create_conference()
            assert conference.voice_call_token.startswith("conf_")
            party = await client.bring_in(conference.id, made.id, session.parties[1].id)
            assert [one.id for one in (await client.session(conference.id)).parties] == [party.id]
            await phone.wait(SessionEnded)

            await dial(other, "101")
            incoming = await phone.wait(InviteReceived)
            assert incoming.session_ref is not None
            assert incoming.party_id is not None
            party = await client.answer_party(incoming.session_ref, incoming.party_id, device)
            assert party.id == incoming.party_id
            await phone.frame("INVITE sip:", "Alert-Info: Auto Answer")
            for lost in (client.session("s-none"), client.pick_up("s-none", "p-none-1", device)):
                with pytest.raises(RestFailed, match="check what was asked for") as failed:
                    await lost
                assert (failed.value.status, failed.value.code) == (404, "CMN-102")

    async def states(client: RestClient, session_id: str) -> list[str]:
        return [party.status.code for party in (await client.session(session_id)).parties]

    serve(tmp_path, story)


async def until(look: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Return when ``look`` returns what is wanted."""
    async with asyncio.timeout(10):
        while await look() != wanted:  # noqa: ASYNC110 - another connection tells us nothing
            await asyncio.sleep(0.05)
