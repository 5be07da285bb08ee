"""Verbs that are calls to numbers of the service, from windows: who hears whom, found by frequency."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from agents.media.analysis import tone_level
from agents.media.files import read_wav
from agents.pbx.rest.keys import RestFile
from coordinator import Call, CallState, Cause, Phone, RestClient, RestLogin

from .office import WITHIN, Office, office, ringing, same_call, tell

_AUDIBLE, _RECENT_BYTES = 0.02, 48_000
HERTZ = {"101": 1000.0, "102": 1240.0, "103": 1500.0}


async def window(place: Office, extension: str, name: str = "first") -> tuple[Phone, Path]:
    """Open a window that says its extension's tone; return it and what it hears."""
    heard = place.directory / f"{extension}-{name}.wav"
    says = f"tone:{HERTZ[extension]:g}"
    return await place.window(extension, name, says=says, hears=f"wav:{heard}"), heard


def is_in(heard: Path, extension: str) -> bool:
    """Return whether an extension's tone was in what a window heard last."""
    return tone_level(read_wav(heard)[-_RECENT_BYTES:], HERTZ[extension]) > _AUDIBLE


async def hears(heard: Path, *extensions: str) -> None:
    """Wait until a window hears all ``extensions`` at one time."""
    async with asyncio.timeout(WITHIN):
        while not all(is_in(heard, one) for one in extensions):  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.1)


async def connect(caller: Phone, called: Phone, number: str) -> tuple[Call, Call]:
    """Let one window call another, and both talk."""
    calling = asyncio.create_task(caller.call(number))
    call = await ringing(called)
    await call.answer()
    made = await calling
    async with asyncio.timeout(WITHIN):
        await made.connected()
        await call.connected()
    return made, call


def tags(place: Office, extension: str) -> dict[str, str]:
    """Return what REST would tell of an extension's only call: its session and tags."""
    [leg] = place.simulator.legs_of(extension)
    dialog = leg.phone.sessions.session(leg.session_id).dialog
    assert dialog is not None
    return {
        "session_id": leg.call_id.session_id,
        "to_tag": dialog.local_tag,
        "from_tag": dialog.remote_tag,
    }


@pytest.mark.parametrize(
    ("verb", "agent_hears", "customer_hears"),
    [("monitor", False, False), ("whisper", True, False), ("barge", True, True)],
)
def test_a_supervisor_is_heard_as_the_verb_says(
    tmp_path: Path, verb: str, agent_hears: bool, customer_hears: bool
) -> None:
    async def story(place: Office) -> None:
        customer, customers_ear = await window(place, "101")
        agent, agents_ear = await window(place, "102")
        boss, boss_ear = await window(place, "103")
        await connect(customer, agent, "102")
        call = await getattr(boss, verb)("102")
        await hears(boss_ear, "101", "102")
        assert call.state is CallState.ANSWERED
        for ear, is_heard in ((agents_ear, agent_hears), (customers_ear, customer_hears)):
            if is_heard:
                await hears(ear, "103")
            else:
                assert not is_in(ear, "103")

    tell(tmp_path, story)


def test_a_call_that_is_taken_over_is_ours_and_the_agent_is_hung_up(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        customer, customers_ear = await window(place, "101")
        agent, _ = await window(place, "102")
        boss, boss_ear = await window(place, "103")
        _, agents_call = await connect(customer, agent, "102")
        await boss.take_over("102")
        await asyncio.gather(hears(boss_ear, "101"), hears(customers_ear, "103"))
        async with asyncio.timeout(WITHIN):
            assert await agents_call.ended() is Cause.HUNG_UP_THERE

    tell(tmp_path, story)


def test_a_call_is_parked_privately_by_a_dummy_and_picked_up_by_its_tags(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        customer, customers_ear = await window(place, "101")
        agent, _ = await window(place, "102")
        dummy, _ = await window(place, "102", "second")
        colleague, colleagues_ear = await window(place, "103")
        await connect(customer, agent, "102")
        call = await same_call(dummy, agent.calls[0])
        assert await call.park("77") == "77"
        assert call.cause is Cause.PARKED
        await place.happened("PARKED")
        picked_up = await colleague.retrieve_private("77", **tags(place, "101"))
        await asyncio.gather(hears(colleagues_ear, "101"), hears(customers_ear, "103"))
        await picked_up.hangup()

    tell(tmp_path, story)


def test_a_call_of_another_device_is_switched_here_and_ends_there(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        customer, customers_ear = await window(place, "101")
        mobile, _ = await window(place, "102")
        desk, desks_ear = await window(place, "103")
        _, there = await connect(customer, mobile, "102")
        here = await desk.switch_here("101", **tags(place, "102"))
        async with asyncio.timeout(WITHIN):
            assert await there.ended() is Cause.HUNG_UP_THERE
        await asyncio.gather(hears(desks_ear, "101"), hears(customers_ear, "103"))
        assert here.state is CallState.ANSWERED

    tell(tmp_path, story)


def rest_of(place: Office, extension: str) -> RestClient:
    """Return the REST client of an extension's user."""
    directory = place.simulator.settings.directory
    file = msgspec.json.decode((directory / "rest.json").read_bytes(), type=RestFile)
    login = RestLogin(
        server=file.server,
        client_id=file.client_id,
        client_secret=file.client_secret,
        jwt=file.jwt[extension],
        ca_file=directory / file.ca_file,
    )
    return RestClient(login)


def test_a_conference_has_whom_we_merged_and_whom_we_invited(tmp_path: Path) -> None:
    async def main() -> None:
        async with office(tmp_path, rest_port=0) as place, rest_of(place, "102") as rest:
            await confer(place, rest)

    async def confer(place: Office, rest: RestClient) -> None:
        customer, customers_ear = await window(place, "101")
        host, hosts_ear = await window(place, "102")
        guest, guests_ear = await window(place, "103")
        _, call = await connect(customer, host, "102")
        await call.hold()
        conference = await host.conference(rest)
        assert conference.call.is_conference
        await call.unhold()
        await conference.merge(call)
        inviting = asyncio.create_task(conference.invite("103"))
        await (await ringing(guest)).answer()
        await inviting
        await asyncio.gather(
            hears(hosts_ear, "101", "103"),
            hears(customers_ear, "102", "103"),
            hears(guests_ear, "101", "102"),
        )
        await conference.call.hangup()

    asyncio.run(main())
