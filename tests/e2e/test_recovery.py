"""A service that restarts, refuses for a while, or falls silent: windows tell the truth, and calls go on."""

import asyncio
import time
from functools import partial
from typing import Any

import pytest

from agents.pbx.fault_orders import Answer, HalfOpen
from agents.sip import transport
from coordinator import TooManyContacts, join
from coordinator.supervisor import Child, Line
from shared.messages import Registration

from .stage import SILENT, Stage, is_talking, stage


def run(main: Any) -> None:
    asyncio.run(main())


def shows(state: str, problem: str = "none") -> Any:
    def matches(line: Line) -> bool:
        return line["event"] == "registration" and (line["state"], line["problem"]) == (state, problem)

    return matches


async def call_on_hold(it: Stage) -> Child:
    """Join two windows, and have one that does not lead call a robot and put it on hold."""
    await it.join("leader")
    (talker,) = await it.join("talker", sound=True)
    assert (await talker.do("call 199"))["event"] == "done"
    await talker.wait_for(is_talking)
    assert (await talker.do("hold"))["event"] == "done"
    return talker


def test_a_restart_of_the_service_is_survived_and_what_is_held_stays_held() -> None:
    async def main() -> None:
        async with stage() as it:
            talker = await call_on_hold(it)
            before = len(it.ledger("INVITE", kind="reinvite"))
            mark = len(talker.lines)

            await it.control.restart(forget=False, down=1.0)

            down = await talker.wait_for(shows("connecting", "unreachable"), since=mark)
            # A window shows the newest state: the first attempt may have failed already.
            assert any(words in down["detail"] for words in ("was lost", "nothing listens"))
            assert abs(down["retry_at"] - time.time()) < 5
            refused = await talker.wait_for(
                lambda line: shows("connecting", "unreachable")(line) and "nothing listens" in line["detail"],
                since=mark,
            )
            assert refused["retry_at"] > 0
            back = await talker.wait_for(shows("registered"), since=mark)
            assert back["retry_at"] == 0
            await it.until(lambda: len(it.ledger("INVITE", kind="reinvite")) > before)
            (call,) = await it.control.calls()
            robot = await it.control.robot((await it.control.robots())[0].id)
            assert robot.state == "answered"
            assert call is not None
            assert not [line for line in talker.lines[mark:] if line["event"] == "call_ended"]
            assert (await talker.do("unhold"))["event"] == "done"
            assert (await talker.do("hangup"))["event"] == "done"
            assert (await it.control.robot(robot.id, until="ended")).state == "ended"

    run(main)


def test_a_registrar_that_cannot_serve_is_asked_again_when_it_said() -> None:
    async def main() -> None:
        async with stage() as it:
            await it.control.set_fault(Answer(status=503, retry_after=2, count=1))
            window = await it.supervisor.start_window("front", str(it.account), "a", *SILENT, **it.env)
            failed = await window.wait_for(shows("failed", "unreachable"))
            assert failed["status"] == 503
            assert "trying again in 2 s" in failed["detail"]
            assert abs(failed["retry_at"] - time.time() - 2) < 1.5
            await window.wait_for(shows("registered"))

    run(main)


def test_too_many_contacts_names_the_remedy_and_when_it_is_tried_again() -> None:
    async def main() -> None:
        async with stage() as it:
            await it.control.set_fault(Answer(status=603, reason="Too Many Contacts"))
            with pytest.raises(TooManyContacts, match="close one") as refused:
                async with join(
                    "front", account=it.account, settings=it.settings, microphone=None, candidate=True
                ):
                    raise AssertionError("it is not registered")
            assert refused.value.status == 603
            assert 55 < (refused.value.retry_after or 0) < 61

    run(main)


def test_a_longer_interval_is_asked_for_where_the_registrar_wants_one() -> None:
    async def main() -> None:
        async with stage() as it:
            await it.control.set_fault(Answer(status=423, min_expires=120, count=1))
            await it.join("a")
            (binding,) = await it.control.bindings("101")
            assert binding is not None
            assert it.ledger("FAULT_APPLIED", status=423)

    run(main)


def test_a_connection_that_fell_silent_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PING_INTERVAL", 0.5)
    monkeypatch.setattr(transport, "PING_TIME", 1.0)

    async def main() -> None:
        told: asyncio.Queue[Registration] = asyncio.Queue()
        async with (
            asyncio.timeout(20),
            stage() as it,
            join("line", account=it.account, settings=it.settings, microphone=None, candidate=True) as phone,
        ):
            (flow,) = await it.control.flows()
            phone.on("registration_changed", lambda shown: told.put_nowait(shown.registration))
            await it.control.set_fault(HalfOpen(flow=flow.flow, seconds=60))

            down = await told.get()
            assert (down.state, down.problem) == ("connecting", "unreachable")
            assert "keep-alive" in down.detail
            await phone.until(lambda: phone.registration.state == "registered")
            await it.until(partial(it.ledger, "BINDING_REPLACED"))

    run(main)


def test_a_process_leaves_quickly_when_the_service_is_silent() -> None:
    async def main() -> None:
        async with stage() as it:
            (window,) = await it.join("a")
            (flow,) = await it.control.flows()
            await it.control.set_fault(HalfOpen(flow=flow.flow, seconds=60))
            began = time.monotonic()
            window.tell("quit")
            await window.ended()
            # Two seconds for the farewell, one for the connection, and the process' own end.
            assert time.monotonic() - began < 8

    run(main)
