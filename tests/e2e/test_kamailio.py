"""Our phone against a SIP server that nobody here wrote: Kamailio, over WSS on loopback."""

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from agents.sip.events import (
    InviteReceived,
    ReinviteDone,
    ReinviteReceived,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionProgress,
)
from agents.sip.message import parse
from agents.sip.registration import RegistrationChanged
from shared.config import Account

from ..sip_pair import ANSWER, HELD, OFFER
from .kamailio import kamailio, missing
from .silent_phone import SilentPhone

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"Kamailio: {missing()}")


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Start Kamailio and yield an account of its user alice."""
    with kamailio(tmp_path_factory.mktemp("kamailio")) as account:
        yield account


def _bob(alice: Account) -> Account:
    return replace(alice, authorization_id="bob", username="bob", password="pw-bob")


def test_a_phone_registers_with_digest_for_the_time_granted_and_unregisters(alice: Account) -> None:
    async def main() -> None:
        async with SilentPhone(alice) as phone:
            registered = await phone.wait_for(RegistrationChanged, lambda event: event.state == "registered")
            assert registered.expires == 40  # what the server grants, not the 60 asked for
            assert phone.sent == ["REGISTER", "REGISTER"]
            assert phone.received == ["401 REGISTER", "200 REGISTER"]
            await phone.do(phone.core.unregister)
            gone = await phone.wait_for(RegistrationChanged)
            assert (gone.state, gone.status) == ("unregistered", 200)

    asyncio.run(main())


def test_a_wrong_password_fails_at_the_second_challenge(alice: Account) -> None:
    async def main() -> None:
        async with SilentPhone(replace(alice, password="wrong")) as phone:
            failed = await phone.wait_for(RegistrationChanged, lambda event: event.state == "failed")
            assert (failed.status, failed.retry_after) == (401, None)
            assert phone.sent == ["REGISTER", "REGISTER"]

    asyncio.run(main())


def test_a_challenge_of_another_realm_gets_no_answer(alice: Account) -> None:
    async def main() -> None:
        async with SilentPhone(replace(alice, domain="127.0.0.1")) as phone:
            failed = await phone.wait_for(RegistrationChanged, lambda event: event.state == "failed")
            assert failed.status == 401
            assert phone.sent == ["REGISTER"]

    asyncio.run(main())


def test_two_phones_call_each_other_hold_and_hang_up(alice: Account) -> None:
    async def main() -> None:
        async with SilentPhone(alice) as caller, SilentPhone(_bob(alice)) as callee:
            for phone in (caller, callee):
                await phone.wait_for(RegistrationChanged, lambda event: event.state == "registered")
            call = await caller.do(lambda now: caller.core.invite("bob", OFFER, now=now))
            ringing = await callee.wait_for(InviteReceived)
            assert (ringing.remote_number, ringing.sdp) == ("alice", OFFER)
            assert (await caller.wait_for(SessionProgress)).status == 180

            await callee.do(lambda now: callee.core.answer(ringing.session_id, ANSWER, now))
            assert (await caller.wait_for(SessionAnswered)).sdp == ANSWER
            await callee.wait_for(SessionConfirmed)

            await caller.do(lambda now: caller.core.reinvite(call, HELD, now))
            assert (await callee.wait_for(ReinviteReceived)).direction == "sendonly"
            await callee.do(lambda now: callee.core.accept_reinvite(ringing.session_id, ANSWER, now))
            assert (await caller.wait_for(ReinviteDone)).status == 200
            await callee.do(lambda now: callee.core.reinvite(ringing.session_id, OFFER, now))
            await caller.wait_for(ReinviteReceived)
            await caller.do(lambda now: caller.core.accept_reinvite(call, ANSWER, now))
            assert (await callee.wait_for(ReinviteDone)).status == 200

            await callee.do(lambda now: callee.core.hangup(ringing.session_id, now))
            assert (await callee.wait_for(SessionEnded)).cause == "local_bye"
            assert (await caller.wait_for(SessionEnded)).cause == "remote_bye"

    asyncio.run(main())


def test_a_caller_cancels_and_a_callee_refuses(alice: Account) -> None:
    async def main() -> None:
        async with SilentPhone(alice) as caller, SilentPhone(_bob(alice)) as callee:
            for phone in (caller, callee):
                await phone.wait_for(RegistrationChanged, lambda event: event.state == "registered")
            call = await caller.do(lambda now: caller.core.invite("bob", OFFER, now=now))
            await caller.wait_for(SessionProgress)
            await caller.do(lambda now: caller.core.hangup(call, now))
            assert (await caller.wait_for(SessionEnded)).cause == "local_cancel"
            assert (await callee.wait_for(SessionEnded)).cause == "remote_cancel"

            await caller.do(lambda now: caller.core.invite("bob", OFFER, now=now))
            ringing = await callee.wait_for(InviteReceived)
            await callee.do(lambda now: callee.core.reject(ringing.session_id, 486, now))
            ended = await caller.wait_for(SessionEnded)
            assert (ended.cause, ended.status) == ("rejected", 486)

    asyncio.run(main())


def test_an_answered_call_moves_to_another_connection_and_goes_on(alice: Account) -> None:
    async def main() -> None:
        async with SilentPhone(_bob(alice)) as callee:
            await callee.wait_for(RegistrationChanged, lambda event: event.state == "registered")
            async with SilentPhone(alice, instance_id="one-and-the-same") as caller:
                await caller.wait_for(RegistrationChanged, lambda event: event.state == "registered")
                call = await caller.do(lambda now: caller.core.invite("bob", OFFER, now=now))
                ringing = await callee.wait_for(InviteReceived)
                await callee.do(lambda now: callee.core.answer(ringing.session_id, ANSWER, now))
                await caller.wait_for(SessionAnswered)
                await callee.wait_for(SessionConfirmed)
                exported = caller.core.export_session(call)
            async with SilentPhone(alice, instance_id="one-and-the-same") as successor:
                await successor.wait_for(RegistrationChanged, lambda event: event.state == "registered")
                assert successor.core.restore_session(exported) == call
                await successor.do(lambda now: successor.core.reinvite(call, HELD, now))
                await callee.wait_for(ReinviteReceived)
                await callee.do(lambda now: callee.core.accept_reinvite(ringing.session_id, ANSWER, now))
                assert (await successor.wait_for(ReinviteDone)).status == 200
                await callee.do(lambda now: callee.core.hangup(ringing.session_id, now))
                assert (await successor.wait_for(SessionEnded)).cause == "remote_bye"

    asyncio.run(main())


def test_a_number_that_nobody_has_is_not_found(alice: Account) -> None:
    async def main() -> None:
        async with SilentPhone(alice) as phone:
            await phone.wait_for(RegistrationChanged, lambda event: event.state == "registered")
            await phone.do(lambda now: phone.core.invite("nobody", OFFER, now=now))
            ended = await phone.wait_for(SessionEnded)
            assert (ended.cause, ended.status) == ("rejected", 404)

    asyncio.run(main())


def _bindings(phone: SilentPhone, instance_id: str) -> list[str]:
    """Return those of an instance that the newest 200 to a REGISTER lists."""
    frames = [frame for frame in phone.frames if " 200 " in frame.split("\r\n")[0] and "REGISTER" in frame]
    return [row for row in parse(frames[-1]).headers.get_list("Contact") if instance_id in row]


def test_a_phone_gets_a_flow_and_a_gruu_that_reaches_it_and_no_other_one(alice: Account) -> None:
    async def main() -> None:
        async with (
            SilentPhone(alice) as desk,
            SilentPhone(alice) as kitchen,
            SilentPhone(_bob(alice)) as bob,
        ):
            for phone in (desk, kitchen, bob):
                await phone.wait_for(RegistrationChanged, lambda event: event.state == "registered")
            granted = desk.core.granted
            assert granted.has_flow
            assert granted.keep_alive == 3.2  # of its Flow-Timer of 4 s
            for gruu in (granted.gruu, granted.temporary_gruu):
                call = await bob.do(partial(_invite, bob, gruu))
                ringing = await desk.wait_for(InviteReceived)
                await desk.do(partial(_answer, desk, ringing.session_id))
                answered = await bob.wait_for(SessionAnswered)
                assert answered.response.headers.get("Contact") == f"<{granted.gruu}>"
                await desk.wait_for(SessionConfirmed)
                # What the far end sends in the call finds the phone by its GRUU alone.
                await bob.do(partial(bob.core.reinvite, call, HELD))
                await desk.wait_for(ReinviteReceived)
                await desk.do(partial(desk.core.accept_reinvite, ringing.session_id, ANSWER))
                assert (await bob.wait_for(ReinviteDone)).status == 200
                await bob.do(partial(bob.core.hangup, call))
                assert (await desk.wait_for(SessionEnded)).cause == "remote_bye"
            assert "INVITE" not in kitchen.received

    asyncio.run(main())


def test_the_same_instance_and_reg_id_replace_the_binding_and_the_gruu_leads_to_the_new_one(
    alice: Account,
) -> None:
    async def main() -> None:
        instance = str(uuid.uuid4())
        async with (
            SilentPhone(alice, instance_id=instance) as first,
            SilentPhone(_bob(alice)) as bob,
        ):
            for phone in (first, bob):
                await phone.wait_for(RegistrationChanged, lambda event: event.state == "registered")
            gruu = first.core.granted.gruu
            call = await bob.do(partial(_invite, bob, gruu))
            ringing = await first.wait_for(InviteReceived)
            await first.do(partial(_answer, first, ringing.session_id))
            await first.wait_for(SessionConfirmed)
            exported = first.core.export_session(ringing.session_id)

            async with SilentPhone(alice, instance_id=instance) as second:
                await second.wait_for(RegistrationChanged, lambda event: event.state == "registered")
                [row] = _bindings(second, instance)
                assert "reg-id=1" in row
                assert second.core.granted.gruu == gruu
                # The far end has not heard of the second phone, and yet its hang-up arrives there.
                second.core.restore_session(exported)
                await bob.do(partial(bob.core.hangup, call))
                assert (await second.wait_for(SessionEnded)).cause == "remote_bye"
                assert "BYE" not in first.received

    asyncio.run(main())


def _invite(phone: SilentPhone, target: str, now: float) -> str:
    return phone.core.invite(target, OFFER, now=now)


def _answer(phone: SilentPhone, session_id: str, now: float) -> None:
    phone.core.answer(session_id, ANSWER, now)
