"""Conferences, supervision and places to park, with sound: who hears whom, found by frequency."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.media.analysis import tone_level
from agents.pbx import Simulator
from agents.pbx.ledger import Entry
from agents.pbx.media.tones import MUSIC_HZ
from agents.sip.dialog import Dialog
from agents.sip.events import (
    InviteReceived,
    ReinviteReceived,
    SessionConfirmed,
    SessionEnded,
    SessionProgress,
)
from agents.sip.ringcentral import api_ids
from shared.errors import ActionRefused

from .speaker import Speaker, connected, simulate

#: One a phone, far enough from each other and from the tones of the service.
HERTZ = (1000.0, 1240.0, 1500.0, 1740.0, 2000.0, 2240.0, 2500.0, 2740.0)


@asynccontextmanager
async def speakers(simulator: Simulator, directory: Path, count: int) -> AsyncIterator[list[Speaker]]:
    """Return phones of 101 and the following."""
    async with AsyncExitStack() as stack:
        phones = []
        for number, hz in enumerate(HERTZ[:count]):
            phone = Speaker(simulator, str(101 + number), hz, directory)
            phones.append(await stack.enter_async_context(phone))
        yield phones


def of(entries: list[Entry], event: str, **facts: Any) -> list[Entry]:
    return [
        entry
        for entry in entries
        if entry.event == event and all(getattr(entry, name) == value for name, value in facts.items())
    ]


async def entered(phone: Speaker, number: str) -> SessionProgress:
    """Dial, and talk."""
    await phone.dial(number)
    progress = await phone.wait(SessionProgress)
    await phone.connect_answered()
    await phone.until_connected()
    return progress


def levels(phone: Speaker, seconds: float = 0.4) -> list[float]:
    """Return how loud each phone is in what one has heard last."""
    sound = phone.heard()[-round(seconds * 48_000) * 2 :]
    return [tone_level(sound, hz) for hz in HERTZ]


async def hears_only(phone: Speaker, *hertz: float) -> None:
    """Return when a phone hears these and no other phone."""
    wanted = [hz in hertz for hz in HERTZ]
    async with asyncio.timeout(15):
        while [level > 0.04 for level in levels(phone)] != wanted:  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.1)


# -- conferences


def test_of_eight_in_a_conference_each_hears_the_seven_others_until_they_leave_or_it_ends(
    tmp_path: Path,
) -> None:
    async def story(simulator: Simulator) -> None:
        async with speakers(simulator, tmp_path, 8) as phones:
            conference = simulator.conferences.create("101")
            ids = [(await entered(phone, conference.number)) for phone in phones]
            assert {one.session_ref for one in ids} == {conference.session_id}
            assert [one.party_id for one in ids] == [party.party_id for party in conference.parties()]
            for index, phone in enumerate(phones):
                await hears_only(phone, *(hz for hz in HERTZ if hz != HERTZ[index]))
            await phones[7].hang_up()
            await hears_only(phones[0], *HERTZ[1:7])
            assert len(conference.parties()) == 7
            simulator.conferences.end(conference.session_id)
            for phone in phones[:7]:
                assert (await phone.wait(SessionEnded)).cause == "remote_bye"
            with pytest.raises(ActionRefused):
                simulator.conferences.get(conference.session_id)

    entries = simulate(tmp_path, story)
    assert len(of(entries, "CONFERENCE_JOINED")) == 8
    assert len(of(entries, "CONFERENCE_LEFT")) == 8
    assert len(of(entries, "CONFERENCE_ENDED")) == 1


def test_who_holds_a_conference_is_not_heard_there_and_the_others_hear_no_music(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with speakers(simulator, tmp_path, 3) as phones:
            conference = simulator.conferences.create()
            for phone in phones:
                await entered(phone, conference.number)
            await phones[0].direct("sendonly")
            await hears_only(phones[1], HERTZ[2])
            assert max(tone_level(phones[1].heard()[-40_000:], hz) for hz in MUSIC_HZ) < 0.02
            await phones[0].direct("sendrecv")
            await hears_only(phones[1], HERTZ[0], HERTZ[2])
            for phone in phones:
                await phone.hang_up()

    simulate(tmp_path, story)


def test_a_number_of_no_conference_is_not_found(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with speakers(simulator, tmp_path, 1) as [ada]:
            await ada.dial("conf_0")
            assert (await ada.wait(SessionEnded)).status == 404

    simulate(tmp_path, story)


@pytest.mark.parametrize("whose", ["owner", "guest"])
def test_a_party_is_brought_in_by_its_own_name_or_by_that_of_the_owner_who_talks_with_it(
    tmp_path: Path, whose: str
) -> None:
    async def story(simulator: Simulator) -> None:
        async with speakers(simulator, tmp_path, 3) as (owner, guest, member):
            conference = simulator.conferences.create("101")
            await entered(member, conference.number)
            await connected(owner, guest)
            await guest.hears(HERTZ[0])
            [call] = [call for call in simulator.live_calls() if call.caller.number == "16505550101"]
            leg = call.caller if whose == "owner" else call.callees[0]
            party = call.name.party_id(1 if whose == "owner" else 2)
            with pytest.raises(ActionRefused):
                await simulator.conferences.bring_in(conference.session_id, call.name.session_id, "p-0-1")
            await simulator.conferences.bring_in(conference.session_id, call.name.session_id, party)
            assert (await owner.wait(SessionEnded)).cause == "remote_bye"
            assert leg.view().number == ("101" if whose == "owner" else "102")
            await asyncio.gather(hears_only(guest, HERTZ[2]), hears_only(member, HERTZ[1]))
            assert len(conference.parties()) == 2
            await guest.hang_up()
            await member.hang_up()

    simulate(tmp_path, story)


# -- supervision


@pytest.mark.parametrize(
    ("code", "agent", "customer"),
    [("*80", HERTZ[1:2], HERTZ[:1]), ("*81", HERTZ[1:3], HERTZ[:1]), ("*82", HERTZ[1:3], HERTZ[:3:2])],
)
def test_a_supervisor_hears_both_and_is_heard_as_the_code_says(
    tmp_path: Path, code: str, agent: tuple[float, ...], customer: tuple[float, ...]
) -> None:
    async def story(simulator: Simulator) -> None:
        async with speakers(simulator, tmp_path, 3) as (ada, bob, boss):
            await connected(ada, bob)
            await entered(boss, code)
            assert boss.media is not None
            await boss.media.dtmf("999#101#")
            await hears_only(boss, *HERTZ[:2])
            await asyncio.gather(hears_only(ada, *agent), hears_only(bob, *customer))
            await bob.hang_up()
            await ada.wait(SessionEnded)
            assert (await boss.wait(SessionEnded)).cause == "remote_bye"

    [supervised] = of(simulate(tmp_path, story), "SUPERVISED")
    assert supervised.number == "16505550101"


def test_who_takes_over_has_the_call_by_its_name_and_the_agent_is_hung_up(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with speakers(simulator, tmp_path, 3) as (ada, bob, boss):
            await connected(ada, bob)
            [call] = simulator.live_calls()
            await entered(boss, "*83")
            assert boss.media is not None
            await boss.media.dtmf("102#")
            assert (await bob.wait(SessionEnded)).cause == "remote_bye"
            asked = await boss.wait(ReinviteReceived)
            ids = await boss.frame("INVITE sip:", "p-rc-api-ids: ")
            assert f"party-id=p-{call.name.token}-2;session-id={call.name.session_id}" in ids
            sdp = await boss.media.answer(asked.sdp)
            await boss.do(lambda now: boss.core.accept_reinvite(boss.session, sdp, now))
            await asyncio.gather(hears_only(ada, HERTZ[2]), hears_only(boss, HERTZ[0]))
            await boss.hang_up()
            await ada.wait(SessionEnded)

    assert len(of(simulate(tmp_path, story), "LEG_REPLACED", reason="taken over")) == 1


# -- parked calls, and other phones


async def parked(ada: Speaker, bob: Speaker, simulator: Simulator, place: str) -> None:
    """Have ``ada`` park ``bob`` in a private place."""
    await connected(ada, bob)
    headers = [("Refer-To", f"sip:{place}@sip.ringcentral.com"), ("Referred-By", "<sip:101@sip.test>")]
    await ada.do(lambda now: ada.core.request_in_dialog(ada.session, "REFER", now, headers=headers))
    await ada.frame("NOTIFY sip:", "SIP/2.0 200 OK")
    assert (await ada.wait(SessionEnded)).cause == "remote_bye"
    await simulator.wait_for(lambda entry: entry.event == "PARKED")


@pytest.mark.parametrize("how", ["number", "Replaces"])
def test_who_is_parked_in_a_private_place_hears_music_until_picked_up(tmp_path: Path, how: str) -> None:
    async def story(simulator: Simulator) -> None:
        async with speakers(simulator, tmp_path, 3) as (ada, bob, eve):
            await parked(ada, bob, simulator, "prk77")
            await bob.hears(*MUSIC_HZ)
            headers = [("Replaces", replaces(bob, swapped=True))] if how == "Replaces" else []
            await eve.dial("prk77" if how == "number" else "102", headers=headers)
            await eve.connect_answered()
            await asyncio.gather(hears_only(bob, HERTZ[2]), hears_only(eve, HERTZ[1]))
            await bob.hang_up()
            await eve.wait(SessionEnded)

    simulate(tmp_path, story)


def replaces(phone: Speaker, *, swapped: bool = False) -> str:
    """Return the header that names a phone's end of its call, as the service's REST API would tell it."""
    data = Dialog.restore(phone.core.export_session(phone.session)["dialog"])
    first, second = data.remote_tag, data.local_tag
    if swapped:
        first, second = second, first
    [invited] = [event for event in phone.events if isinstance(event, InviteReceived)]
    _party, session = api_ids(invited.request.headers)
    return f"{session};to-tag={first};from-tag={second};early-only"


def test_a_call_is_switched_to_another_phone_by_an_invite_that_replaces(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            speakers(simulator, tmp_path, 2) as (ada, bob),
            Speaker(simulator, "102", HERTZ[2], tmp_path) as other,
        ):
            await connected(ada, bob)
            await bob.wait(SessionConfirmed)
            await other.dial("101", headers=[("Replaces", replaces(bob))])
            progress = await other.wait(SessionProgress)
            [call] = [call for call in simulator.live_calls() if call.far is not None]
            assert progress.party_id == call.name.party_id(2)
            await other.connect_answered()
            assert (await bob.wait(SessionEnded)).cause == "remote_bye"
            await asyncio.gather(hears_only(ada, HERTZ[2]), hears_only(other, HERTZ[0]))
            await ada.hang_up()
            await other.wait(SessionEnded)

    simulate(tmp_path, story)


@pytest.mark.parametrize(
    ("value", "status"), [("s-0;to-tag=a;from-tag=b;early-only", 481), ("nonsense", 400)]
)
def test_an_invite_that_replaces_nothing_is_refused(tmp_path: Path, value: str, status: int) -> None:
    async def story(simulator: Simulator) -> None:
        async with speakers(simulator, tmp_path, 1) as [ada]:
            await ada.dial("102", headers=[("Replaces", value)])
            assert (await ada.wait(SessionEnded)).status == status

    simulate(tmp_path, story)
