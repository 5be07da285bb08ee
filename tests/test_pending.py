"""The actions that wait for their answer: one each, whatever becomes of leaders."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from agents.dummy.pending import PendingActions
from shared.errors import ActionRefused, OutcomeUnknown
from shared.messages import Done, Flipped, Hangup, Outcome, Refused, Snapshot, Version
from shared.trace import Trace

ACTION = Hangup(call_id="c1")


def play(story: Callable[[PendingActions], Coroutine[Any, Any, None]], *, can_withdraw: bool = False) -> None:
    async def main() -> None:
        await story(PendingActions(Trace(None, "desk"), lambda _action_id: can_withdraw))

    asyncio.run(main())


def done(action_id: str, sequence: int) -> Done:
    return Done(action_id=action_id, version=Version(1, sequence), call_id="c1")


def state(epoch: int, sequence: int, *outcomes: Outcome) -> Snapshot:
    return Snapshot(version=Version(epoch, sequence), group="front", leader="l", outcomes=outcomes)


def test_whoever_waits_hears_of_it_when_the_window_shows_the_effect_and_not_before() -> None:
    async def story(actions: PendingActions) -> None:
        pending = actions.begin(ACTION, 10.0)
        actions.done(done(pending.action_id, 5), shown=Version(1, 3))
        actions.show(state(1, 4))
        assert not pending.reply.done()
        actions.show(state(1, 5))
        assert (await actions.answer(pending)).call_id == "c1"
        assert not actions

    play(story)


def test_two_actions_that_are_done_at_different_versions_are_told_one_after_the_other() -> None:
    async def story(actions: PendingActions) -> None:
        first, second = actions.begin(ACTION, 10.0), actions.begin(ACTION, 10.0)
        actions.done(done(second.action_id, 2), shown=Version(1, 0))
        actions.done(done(first.action_id, 1), shown=Version(1, 0))
        actions.show(state(1, 1))
        assert (first.reply.done(), second.reply.done()) == (True, False)
        actions.show(state(1, 2))
        assert second.reply.done()

    play(story)


def test_a_state_that_tells_the_end_of_an_action_is_its_answer_and_a_later_reply_is_nothing() -> None:
    async def story(actions: PendingActions) -> None:
        flip, park, other = (actions.begin(ACTION, 10.0) for _ in range(3))
        flipped = Outcome(action_id=flip.action_id, call_id="c1", value=Flipped(number="+16505550100"))
        refused = Outcome(action_id=park.action_id, refused="far_end", message="it said no", status=486)
        actions.show(state(1, 4, flipped, refused))
        actions.refused(Refused(action_id=flip.action_id, code="wrong_state", message="no"))
        assert await actions.answer(flip) == Done(
            action_id=flip.action_id, version=Version(1, 4), call_id="c1", value=flipped.value
        )
        with pytest.raises(ActionRefused, match="it said no") as refusal:
            await actions.answer(park)
        assert (refusal.value.code, refusal.value.status) == ("far_end", 486)
        assert not other.reply.done()

    play(story)


def test_an_answer_that_nobody_waits_for_any_more_is_nothing() -> None:
    async def story(actions: PendingActions) -> None:
        actions.done(done("long-ago", 1), shown=Version(1, 1))
        actions.refused(Refused(action_id="long-ago", code="wrong_state", message="no"))
        assert not actions

    play(story)


@pytest.mark.parametrize(
    ("sent_to", "outcome", "error"),
    [
        (1, "done", None),
        (1, "refused", ActionRefused),
        (1, "", OutcomeUnknown),
        (0, "", TimeoutError),  # nobody has it: it still waits for a leader
        (2, "", TimeoutError),  # the new leader has it, and will answer itself
    ],
)
def test_a_new_leaders_state_settles_what_the_one_before_was_asked(
    sent_to: int, outcome: str, error: type[Exception] | None
) -> None:
    async def story(actions: PendingActions) -> None:
        pending = actions.begin(ACTION, 10.0)
        pending.epoch = sent_to
        refused: Any = "wrong_state" if outcome == "refused" else None
        known = Outcome(action_id=pending.action_id, call_id="c1", refused=refused)
        actions.show(state(2, 1, *([known] if outcome else [])))
        actions.leader_changed(2)
        if error is TimeoutError:
            assert not pending.reply.done()
        elif error is None:
            assert (await actions.answer(pending)).version == Version(2, 1)
        else:
            with pytest.raises(error):
                await actions.answer(pending)

    play(story)


@pytest.mark.parametrize(
    ("epoch", "can_withdraw", "error"),
    [(0, False, ActionRefused), (1, True, ActionRefused), (1, False, OutcomeUnknown)],
    ids=["never-addressed", "taken-back", "sent"],
)
def test_at_its_deadline_an_action_ends_by_what_is_known_of_it(
    epoch: int, can_withdraw: bool, error: type[Exception]
) -> None:
    async def story(actions: PendingActions) -> None:
        pending = actions.begin(ACTION, 0.0)
        pending.epoch = epoch
        with pytest.raises(error):
            await actions.answer(pending)

    play(story, can_withdraw=can_withdraw)


def test_an_action_that_is_done_is_done_at_its_deadline_although_the_state_is_late() -> None:
    async def story(actions: PendingActions) -> None:
        pending = actions.begin(ACTION, 0.0)
        actions.done(done(pending.action_id, 9), shown=Version(1, 1))
        assert (await actions.answer(pending)).version == Version(1, 9)

    play(story)


def test_a_deadline_that_is_earlier_than_all_others_is_not_missed() -> None:
    async def story(actions: PendingActions) -> None:
        late = actions.begin(ACTION, 3600.0)
        early = actions.begin(ACTION, 0.0)
        with pytest.raises(ActionRefused):
            await actions.answer(early)
        assert not late.reply.done()
        actions.close(OutcomeUnknown("left"))
        with pytest.raises(OutcomeUnknown, match="left"):
            await actions.answer(late)

    play(story)
