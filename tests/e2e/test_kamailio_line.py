"""A group's line to Kamailio: its flow is kept alive as RFC 5626 asks, and replaced when it falls silent."""

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from agents.sip import transport
from agents.sip.events import SessionEnded, SessionProgress
from agents.sip.registration import RegistrationChanged
from coordinator import Call, Phone, RegistrationState, join
from shared.config import Account

from ..sip_pair import OFFER
from .kamailio import kamailio, missing, private_settings
from .relay import Relay
from .silent_phone import SilentPhone

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"Kamailio: {missing()}")

FLOW_TIMER = 1


async def frames_read(account: Account) -> int:
    """Return how many WebSocket frames Kamailio has read so far."""
    trusted = ssl.create_default_context(cafile=str(account.ca_file))
    async with httpx.AsyncClient(verify=trusted) as client:
        return int((await client.get(f"https://{account.outbound_proxy}/frames")).text)


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Start Kamailio and yield an account of its user alice."""
    with kamailio(tmp_path_factory.mktemp("kamailio"), flow_timer=FLOW_TIMER) as account:
        yield account


@asynccontextmanager
async def group(alice: Account) -> AsyncIterator[tuple[Phone, Relay]]:
    """Join a group whose line to Kamailio leads through a relay."""
    with private_settings() as settings:
        async with asyncio.timeout(60), Relay(alice.outbound_proxy) as relay:
            account = replace(alice, outbound_proxy=relay.address)
            window = join("front", account=account, microphone=None, candidate=True, settings=settings)
            async with window as phone:
                yield phone, relay


def test_a_flow_shows_life_as_often_as_flow_timer_says_and_the_server_reads_it(alice: Account) -> None:
    async def main() -> None:
        async with group(alice) as (_, relay):
            read, said = await frames_read(alice), len(relay.said)
            await relay.until_said(said + 3)
            gaps = [late - early for early, late in itertools.pairwise(relay.said[said - 1 :])]
            # RFC 5626 §4.4.1: after 80 to 100 % of the time that the registrar names.
            assert all(0.75 * FLOW_TIMER < gap < FLOW_TIMER for gap in gaps), gaps
            assert await frames_read(alice) >= read + 2
            assert relay.connections == 1

    asyncio.run(main())


def test_a_flow_that_falls_silent_is_replaced_and_calls_come_by_the_new_one(
    alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "PING_INTERVAL", 0.2)
    monkeypatch.setattr(transport, "PING_TIME", 0.2)

    async def main() -> None:
        bob = replace(alice, authorization_id="bob", username="bob", password="pw-bob")
        async with group(alice) as (phone, relay), SilentPhone(bob) as caller:
            ringing: asyncio.Queue[Call] = asyncio.Queue()
            phone.on("inbound_call", ringing.put_nowait)
            states: list[RegistrationState] = []
            phone.on("registration_changed", lambda shown: states.append(shown.registration.state))
            relay.fall_silent()  # to Kamailio the old connection still looks well
            await phone.until(lambda: RegistrationState.REGISTERED in states)
            assert relay.connections == 2
            assert states[0] is not RegistrationState.REGISTERED
            await caller.wait_for(RegistrationChanged, lambda event: event.state == "registered")
            call = await caller.do(lambda now: caller.core.invite("alice", OFFER, now=now))
            assert (await ringing.get()).remote_number == "bob"
            await caller.wait_for(SessionProgress)
            await caller.do(lambda now: caller.core.hangup(call, now))
            assert (await caller.wait_for(SessionEnded)).cause == "local_cancel"

    asyncio.run(main())
