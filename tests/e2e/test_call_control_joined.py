"""Calls that are joined and watched by REST, and all of it by our own client, with phones and real sound."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.media.files import ToneSource, WavSink
from agents.pbx import Simulator
from agents.pbx.client import ControlClient
from agents.rest.client import RestClient, RestLogin
from agents.sip.events import InviteReceived, ReinviteReceived, SessionAnswered, SessionEnded
from shared.errors import ActionRefused, RestFailed
from tests.e2e.rest_program import Rest, serve
from tests.e2e.sip_phone import SipPhone

from .service import answer, apply, controlled, dial, phone_of
from .telephony import TELEPHONY, THREE, ask, heard, loudness, make_phone, session_of


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


def test_a_call_in_which_nobody_is_an_agent_cannot_be_supervised(tmp_path: Path) -> None:
    async def story(simulator: Simulator, rest: Rest) -> None:
        phone, device = await make_phone(rest, "103")
        async with controlled(simulator) as control:
            await control.robot((await control.call("199")).id, until="answered")
        [call] = simulator.live_calls()
        session, _ = call.ids(call.caller)
        order = {"mode": "Listen", "supervisorDeviceId": device}
        async with phone:
            await rest.refused(
                404, "CMN-102", "POST", f"{TELEPHONY}/sessions/{session}/supervise", json=order
            )

    serve(tmp_path, story, extensions=THREE)


def test_what_does_not_exist_is_told_as_such(tmp_path: Path) -> None:
    async def story(simulator: Simulator, rest: Rest) -> None:
        phone, device = await make_phone(rest, "101")
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
        async with phone:
            for number in ("1\r\nVia: x", '"><', "sip:a@b", "\u00e9", " "):
                wrong = order | {"to": {"phoneNumber": number}}
                await rest.refused(400, "CMN-101", "POST", f"{TELEPHONY}/call-out", json=wrong)
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
