"""Our phone against a SIP server that nobody here wrote: Kamailio, over WSS on loopback."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

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
