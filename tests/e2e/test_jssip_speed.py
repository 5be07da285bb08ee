"""How long it takes from ``call()`` until both sides are confirmed, through Kamailio: ours next to JsSIP."""

import asyncio
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agents.sip.events import InviteReceived, SessionAnswered, SessionConfirmed, SessionEnded
from shared.clock import monotonic
from shared.config import Account

from .browser import Browser
from .jssip import JsSip, Phone, missing
from .kamailio import kamailio

REASON = missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"JsSIP: {REASON}")

ROUNDS = 12


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with kamailio(tmp_path_factory.mktemp("kamailio")) as account:
        yield account


async def our_call(caller: Phone, callee: Phone) -> float:
    """Call, answer, hang up; return the seconds until both sides were confirmed. There is real sound."""
    began = monotonic()
    offer = await caller.speak().offer()
    call = await caller.do(lambda now: caller.core.invite(callee.account.username, offer, now=now))
    ringing = await callee.wait(InviteReceived)
    answer = await callee.speak().answer(ringing.sdp)
    await callee.do(lambda now: callee.core.answer(ringing.session_id, answer, now))
    answered = await caller.wait(SessionAnswered, lambda event: event.session_id == call)
    await callee.wait(SessionConfirmed)
    took = monotonic() - began
    assert caller.media is not None
    await caller.media.apply(answered.sdp)
    await caller.until_connected()
    await callee.until_connected()
    await caller.do(lambda now: caller.core.hangup(call, now))
    await callee.wait(SessionEnded)
    for phone in (caller, callee):
        await phone.silence()
        phone._sounds.clear()
    return took


async def their_call(caller: JsSip, callee: JsSip, number: int) -> float:
    """The same with JsSIP, which answers at once. Both pages have the clock of one machine."""
    await caller.do("call", "sip:dave@sip.test")
    for phone in (caller, callee):
        await phone.do("arrived", number)
        await phone.do("until", number, "confirmed")
    here, there = (await caller.facts(number))["times"], (await callee.facts(number))["times"]
    await caller.do("hangup", number)
    await callee.do("until", number, "ended")
    return float(max(here["confirmed"], there["confirmed"]) - here["began"]) / 1000


def test_both_sides_are_confirmed_in_at_most_half_the_time(alice: Account) -> None:
    carol = replace(alice, authorization_id="carol", username="carol", password="pw-carol")
    ours: list[float] = []
    theirs: list[float] = []

    async def main(driver: Browser) -> None:
        async with (
            asyncio.timeout(100),
            JsSip(driver, alice, "bob") as bob,
            JsSip(driver, alice, "dave") as dave,
            Phone(alice) as caller,
            Phone(carol) as callee,
        ):
            await dave.do("answerAll")
            for number in range(ROUNDS):
                theirs.append(await their_call(bob, dave, number))
                ours.append(await our_call(caller, callee))

    with Browser() as driver:
        asyncio.run(main(driver))

    ratio = statistics.median(ours) / statistics.median(theirs)
    figures = f"ours {statistics.median(ours):.4f} s, JsSIP {statistics.median(theirs):.4f} s: {ratio:.2f}\n"
    sys.stdout.write(figures)  # pytest -s shows it
    assert ratio <= 0.5, f"ours {ours}, JsSIP {theirs}"
