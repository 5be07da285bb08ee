"""Every process of a group is restarted politely, one after the other, under one inbound call a second.

No call is missed, no window is ever without a leader for long, and no secret reaches what they log, though
they log all that they can.
"""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from coordinator.supervisor import Child
from shared.call import Call
from shared.clock import boottime

from . import times
from .arena import GROUP, Arena, arena
from .record import say

#: Seconds.
_LONGEST_GAP = 0.25


@pytest.mark.timeout(3000)
def test_a_rolling_restart_misses_no_call_and_leaves_no_window_without_a_leader() -> None:
    async def main() -> None:
        async with arena(sound=False) as it:
            rung: dict[str, Call] = {}
            it.phone.on("inbound_call", lambda call: rung.setdefault(call.call_id, call))
            windows = [await start(it, f"r{number}") for number in range(3)]
            await it.until(lambda: it.is_well and len(it.phone.windows) == 4)
            heard = hear(it)
            calling = asyncio.create_task(call_in(it))
            for number in range(times(50)):
                leaving = next(window for window in windows if window.pid == it.leader)
                windows.remove(leaving)
                leaving.tell("quit")
                assert await leaving.ended() == 0
                write_log(it, leaving)
                windows.append(await start(it, f"s{number}"))
                await it.until(lambda: it.is_well and len(it.phone.windows) == 4)
            await it.until(lambda: len(it.ledger("CALL_STARTED")) >= 3)  # one a second
            calling.cancel()
            await calling
            # A call that rings while the leader changes rings once more at the next one: the same session.
            made = {entry.session_id for entry in it.ledger("CALL_STARTED")}
            await it.until(lambda: made <= {call.view.session_id for call in rung.values()})
            gap = max(after - before for before, after in pairwise(heard))
            undelivered = it.ledger("UNDELIVERED", method="INVITE")
            say(
                f"{times(50)} restarts of the leader, {len(made)} calls, all seen, {len(rung) - len(made)} "
                f"of them once more; the longest silence was {gap * 1000:.0f} ms"
            )
            assert len(made) >= 3
            assert undelivered == []
            assert len(it.ledger("BINDING_ADDED")) == 1
            assert it.ledger("UNREGISTER") == []
            assert gap < _LONGEST_GAP
            await it.peace()
            for window in windows:
                write_log(it, window)
            it.check("P1", "P3", "P4", "P5", "P6", "P7")

    asyncio.run(main())


async def start(it: Arena, name: str) -> Child:
    """Start a window that logs all that it can."""
    options: tuple[str, ...] = (
        "--log",
        "json",
        "--log-level",
        "debug",
        "join",
        GROUP,
        "--account",
        it.account,
    )
    options += ("--name", name, "--json", "--no-sound", "--may-lead")
    child = await it.supervisor.start(name, *options, env=it.environment)
    await child.wait_for(lambda line: line["event"] == "joined")
    return child


def write_log(it: Arena, window: Child) -> None:
    """Put what a window said where the checker looks for secrets."""
    Path(it.root / f"{window.name}.log").write_text(window.errors + "\n".join(map(str, window.lines)))
    assert "Traceback" not in window.errors, window.errors


def hear(it: Arena) -> list[float]:
    """Return a list that grows by the time of each state that comes from a leader, repeated ones included."""
    replica, heard = it.phone._agent.replica, [boottime()]  # type: ignore[attr-defined]
    apply = replica.apply

    def note(snapshot: object, now: float) -> object:
        heard.append(now)
        return apply(snapshot, now)

    replica.apply = note
    return heard


async def call_in(it: Arena) -> None:
    """Let a robot call each second, and hang up after half of one."""
    try:
        while True:
            robot = await it.control.call("101")
            await asyncio.sleep(0.5)
            await it.control.hang_up(robot.id)
            await asyncio.sleep(0.5)
    except asyncio.CancelledError:
        await asyncio.sleep(1.0)  # for the last one to be seen
