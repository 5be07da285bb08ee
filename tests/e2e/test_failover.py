"""The leader dies or is stopped: all windows follow another, and the service sees one phone all the time."""

import asyncio
import signal

from coordinator.supervisor import Child
from shared.clock import boottime

from .stage import Stage, assert_polite, epoch_is, events, instance, stage, versions


def test_when_the_leader_is_killed_every_window_follows_another_one_and_the_binding_stays_one() -> None:
    async def main() -> None:
        async with stage() as it:
            await it.join("a", "b", "c", "d")
            for round_number in (1, 2):
                epoch, leader = it.holder().epoch, await it.leader()
                killed_at = boottime()
                leader.kill()
                del it.windows[leader.name]
                for window in it.windows.values():
                    shown = await window.wait_for(epoch_is(epoch + 1))
                    assert shown["at"] - killed_at < 2.0
                await replaced(it, round_number)
                assert (await it.leader()).is_running
            await check_one_phone(it)
            for window in it.windows.values():
                assert versions(window) == sorted(versions(window)), "a window went back"
                assert_polite(window)

    asyncio.run(main())


async def replaced(it: Stage, times: int) -> None:
    await it.until(lambda: len(it.ledger("BINDING_REPLACED")) >= times)


async def check_one_phone(it: Stage) -> None:
    assert len(it.ledger("BINDING_ADDED")) == 1
    assert {entry.bindings for entry in it.ledger("REGISTER", status=200)} == {1}
    assert len({entry.instance_id for entry in it.ledger("REGISTER")}) == 1
    [binding] = await it.control.bindings("101")
    assert binding.reachable


def test_a_stopped_leader_is_passed_over_and_sends_nothing_when_it_goes_on() -> None:
    async def main() -> None:
        async with stage() as it:
            await it.join("a", "b")
            [caller] = await it.join("caller", sound=True)
            leader = await it.leader()
            assert leader is not caller
            epoch = it.holder().epoch
            old_host = it.ledger("REGISTER", status=200)[-1].via_host
            leader.kill(signal.SIGSTOP)
            # It will read this in its inbox when it goes on, long after it was deposed.
            swallowed = asyncio.ensure_future(caller.do("call 199"))
            others = [window for window in it.windows.values() if window is not leader]
            for window in others:
                await window.wait_for(epoch_is(epoch + 1))
            await it.until(lambda: it.ledger("BINDING_REPLACED"))
            outcome = await swallowed
            assert outcome["event"] == "unknown", outcome
            first = next(e for e in it.ledger("REGISTER") if e.via_host != old_host)
            leader.kill(signal.SIGCONT)
            await leader.wait_for(epoch_is(epoch + 1))
            # It is an ordinary window again: it sees what the others do, and can do everything.
            done = await caller.do("call 199")
            assert done["event"] == "done", done
            await leader.wait_for(lambda line: line["event"] == "outbound_call")
            await it.until(lambda: it.ledger("CALL_ANSWERED"))
            late = [entry for entry in it.ledger(via_host=old_host) if entry.boottime > first.boottime]
            sent = [entry.event for entry in late if entry.direction != "out"]
            assert set(sent) <= {"FLOW_CLOSED"}, late  # to end a connection is no message
            assert len(it.ledger("CALL_STARTED")) == 1
            await check_one_phone(it)
            assert versions(leader) == sorted(versions(leader))
            for window in it.windows.values():
                assert_polite(window)

    asyncio.run(main())


def test_a_ringing_call_is_told_to_end_or_rings_on_but_never_stays_as_a_ghost() -> None:
    async def main() -> None:
        async with stage() as it:
            await it.join("a", "b", "c")
            robot = await it.control.call("101")
            for window in it.windows.values():
                await window.wait_for(lambda line: line["event"] == "inbound_call")
            leader = await it.leader()
            killed = boottime()
            leader.kill()
            del it.windows[leader.name]
            await it.control.hang_up(robot.id)
            for window in it.windows.values():
                await window.wait_for(
                    lambda line: (
                        line["event"] == "state"
                        and line["at"] > killed
                        and all(state in ("failed", "disposed") for state in line["calls"].values())
                    ),
                    time=5.0,
                )
                begun = {line["call"]["call_id"] for line in events(window, "inbound_call")}
                over = [line["call"]["call_id"] for line in events(window, "call_ended")]
                assert sorted(over) == sorted(begun)

    asyncio.run(main())


def test_all_windows_can_be_killed_and_the_next_ones_still_are_the_same_phone() -> None:
    async def main() -> None:
        async with stage() as it:
            for window in await it.join("a", "b"):
                window.kill()
                await window.ended()
            it.windows.clear()
            [window] = await it.join("c")
            assert it.holder().epoch >= 2
            assert it.holder().instance == instance(window)
            await check_one_phone(it)

    asyncio.run(main())


def test_a_group_goes_on_when_its_leader_leaves_and_the_last_one_removes_the_binding() -> None:
    async def leave(window: Child) -> None:
        window.tell("quit")
        assert await window.ended() == 0
        assert_polite(window)

    async def main() -> None:
        async with stage() as it:
            await it.join("a", "b", "c")
            for round_number in (1, 2):
                epoch, leader = it.holder().epoch, await it.leader()
                await leave(leader)
                del it.windows[leader.name]
                for window in it.windows.values():
                    await window.wait_for(epoch_is(epoch + 1))
                assert it.ledger("UNREGISTER") == []
                await replaced(it, round_number)
            [last] = it.windows.values()
            await leave(last)
            assert await it.control.bindings("101") == []
            assert len(it.ledger("BINDING_REMOVED")) == 1

    asyncio.run(main())
