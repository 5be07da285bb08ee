"""Our phone, Kamailio, and JsSIP in Chromium: server and client that nobody here wrote, with real sound."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from agents.sip.events import (
    DialogRequestDone,
    DialogRequestReceived,
    InviteReceived,
    ReinviteConfirmed,
    ReinviteDone,
    ReinviteReceived,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionProgress,
)
from agents.sip.sdp import Sdp
from shared.config import Account

from .browser import Browser
from .jssip import JsSip, Phone, missing
from .kamailio import kamailio

REASON = missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"JsSIP: {REASON}")

OURS, THEIRS = 440.0, 620.0
Story = Callable[[Phone, JsSip], Awaitable[None]]


@pytest.fixture(scope="module")
def driver() -> Iterator[Browser]:
    with Browser() as started:
        yield started


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with kamailio(tmp_path_factory.mktemp("kamailio")) as account:
        yield account


@pytest.fixture
def play(driver: Browser, alice: Account, tmp_path: Path) -> Callable[[Story], None]:
    """Return what runs a story with our phone as alice, and JsSIP as bob."""

    def run(story: Story) -> None:
        async def main() -> None:
            async with (
                asyncio.timeout(100),
                JsSip(driver, alice, "bob", hz=THEIRS) as theirs,
                Phone(alice, hz=OURS) as ours,
            ):
                await story(ours, theirs)

        asyncio.run(main())

    return run


async def call_them(ours: Phone, theirs: JsSip) -> str:
    """Call JsSIP, which answers; return our session's id once both hear each other."""
    offer = await ours.speak().offer()
    call: str = await ours.do(lambda now: ours.core.invite("bob", offer, now=now))
    await theirs.do("arrived", 0)
    assert (await ours.wait(SessionProgress)).status == 180
    await theirs.do("answer", 0)
    answered = await ours.wait(SessionAnswered)
    assert ours.media is not None
    await ours.media.apply(answered.sdp)
    await theirs.do("until", 0, "confirmed")
    await both_hear(ours, theirs)
    return call


async def call_us(ours: Phone, theirs: JsSip) -> str:
    """Have JsSIP call; answer, and return our session's id once both hear each other."""
    await theirs.do("call", "sip:alice@sip.test")
    ringing = await ours.wait(InviteReceived)
    assert ringing.remote_number == "bob"
    answer = await ours.speak().answer(ringing.sdp)
    await ours.do(lambda now: ours.core.answer(ringing.session_id, answer, now))
    await ours.wait(SessionConfirmed)
    await theirs.do("until", 0, "confirmed")
    await both_hear(ours, theirs)
    return ringing.session_id


async def both_hear(ours: Phone, theirs: JsSip) -> None:
    await theirs.do("listen", 0)
    await theirs.hears(OURS)
    await ours.ear.hears(THEIRS)


@pytest.mark.parametrize("call", [call_them, call_us])
def test_both_hear_each_other_whoever_called_and_we_hang_up(
    play: Callable[[Story], None], call: Callable[[Phone, JsSip], Awaitable[str]]
) -> None:
    async def story(ours: Phone, theirs: JsSip) -> None:
        session = await call(ours, theirs)
        facts = await theirs.facts()
        assert facts["far"] == "alice"
        assert facts["state"] == "connected"
        await ours.do(lambda now: ours.core.hangup(session, now))
        assert (await ours.wait(SessionEnded)).status == 200
        await theirs.do("until", 0, "ended remote")

    play(story)


@pytest.mark.parametrize("call", [call_them, call_us])
def test_they_hang_up(play: Callable[[Story], None], call: Callable[[Phone, JsSip], Awaitable[str]]) -> None:
    async def story(ours: Phone, theirs: JsSip) -> None:
        session = await call(ours, theirs)
        await theirs.do("hangup", 0)
        ended = await ours.wait(SessionEnded)
        assert (ended.session_id, ended.cause) == (session, "remote_bye")

    play(story)


def test_the_payload_types_of_chromium_are_answered_with_the_same_numbers(
    play: Callable[[Story], None],
) -> None:
    async def story(ours: Phone, theirs: JsSip) -> None:
        await call_us(ours, theirs)
        offered = Sdp.parse((await theirs.facts())["sdp"])
        assert ours.media is not None
        answered = Sdp.parse(ours.media.local_sdp or "")
        numbers = {(one.encoding, one.rate_hz): one.number for one in offered.payloads()}
        assert {one.encoding for one in answered.payloads()} >= {"opus", "telephone-event"}
        for one in answered.payloads():
            assert numbers[one.encoding, one.rate_hz] == one.number
        known = {line for line in offered.audio() if line.startswith("a=extmap:")}
        assert {line for line in answered.audio() if line.startswith("a=extmap:")} <= known
        assert offered.attribute("setup") == "actpass"
        assert answered.attribute("setup") in ("active", "passive")
        assert (answered.attribute("fingerprint") or "").startswith("sha-256 ")

    play(story)


