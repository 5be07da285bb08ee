"""Joining and leaving: windows in one process and in many, a call with sound, and who comes late."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest

from coordinator import BlockingCall, Call, CallState, MediaState, Phone, join, join_blocking
from coordinator.lease import FileLease, Vacant
from shared.clock import boottime
from shared.errors import OutcomeUnknown
from shared.messages import Hold, Quality

from .imports import imported, spared
from .stage import GROUP, Stage, assert_polite, epoch_is, events, stage


async def joined(it: Stage, stack: AsyncExitStack, name: str, *, sound: bool = False) -> Phone:
    """Join in this very process."""
    options: dict[str, Any] = {"microphone": "silence" if sound else None, "loudspeaker": "none"}
    phone = await stack.enter_async_context(
        join(GROUP, account=it.account, name=name, settings=it.settings, **options)
    )
    if sound:
        await phone.until(lambda: any(w.instance == phone.instance and w.media for w in phone.windows))
    return phone


def test_two_windows_in_one_process_share_one_line_and_one_call() -> None:
    async def main() -> None:
        async with stage() as it, AsyncExitStack() as stack:
            one = await joined(it, stack, "one", sound=True)
            two = await joined(it, stack, "two")
            await one.until(lambda: len(one.windows) == 2)
            assert {one.role, two.role} == {"real", "dummy"}
            told: list[tuple[str, str]] = []
            for name, phone in (("one", one), ("two", two)):
                for event in ("inbound_call", "outbound_call", "call_ended"):
                    phone.on(
                        event, lambda call, told=told, name=name, event=event: told.append((name, event))
                    )
            call = await one.call("199")
            assert call.is_here
            await two.until(lambda: bool(two.calls))
            [seen] = two.calls
            assert not seen.is_here
            await seen.hold()
            assert seen.held  # one reads one's own write
            await one.until(lambda: call.held)
            await call.unhold()
            await two.until(lambda: seen.media is MediaState.CONNECTED)
            measured: list[Quality | None] = []
            two.on("quality_changed", lambda call: measured.append(call.quality))
            await two.until(lambda: seen.quality is not None and seen.quality.mos is not None)
            assert seen.quality is not None
            assert (seen.quality.codec, seen.quality.lost) == ("opus", 0)
            assert seen.quality.mos is not None
            assert seen.quality.mos > 4
            await seen.hangup()
            assert seen.state is CallState.DISPOSED
            assert measured[0] is not None
            assert await call.ended() == "hung_up_here"
            both = [
                ("one", "call_ended"),
                ("one", "outbound_call"),
                ("two", "call_ended"),
                ("two", "outbound_call"),
            ]
            assert sorted(told) == both
            assert len(it.ledger("CALL_STARTED")) == 1
            assert len(it.ledger("LEG_HELD")) == len(it.ledger("LEG_UNHELD")) == 1
            assert len(it.ledger("BYE", direction="in")) == 1
            await stack.aclose()
            assert await it.control.bindings("101") == []

    asyncio.run(main())


def test_a_leader_that_leaves_takes_no_further_epoch_when_its_successor_leaves_at_that_moment() -> None:
    async def main() -> None:
        async with stage() as it, AsyncExitStack() as stack:
            brief = msgspec.structs.replace(
                it.settings, lease_time=0.015
            )  # looks often whether it still leads
            leader = await stack.enter_async_context(
                join(GROUP, account=it.account, microphone=None, settings=brief, candidate=True)
            )
            async with join(
                GROUP, account=it.account, microphone=None, settings=brief, candidate=False
            ) as window:
                await leader.until(lambda: len(leader.windows) == 2)
                epoch = it.holder().epoch
                leaving = asyncio.create_task(stack.aclose())
                lease = FileLease(it.root / "run" / GROUP, "successor")
                await it.until(lambda: isinstance(lease.look(), Vacant))
                assert lease.try_take(epoch + 1, boottime() + 10.0)
                lease.release()
                await asyncio.wait_for(leaving, 20.0)
                assert lease.look() == Vacant(epoch + 1)
                assert window.version.epoch == epoch  # nobody published anything since

    asyncio.run(main())


def test_a_program_without_a_loop_answers_in_a_handler_and_hears_of_the_end_in_another_thread() -> None:
    def program(it: Stage, has_joined: Callable[[], object]) -> list[str]:
        told: list[str] = []

        def take(call: BlockingCall) -> None:
            call.answer()
            told.append(f"{call.remote_number} {call.state}")
            call.hold()
            told.append(f"held {call.held}")
            call.unhold()
            told.append(call.ended())

        with join_blocking(
            GROUP, account=it.account, microphone="silence", loudspeaker="none", settings=it.settings
        ) as phone:
            phone.on("inbound_call", take)
            phone.until(lambda: phone.windows[0].media, 20.0)
            has_joined()
            phone.until(lambda: len(told) == 2 and not phone.calls[0].held, 20.0)
            [call] = phone.calls
            call.hangup()
            phone.until(lambda: len(told) == 3, 20.0)
            next(phone.snapshots())
        return told

    async def main() -> list[str]:
        async with stage() as it:
            loop, joined = asyncio.get_running_loop(), asyncio.Event()
            running = asyncio.create_task(
                asyncio.to_thread(program, it, lambda: loop.call_soon_threadsafe(joined.set))
            )
            await joined.wait()
            await it.control.call("101", caller="16505550123")
            told = await running
            assert await it.control.bindings("101") == []
            return told

    assert asyncio.run(main()) == ["+16505550123 answered", "held True", "hung_up_here"]


def test_a_window_that_joins_late_sees_the_call_at_once_and_can_end_it() -> None:
    async def main() -> None:
        async with stage() as it:
            [first] = await it.join("first", sound=True)
            robot = await it.control.call("101")
            await first.wait_for(lambda line: line["event"] == "inbound_call")
            assert (await first.do("answer"))["event"] == "done"
            [late] = await it.join("late")
            seen = await late.wait_for(lambda line: line["event"] == "inbound_call")
            assert seen["call"]["state"] == "answered"
            joined_at = next(line["at"] for line in late.lines if line["event"] == "leader")
            assert seen["at"] - joined_at < 0.1
            assert (await late.do("hangup"))["event"] == "done"
            assert (await it.control.robot(robot.id, until="ended")).state == "ended"
            for window in (first, late):
                await window.wait_for(lambda line: line["event"] == "call_ended")
                assert len(events(window, "inbound_call")) == len(events(window, "call_ended")) == 1
                assert_polite(window)

    asyncio.run(main())


def test_a_window_that_blocks_for_longer_than_the_presence_time_keeps_its_call_and_its_sound() -> None:
    async def main() -> None:
        async with stage() as it, AsyncExitStack() as stack:
            phone = await joined(it, stack, "busy", sound=True)
            call = await phone.call("199")
            time.sleep(it.settings.presence_time * 1.5)  # noqa: ASYNC251 - that is the point
            await call.mute()
            assert call.state is CallState.ANSWERED
            assert call.is_here

    asyncio.run(main())


def test_a_program_and_a_terminal_are_windows_of_one_line() -> None:
    async def main() -> None:
        async with stage() as it, AsyncExitStack() as stack:
            [terminal] = await it.join("terminal")
            phone = await joined(it, stack, "program", sound=True)
            answering: list[asyncio.Task[None]] = []

            def ring(call: Call) -> None:
                answering.append(asyncio.ensure_future(call.answer()))

            phone.on("inbound_call", ring)
            robot = await it.control.call("101", name="Ada")
            shown = await terminal.wait_for(lambda line: line.get("call", {}).get("state") == "answered")
            assert shown["call"]["media_host"] == phone.instance
            await asyncio.gather(*answering)
            assert (await terminal.do("mute"))["event"] == "done"
            await phone.until(lambda: phone.calls[0].muted)
            await it.control.hang_up(robot.id)
            await terminal.wait_for(lambda line: line["event"] == "call_ended")

    asyncio.run(main())


def test_a_window_that_leaves_is_gone_from_every_list_and_one_that_dies_too() -> None:
    async def main() -> None:
        async with stage() as it:
            [leader] = await it.join("leader")
            polite, killed = await it.join("polite", "killed")
            await leader.wait_for(lambda line: len(line.get("windows", ())) == 3)
            since = len(leader.lines)
            polite.tell("quit")
            assert await polite.ended() == 0
            await leader.wait_for(lambda line: len(line.get("windows", ())) == 2, since=since)
            killed.kill()
            gone = await leader.wait_for(lambda line: len(line.get("windows", ())) == 1, since=since)
            assert gone["epoch"] == 1
            assert it.ledger("UNREGISTER") == []

    asyncio.run(main())


def test_the_call_of_a_window_that_is_killed_ends_everywhere_and_at_the_service() -> None:
    async def main() -> None:
        async with stage() as it:
            [leader] = await it.join("leader")
            [host] = await it.join("host", sound=True)
            robot = await it.control.call("101")
            await host.wait_for(lambda line: line["event"] == "inbound_call")
            await host.do("answer")
            host.kill()
            ended = await leader.wait_for(lambda line: line["event"] == "call_ended", time=4.0)
            assert ended["call"]["cause"] == "lost"
            assert (await it.control.robot(robot.id, until="ended", within=5)).state == "ended"

    asyncio.run(main())


def test_a_window_without_sound_does_not_lead_but_says_so_and_waits_for_one_that_does() -> None:
    async def main() -> None:
        async with stage() as it:
            env = it.env | {"SHAREDLINE_ACTION_TIME": "2.0"}
            shy = await it.supervisor.start_window(GROUP, str(it.account), "shy", "--no-sound", **env)
            refused = asyncio.ensure_future(shy.do("call 199"))
            await it.until(lambda: "or with --may-lead" in shy.errors)
            assert (await refused)["code"] == "no_leader"
            assert shy.errors.count("this window may not lead") == 1
            [bold] = await it.join("bold")
            await shy.wait_for(epoch_is(1))
            bold.kill()
            await shy.wait_for(lambda line: line["event"] == "stale")
            assert events(shy, "leader")[-1]["role"] == "dummy"
            await it.join("next")
            await shy.wait_for(epoch_is(2))
            await shy.wait_for(lambda line: line["event"] == "current")
            assert_polite(shy)

    asyncio.run(main())


def test_a_window_without_sound_loads_nothing_that_only_the_phone_or_sound_needs() -> None:
    async def main() -> None:
        async with stage() as it:
            await it.join("leader", "heir")
            env = it.env | {"PYTHONPROFILEIMPORTTIME": "1"}
            window = await it.supervisor.start_window(GROUP, str(it.account), "small", "--no-sound", **env)
            await it.control.call("101")
            await window.wait_for(lambda line: line["event"] == "inbound_call")
            assert (await window.do("decline"))["event"] == "done"
            window.tell("quit")
            assert await window.ended() == 0
            loaded = imported(window.errors)
            assert {"asyncio", "coordinator.node", "msgspec", "zmq"} <= loaded
            assert spared(loaded) == set()

    asyncio.run(main())


def test_an_action_under_way_when_its_window_leaves_is_not_left_hanging() -> None:
    async def main() -> None:
        async with stage(service=False) as it:
            account = it.root / "account.json"
            account.write_text(
                '{"authorizationId":"a","domain":"sip.test","username":"u","password":"p",'
                '"outboundProxy":"127.0.0.1:9"}'
            )
            async with join(
                GROUP, account=account, candidate=False, microphone=None, settings=it.settings, wait=False
            ) as phone:
                action = asyncio.ensure_future(phone.perform(Hold(call_id="x")))
                await asyncio.sleep(0)
            with pytest.raises(OutcomeUnknown, match="left the group"):
                await action

    asyncio.run(main())


def test_status_shows_the_group_from_outside() -> None:
    async def main() -> None:
        async with stage() as it:
            await it.join("front desk")
            looked = await it.supervisor.start("status", "status", GROUP, "--json", env=it.env)
            assert await looked.ended() == 0, looked.errors
            [shown] = looked.lines
            assert shown["type"] == "snapshot"
            assert [window["name"] for window in shown["windows"]] == ["front desk"]
            assert shown["registration"]["state"] == "registered"

    asyncio.run(main())
