"""SIGSTOP and SIGCONT: a leader that sleeps is passed over, and wakes up as an ordinary window.

So is one that died and left a child behind which keeps its descriptors; on Linux the lock is not among them.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys

import pytest

from shared.clock import boottime
from shared.errors import ActionRefused, OutcomeUnknown
from shared.messages import Dial

from . import times
from .arena import GROUP, Arena, arena
from .record import say

#: The binding is refreshed at half its time or later: some of these sleeps are longer than all of it.
_EXPIRY = "expiry = 3.0\n"
_SLEEPS = (0.1, 0.4, 0.7, 2.5, 5.0, 10.0)


@pytest.mark.timeout(3000)
def test_a_leader_that_sleeps_and_wakes_up_breaks_no_promise() -> None:
    async def main() -> None:
        rng = random.Random(2)
        async with arena(config=_EXPIRY) as it:
            await it.hire(3)
            call = await it.phone.call("199")
            for number in range(times(20)):
                await sleep_through(it, rng, _SLEEPS[number % len(_SLEEPS)])
            assert call.state == "answered"
            await call.hangup()
            await it.peace()
            it.check("P1", "P2", "P3", "P4", "P5", "P7")
            assert len(it.ledger("BINDING_ADDED")) == 1
            assert it.ledger("BINDING_EXPIRED") == []
            assert it.ledger("BINDING_REFRESHED")

    asyncio.run(main())


async def sleep_through(it: Arena, rng: random.Random, seconds: float) -> None:
    """Stop the leader for so long, and ask for something meanwhile, of it or of the next one."""
    leader, epoch = it.leader, it.epoch
    it.stop(leader)
    asking = asyncio.create_task(dial(it))
    await asyncio.sleep(seconds)
    if seconds > 0.6:
        await it.until(lambda: it.is_well and it.phone.version.epoch > epoch)
        await dial(it)
    it.go_on(leader)
    await asking
    await it.until(lambda: it.is_well)
    for call in it.phone.calls[1:]:
        with contextlib.suppress(ActionRefused, OutcomeUnknown):
            await call.hangup()
    await asyncio.sleep(rng.uniform(0.0, 0.2))


async def dial(it: Arena) -> None:
    with contextlib.suppress(ActionRefused, OutcomeUnknown):
        await it.phone.perform(Dial(target="199"), 2.0)


def test_a_child_that_keeps_the_descriptors_of_a_dead_leader_costs_its_successor_the_lease_time_at_most() -> (
    None
):
    async def main() -> None:
        async with arena(sound=False) as it:
            forker = await asyncio.create_subprocess_exec(
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "tests.chaos.forker",
                GROUP,
                it.account,
                stdout=asyncio.subprocess.PIPE,
                env=os.environ | it.environment,
            )
            assert forker.stdout is not None
            child = int(await asyncio.wait_for(forker.stdout.readline(), 10.0))
            try:
                await it.hire(2)
                epoch, killed_at = it.epoch, boottime()
                assert it.leader == forker.pid
                it.kill(forker.pid)
                await it.until(lambda: it.is_well and it.phone.version.epoch > epoch)
                took = boottime() - killed_at
                say(f"with descriptors kept by a child: {took * 1000:.0f} ms")
                assert took < 2.0
                await it.peace()
                it.check("P1", "P3", "P4")
            finally:
                os.kill(child, signal.SIGKILL)
                await forker.wait()

    asyncio.run(main())