def test_we_hold_and_unhold(play: Callable[[Story], None]) -> None:
    async def story(ours: Phone, theirs: JsSip) -> None:
        session = await call_them(ours, theirs)
        assert ours.media is not None
        description = Sdp.parse(ours.media.local_sdp or "").with_attribute("setup", "actpass")
        for version, direction, event in ((1, "sendonly", "hold remote"), (2, "sendrecv", "unhold remote")):
            offer = description.with_version(description.version + version)
            text = offer.with_direction("sendonly" if direction == "sendonly" else "sendrecv").encode()
            ours.media.hold(direction == "sendonly")
            await ours.do(partial(ours.core.reinvite, session, text))
            done = await ours.wait(ReinviteDone)
            assert done.status == 200
            assert Sdp.parse(done.sdp).direction == ("recvonly" if direction == "sendonly" else "sendrecv")
            await theirs.do("until", 0, event)
            if direction == "sendonly":
                await theirs.hears_nothing()
        await theirs.hears(OURS)
        await ours.ear.hears(THEIRS)

    play(story)


def test_they_hold_and_unhold(play: Callable[[Story], None]) -> None:
    async def story(ours: Phone, theirs: JsSip) -> None:
        session = await call_us(ours, theirs)
        for verb, direction in (("hold", "sendonly"), ("unhold", "sendrecv")):
            await theirs.do(verb, 0)
            asked = await ours.wait(ReinviteReceived)
            assert asked.direction == direction
            assert ours.media is not None
            answer = await ours.media.answer(asked.sdp)
            await ours.do(partial(ours.core.accept_reinvite, session, answer))
            await ours.wait(ReinviteConfirmed)
            if verb == "hold":
                await ours.ear.hears_no_more(THEIRS)
        assert not (await theirs.facts())["held"]["local"]
        await ours.ear.hears(THEIRS)
        await theirs.hears(OURS)

    play(story)


def test_they_renegotiate_and_the_sound_goes_on(play: Callable[[Story], None]) -> None:
    async def story(ours: Phone, theirs: JsSip) -> None:
        session = await call_them(ours, theirs)
        renegotiating = asyncio.ensure_future(theirs.do("renegotiate", 0))
        asked = await ours.wait(ReinviteReceived)
        assert ours.media is not None
        answer = await ours.media.answer(asked.sdp)
        await ours.do(lambda now: ours.core.accept_reinvite(session, answer, now))
        await renegotiating
        await theirs.hears(OURS)
        await ours.ear.hears(THEIRS)

    play(story)


def test_keys_are_heard_in_the_sound_and_told_by_info(play: Callable[[Story], None]) -> None:
    async def story(ours: Phone, theirs: JsSip) -> None:
        session = await call_them(ours, theirs)
        await theirs.do("digit", 0, "7", "RFC2833")
        async with asyncio.timeout(15):
            assert await ours.keys.get() == "7"
        await theirs.do("digit", 0, "9", "INFO")
        asked = await ours.wait(DialogRequestReceived)
        assert (asked.request.method, asked.request.headers.get("Content-Type")) == (
            "INFO",
            "application/dtmf-relay",
        )
        assert "Signal=9" in asked.request.body.replace(" ", "")

        headers = [("Content-Type", "application/dtmf-relay")]
        body = "Signal=3\r\nDuration=160\r\n"
        await ours.do(
            lambda now: ours.core.request_in_dialog(session, "INFO", now, headers=headers, body=body)
        )
        assert (await ours.wait(DialogRequestDone)).status == 200
        assert "remote 3" in (await theirs.facts())["digits"]

    play(story)


def test_a_call_that_is_taken_back_and_one_that_is_refused(play: Callable[[Story], None]) -> None:
    async def story(ours: Phone, theirs: JsSip) -> None:
        offer = await ours.speak().offer()
        call = await ours.do(lambda now: ours.core.invite("bob", offer, now=now))
        await ours.wait(SessionProgress)
        await ours.do(lambda now: ours.core.hangup(call, now))
        assert (await ours.wait(SessionEnded)).cause == "local_cancel"
        await theirs.do("until", 0, "failed remote")

        second = await ours.do(lambda now: ours.core.invite("bob", offer, now=now))
        await theirs.do("arrived", 1)
        await theirs.do("hangup", 1)
        ended = await ours.wait(SessionEnded, lambda event: event.session_id == second)
        assert (ended.cause, ended.status) == ("rejected", 480)

    play(story)
