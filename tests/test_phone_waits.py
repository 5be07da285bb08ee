"""Whoever listens to a phone, or waits for it: also from within an event, and when the window leaves."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.call import Call, Consultation
from shared.errors import ActionRefused
from shared.messages import Done, Hangup, Snapshot, Unhold, Version
from shared.phone import Phone

from .fakes import a_call, snapshot
from .test_phone import Window, outbound, run


def test_a_handler_that_is_added_within_an_event_hears_of_the_next_one() -> None:
    async def story(window: Window) -> None:
        told: list[str] = []

        def again(call: Call) -> None:
            told.append(call.call_id)
            window.phone.on("inbound_call", again)

        window.phone.on("inbound_call", again)
        window.show(snapshot(1, 1, a_call("c1")))
        assert told == ["c1"]
        window.show(snapshot(1, 2, a_call("c1"), a_call("c2")))
        assert told == ["c1", "c2", "c2"]

    run(story)


def test_an_event_that_does_not_exist_cannot_be_left_either() -> None:
    async def story(window: Window) -> None:
        with pytest.raises(ValueError, match="no event 'rings'"):
            window.phone.off("rings", print)  # type: ignore[arg-type]  # that is the mistake
        with pytest.raises(ValueError, match="no event 'rings'"):
            window.phone.on("rings", print)  # type: ignore[call-overload]  # the same

    run(story)


def test_whoever_waits_for_a_change_is_told_when_the_window_leaves() -> None:
    async def story(window: Window) -> None:
        window.show(snapshot(1, 1, a_call()))
        [call] = window.phone.calls
        ending = asyncio.ensure_future(call.ended())
        states = asyncio.ensure_future(_listed(window.phone))
        with capture_logs() as logs:
            window.phone.on("call_changed", Call.ended)
            window.show(snapshot(1, 2, a_call(held=True)))
            await asyncio.sleep(0)
            window.phone.detached()
            with pytest.raises(ActionRefused, match="has left") as refusal:
                await ending
            assert [state.version.sequence for state in await states] == [2]
            with pytest.raises(ActionRefused):
                await call.answered()
            await asyncio.sleep(0)
        assert refusal.value.code == "no_leader"
        assert logs == []

    async def _listed(phone: Phone) -> list[Snapshot]:
        return [state async for state in phone.snapshots()]

    run(story)


def test_a_consultation_that_ends_while_it_is_cancelled_leaves_nobody_on_hold() -> None:
    async def story(window: Window) -> None:
        window.show(snapshot(1, 1, a_call(state="answered", held=True), outbound("c2", state="answered")))
        original, asked = window.phone.calls

        def answer(action: Any) -> Done:
            if isinstance(action, Hangup):
                raise ActionRefused("no_such_call", "the call is over")
            return Done(action_id="a", version=Version(1, 1))

        window.agent.answer = answer
        await Consultation(window.phone, original, asked).cancel()
        assert window.agent.asked == [Hangup(call_id="c2"), Unhold(call_id="c1")]

    run(story)
