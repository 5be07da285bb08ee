"""SIGKILL: of leaders at any time, at chosen places inside an action, two in a row, all at once."""

import asyncio
import contextlib
import random

import pytest

from shared.call import Call
from shared.errors import ActionRefused, OutcomeUnknown, SharedlineError
from shared.failpoint import POINTS
from shared.messages import Dial, Hangup, Hold, Unhold

from . import times
from .arena import Arena, arena


async def ask(it: Arena, rng: random.Random) -> None:
    """Ask for something; what becomes of it is for the traces to tell."""
    calls = it.phone.calls
    actions = [Dial(target="199")] if len(calls) < 4 else []
    actions += [kind(call_id=call.call_id) for call in calls[1:] for kind in (Hold, Unhold, Hangup)]  # type: ignore[misc]
    with contextlib.suppress(ActionRefused, OutcomeUnknown):
        await it.phone.perform(rng.choice(actions), 2.0)


@pytest.mark.timeout(3000)
def test_leaders_that_are_killed_at_any_time_break_no_promise_and_no_call() -> None:
    async def main() -> None:
        rng = random.Random(1)
        async with arena() as it:
            await it.hire(3)
            kept = await it.phone.call("199")
            for _ in range(times(50)):
                epoch = it.phone.version.epoch
                asking = [asyncio.create_task(ask(it, rng)) for _ in range(rng.randrange(4))]
                await asyncio.sleep(rng.choice([0.0, 0.001, 0.005, 0.02, 0.3]))
                it.kill(it.leader)
                await it.until(lambda: it.is_well and it.phone.version.epoch > epoch)  # noqa: B023
                await asyncio.gather(*asking)
                await it.hire()
            state = kept.view
            for call in it.phone.calls:
                await call.hangup()
            await it.peace()
            it.check("P1", "P2", "P3", "P4", "P5", "P6", "P7")
            assert len(it.ledger("BINDING_ADDED")) == 1
            assert state.state == "answered", state

    asyncio.run(main())


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.timeout(3000)
def test_a_leader_that_dies_inside_an_action_leaves_its_caller_with_the_truth(point: str) -> None:
    async def main() -> None:
        outcomes: list[str] = []
        async with arena() as it:
            await it.hire(2, SHAREDLINE_FAILPOINT=point)
            for number in range(times(25)):
                epoch, victim = it.phone.version.epoch, it.leader
                outcomes.append(await dial(it, f"16505551{number:03}"))
                await it.soon(lambda: it.epoch > epoch)  # noqa: B023
                it.note("KILLED", victim)  # a moment late: nobody was asked for anything meanwhile
                await it.until(lambda: it.is_well and it.phone.version.epoch > epoch)  # noqa: B023
                await it.hire(SHAREDLINE_FAILPOINT=point)
            await it.peace()
            it.check("P1", "P2", "P3", "P4")
            if point == "received":
                assert set(outcomes) == {"unknown"}
                assert it.ledger("CALL_STARTED") == []
            if point == "sent":
                assert len(it.ledger("INVITE", kind="initial")) >= len(outcomes)

    asyncio.run(main())


async def dial(it: Arena, number: str) -> str:
    try:
        await it.phone.perform(Dial(target=number), 3.0)
    except OutcomeUnknown:
        return "unknown"
    except ActionRefused as exc:
        return exc.code
    return "done"


def test_two_leaders_that_are_killed_in_a_row_leave_a_third_with_the_call() -> None:
    async def main() -> None:
        async with arena() as it:
            await it.hire(4)
            call: Call = await it.phone.call("199")
            for _ in range(times(2)):
                epoch = it.epoch
                it.kill(it.leader)
                await it.soon(lambda: it.epoch > epoch and it.leader)  # noqa: B023
                it.kill(it.leader)
                await it.until(lambda: it.is_well and it.phone.version.epoch >= epoch + 2)  # noqa: B023
                await it.hire(2)
                await asyncio.sleep(0.3)  # a newcomer is left the call by the third heartbeat at the latest
            assert call.state == "answered", call.view.reason
            await call.hangup()
            await it.peace()
            it.check("P1", "P2", "P3", "P4")

    asyncio.run(main())


def test_when_all_candidates_are_killed_the_next_ones_are_the_same_phone_and_say_what_was_lost() -> None:
    async def main() -> None:
        async with arena() as it:
            await it.hire(3)
            call = await it.phone.call("199")
            pids = [window.pid for window in it.phone.windows if window.candidate]
            for pid in pids:
                it.kill(pid)
            await it.until(lambda: it.phone.is_stale)
            with pytest.raises(SharedlineError):
                await it.phone.perform(Dial(target="199"), 0.5)
            await it.hire(2)
            assert len({entry.instance_id for entry in it.ledger("REGISTER")}) == 1
            assert len(it.ledger("BINDING_ADDED")) == 1
            await it.until(lambda: not it.phone.is_stale)
            assert call.state.is_final or call.state == "answered"
            await it.peace()
            it.check("P1", "P3", "P4")

    asyncio.run(main())
