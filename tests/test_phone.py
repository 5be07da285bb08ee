"""The phone as a program sees it: verbs that become actions, events that come exactly once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.call import Call
from shared.errors import ActionRefused, CallFailed, CallLost, OutcomeUnknown
from shared.messages import (
    Answer,
    CallState,
    Cause,
    CompleteTransfer,
    Decline,
    Dial,
    Done,
    Hangup,
    Hold,
    Mute,
    RegistrationState,
    SendDtmf,
    Snapshot,
    Unhold,
    Unmute,
    Version,
)
from shared.phone import Phone
from shared.replica import CallAdded, Replica

from .fakes import FakeAgent, a_call, snapshot

ENDED = {"state": "disposed", "cause": "hung_up_there"}


class Window:
    """A phone that is shown one snapshot after the other."""

    def __init__(self) -> None:
        self.agent = FakeAgent()
        self.phone = Phone(self.agent)
        self.replica = Replica(now=0.0, stale_after=0.5)
        self.now = 0.0
        self.events: list[tuple[str, Any]] = []

    def show(self, shown: Snapshot) -> None:
        changes = self.replica.apply(shown, self.now)
        self.agent.snapshot, self.agent.is_stale = self.replica.snapshot, self.replica.is_stale
        self.phone.apply(changes)

    def listen(self, *events: str) -> None:
        for event in events:
            self.phone.on(event, lambda subject, event=event: self.events.append((event, subject)))  # type: ignore[call-overload]  # any event


def run(story: Callable[[Window], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(5):
            await story(Window())

    asyncio.run(main())


def outbound(call_id: str = "c1", **facts: Any) -> Any:
    return a_call(call_id, direction="outbound", state=facts.pop("state", "init"), **facts)


# -- events


def test_a_call_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    async def story(window: Window) -> None:
        window.listen("inbound_call", "outbound_call", "call_ended")
        window.show(snapshot(1, 1, a_call()))
        window.show(snapshot(1, 1, a_call()))
        window.show(snapshot(2, 1, a_call(), outbound("c2"), leader="kiosk"))
        window.show(snapshot(2, 2, a_call(**ENDED), outbound("c2")))
        window.show(snapshot(2, 3, a_call(**ENDED), outbound("c2")))
        told = [(event, call.call_id) for event, call in window.events]
        assert told == [("inbound_call", "c1"), ("outbound_call", "c2"), ("call_ended", "c1")]

    run(story)


def test_a_call_that_this_window_skipped_altogether_still_begins_and_ends() -> None:
    async def story(window: Window) -> None:
        window.listen("inbound_call", "call_ended")
        window.show(snapshot(1, 1))
        window.show(snapshot(1, 9, a_call(**ENDED)))
        assert [event for event, _ in window.events] == ["inbound_call", "call_ended"]
        assert window.events[1][1].cause is Cause.HUNG_UP_THERE

    run(story)


def test_a_call_is_the_same_object_from_its_beginning_to_its_end() -> None:
    async def story(window: Window) -> None:
        window.listen("inbound_call", "call_changed", "call_ended")
        window.show(snapshot(1, 1, a_call()))
        window.show(snapshot(1, 2, a_call(state="answered", held=True)))
        window.show(snapshot(1, 3, a_call(**ENDED)))
        [first, *others] = [subject for _, subject in window.events]
        assert len(others) == 3
        assert all(other is first for other in others)
        assert first.state is CallState.DISPOSED

    run(story)


def test_leader_registration_and_staleness_are_told_with_the_state() -> None:
    async def story(window: Window) -> None:
        window.listen("leader_changed", "registration_changed", "staleness_changed", "snapshot")
        window.show(snapshot(1, 1))
        assert [event for event, _ in window.events] == [
            "staleness_changed",
            "leader_changed",
            "registration_changed",
            "snapshot",
        ]
        assert all(subject is window.agent.snapshot for _, subject in window.events)

    run(story)


def test_a_handler_that_raises_is_logged_and_stops_nobody_else() -> None:
    async def story(window: Window) -> None:
        async def late(call: Call) -> None:
            raise RuntimeError("in a task")

        def fails(call: Call) -> None:
            raise RuntimeError("at once")

        window.phone.on("inbound_call", fails)
        window.phone.on("inbound_call", late)
        window.listen("inbound_call", "snapshot")
        with capture_logs() as logs:
            window.show(snapshot(1, 1, a_call()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert [event for event, _ in window.events] == ["inbound_call", "snapshot"]
        assert [entry["event"] for entry in logs] == ["handler.failed"] * 2

    run(story)


def test_a_coroutine_handler_may_use_the_call() -> None:
    async def story(window: Window) -> None:
        window.phone.on("inbound_call", lambda call: call.answer())
        window.show(snapshot(1, 1, a_call()))
        await asyncio.sleep(0)
        assert window.agent.asked == [Answer(call_id="c1")]

    run(story)


def test_an_event_that_there_is_not_raises_and_lists_those_that_there_are() -> None:
    async def story(window: Window) -> None:
        with pytest.raises(ValueError, match=r"no event 'ring'.*inbound_call.*snapshot"):
            window.phone.on("ring", print)  # type: ignore[call-overload]  # that is the point

    run(story)


# -- state


def test_snapshots_yields_the_state_at_once_and_skips_to_the_newest() -> None:
    async def story(window: Window) -> None:
        window.show(snapshot(1, 1))
        seen: list[int] = []
        snapshots = window.phone.snapshots()
        seen.append((await anext(snapshots)).version.sequence)
        for sequence in range(2, 6):
            window.show(snapshot(1, sequence))
        seen.append((await anext(snapshots)).version.sequence)
        waiting = asyncio.ensure_future(anext(snapshots))
        await asyncio.sleep(0)
        assert not waiting.done()
        window.show(snapshot(1, 6))
        seen.append((await waiting).version.sequence)
        assert seen == [1, 5, 6]

    run(story)


def test_before_the_first_state_there_is_nothing_to_show_and_nothing_breaks() -> None:
    async def story(window: Window) -> None:
        phone = window.phone
        assert (phone.snapshot, phone.calls, phone.windows) == (None, [], ())
        assert phone.version == (0, 0)
        assert phone.registration.state is RegistrationState.UNREGISTERED
        assert phone.role == "dummy"

    run(story)


def test_the_window_whose_instance_leads_is_the_real_phone() -> None:
    async def story(window: Window) -> None:
        roles: list[str] = []
        for epoch, leader in enumerate(("desk", "kiosk"), start=1):
            window.show(snapshot(epoch, 1, leader=leader))
            roles.append(window.phone.role)
        assert roles == ["real", "dummy"]

    run(story)


def test_a_call_knows_whether_its_sound_is_here() -> None:
    async def story(window: Window) -> None:
        window.show(snapshot(1, 1, a_call(media_host="desk"), a_call("c2", media_host="kiosk")))
        assert [call.is_here for call in window.phone.calls] == [True, False]

    run(story)


def test_calls_lists_only_those_that_are_not_over() -> None:
    async def story(window: Window) -> None:
        window.show(snapshot(1, 1, a_call(), a_call("c2")))
        window.show(snapshot(1, 2, a_call(**ENDED), a_call("c2")))
        assert [call.call_id for call in window.phone.calls] == ["c2"]

    run(story)


# -- verbs


@pytest.mark.parametrize(
    ("verb", "action"),
    [
        ("answer", Answer),
        ("decline", Decline),
        ("hangup", Hangup),
        ("hold", Hold),
        ("unhold", Unhold),
        ("mute", Mute),
        ("unmute", Unmute),
    ],
)
def test_each_verb_of_a_call_is_one_action(verb: str, action: type[Hold]) -> None:
    async def story(window: Window) -> None:
        window.show(snapshot(1, 1, a_call()))
        await getattr(window.phone.calls[0], verb)()
        assert window.agent.asked == [action(call_id="c1")]

    run(story)


def test_tones_are_one_action() -> None:
    async def story(window: Window) -> None:
        window.show(snapshot(1, 1, a_call()))
        await window.phone.calls[0].send_dtmf("12#")
        assert window.agent.asked == [SendDtmf(call_id="c1", tones="12#")]

    run(story)


@pytest.mark.parametrize("error", [ActionRefused("wrong_state", "no"), OutcomeUnknown("who knows")])
def test_what_the_leader_refuses_or_nobody_knows_is_raised_as_it_is(error: Exception) -> None:
    def fails(_action: object) -> Done:
        raise error

    async def story(window: Window) -> None:
        window.show(snapshot(1, 1, a_call()))
        window.agent.answer = fails
        with pytest.raises(type(error)) as raised:
            await window.phone.calls[0].hold()
        assert raised.value is error

    run(story)


def dialled(window: Window, *shown: Snapshot) -> None:
    """Let a dial be done, and show ``shown`` before its answer is read."""

    def answer(_action: object) -> Done:
        for each in shown:
            window.show(each)
        return Done(action_id="a", version=Version(1, 1), call_id="c1")

    window.agent.answer = answer


def test_call_returns_the_call_once_it_is_answered() -> None:
    async def story(window: Window) -> None:
        dialled(window, snapshot(1, 1, outbound()))
        calling = asyncio.ensure_future(window.phone.call("102", caller_id="103"))
        await asyncio.sleep(0)
        window.show(snapshot(1, 2, outbound(state="ringing")))
        await asyncio.sleep(0)
        assert not calling.done()
        window.show(snapshot(1, 3, outbound(state="answered", answered_at=1.0)))
        assert (await calling).state is CallState.ANSWERED
        assert window.agent.asked == [Dial(target="102", caller_id="103")]

    run(story)


def test_call_fails_with_the_far_ends_status() -> None:
    async def story(window: Window) -> None:
        dialled(window, snapshot(1, 1, outbound()))
        calling = asyncio.ensure_future(window.phone.call("102"))
        await asyncio.sleep(0)
        busy = outbound(state="failed", cause="rejected", status=486, reason="Busy Here")
        window.show(snapshot(1, 2, busy))
        with pytest.raises(CallFailed, match="486 Busy Here") as failed:
            await calling
        assert failed.value.status == 486

    run(story)


def test_a_call_that_failed_before_this_window_read_that_it_began_fails_with_its_status() -> None:
    async def story(window: Window) -> None:
        busy = outbound(state="failed", cause="rejected", status=486, reason="Busy Here")
        dialled(window, snapshot(1, 1, outbound()), snapshot(1, 2, busy))
        with pytest.raises(CallFailed, match="486"):
            await window.phone.call("102")

    run(story)


def test_call_says_that_a_call_was_lost() -> None:
    async def story(window: Window) -> None:
        dialled(window, snapshot(1, 1, outbound()))
        calling = asyncio.ensure_future(window.phone.call("102"))
        await asyncio.sleep(0)
        window.show(snapshot(2, 1, outbound(state="disposed", cause="lost", reason="the leader died")))
        with pytest.raises(CallLost, match="the leader died"):
            await calling

    run(story)


def test_a_call_that_the_next_leader_never_heard_of_is_lost() -> None:
    async def story(window: Window) -> None:
        window.show(snapshot(1, 1))
        dialled(window, snapshot(2, 1))
        with pytest.raises(CallLost):
            await window.phone.dial("102")

    run(story)


def test_a_call_that_was_answered_and_is_over_already_counts_as_answered() -> None:
    async def story(window: Window) -> None:
        dialled(window, snapshot(1, 1, outbound()))
        calling = asyncio.ensure_future(window.phone.call("102"))
        await asyncio.sleep(0)
        window.show(snapshot(1, 5, outbound(answered_at=1.0, **ENDED)))
        assert (await calling).cause is Cause.HUNG_UP_THERE

    run(story)


def test_ended_returns_why() -> None:
    async def story(window: Window) -> None:
        window.show(snapshot(1, 1, a_call()))
        ended = asyncio.ensure_future(window.phone.calls[0].ended())
        await asyncio.sleep(0)
        window.show(snapshot(1, 2, a_call(**ENDED)))
        assert await ended is Cause.HUNG_UP_THERE

    run(story)


def test_a_handler_that_was_taken_off_is_not_called_any_more() -> None:
    phone = Phone(FakeAgent())
    called: list[Call] = []
    phone.on("inbound_call", called.append)
    phone.off("inbound_call", called.append)
    phone.off("call_ended", called.append)
    phone.apply([CallAdded(a_call())])
    assert called == []


def test_a_conference_is_known_by_its_number_and_a_consultation_shows_its_caller_id() -> None:
    agent = FakeAgent(answer=lambda _: Done(action_id="a", version=Version(1, 1), call_id="c2"))
    phone = Phone(agent)
    held = a_call("c1", state="answered", held=True, remote_number="conf_1")
    phone.apply([CallAdded(held), CallAdded(a_call("c2", state="answered"))])
    assert [call.is_conference for call in phone.calls] == [True, False]
    asyncio.run(phone.calls[0].warm_transfer("102", caller_id="16505550100"))
    assert agent.asked == [Dial(target="102", caller_id="16505550100", transfer_of="c1")]
    agent.asked.clear()
    consultation = asyncio.run(phone.calls[0].warm_transfer(phone.calls[1]))
    asyncio.run(consultation.complete())
    assert agent.asked == [CompleteTransfer(call_id="c2", transfer_of="c1")]
