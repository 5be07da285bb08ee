"""A window's agent before leaders that a test plays: each action has one end, whatever becomes of them."""

import asyncio
from typing import Any

import pytest

from agents.bus import Publisher
from shared.errors import ActionRefused, OutcomeUnknown
from shared.messages import (
    Attach,
    Detach,
    Dial,
    Done,
    Outcome,
    Refused,
    Request,
    Resync,
    Unhold,
    Version,
    encode,
)
from tests.fakes import DESK, KIOSK, snapshot

from .window_scene import HOLD, Leader, Scene, perform, play


def test_an_action_returns_once_this_window_shows_its_effect() -> None:
    async def story(scene: Scene) -> None:
        leader = scene.lead(1)
        leader.publish(1)
        acting = perform(scene)
        request = await leader.wait(Request)
        assert (request.epoch, request.action) == (1, HOLD)
        leader.server.send(leader.peer, Done(action_id=request.action_id, version=Version(1, 2)))
        await scene.shows((1, 1))
        await asyncio.wait({acting}, timeout=0.05)
        assert not acting.done()
        leader.publish(2)
        assert (await acting).version == (1, 2)

    play(story)


def test_an_action_whose_end_the_leaders_state_tells_does_not_wait_for_the_reply() -> None:
    async def story(scene: Scene) -> None:
        leader = scene.lead(1)
        acting = perform(scene)
        request = await leader.wait(Request)
        leader.publish(2, outcomes=(Outcome(action_id=request.action_id, call_id="c1"),))
        assert await acting == Done(action_id=request.action_id, version=Version(1, 2), call_id="c1")

    play(story)


def test_a_refusal_is_raised_with_its_code_and_status() -> None:
    async def story(scene: Scene) -> None:
        leader = scene.lead(1)
        acting = perform(scene)
        request = await leader.wait(Request)
        refused = Refused(action_id=request.action_id, code="far_end", message="no", status=488)
        leader.server.send(leader.peer, refused)
        with pytest.raises(ActionRefused, match="no") as raised:
            await acting
        assert (raised.value.code, raised.value.status) == ("far_end", 488)

    play(story)


def test_an_action_without_a_leader_waits_for_one_and_is_sent_to_it() -> None:
    async def story(scene: Scene) -> None:
        acting = perform(scene)
        await asyncio.sleep(0)
        leader = scene.lead(4)
        leader.publish(1)
        assert (await leader.does_what_is_asked()).epoch == 4
        await acting

    play(story)


def test_an_action_that_no_leader_ever_got_is_refused_so_that_it_is_safe_to_ask_again() -> None:
    async def story(scene: Scene) -> None:
        with pytest.raises(ActionRefused, match="nothing was done") as refused:
            await perform(scene, 0.02)
        assert refused.value.code == "no_leader"
        scene.agent.follow(scene.holder(1))  # one that is dead already
        with pytest.raises(ActionRefused, match="nothing was done"):
            await perform(scene, 0.02)

    play(story)


def test_an_action_that_was_refused_for_want_of_a_leader_is_not_delivered_to_one_that_comes_then() -> None:
    async def story(scene: Scene) -> None:
        scene.agent.follow(scene.holder(1))
        with pytest.raises(ActionRefused):
            await scene.agent.perform(HOLD, 0.05)
        leader = Leader(scene.context, scene.holder(1))
        scene.leaders.append(leader)
        later = asyncio.ensure_future(scene.agent.perform(Unhold(call_id="c1"), 5.0))
        assert (await leader.wait(Request)).action == Unhold(call_id="c1")
        later.cancel()

    play(story)


def test_an_action_of_a_window_that_has_left_is_refused_at_once_and_says_why() -> None:
    async def story(scene: Scene) -> None:
        scene.agent.close()
        with pytest.raises(ActionRefused, match="has left the group"):
            await perform(scene, 60.0)

    play(story)


def test_an_action_that_a_leader_got_and_did_not_answer_in_time_is_unknown() -> None:
    async def story(scene: Scene) -> None:
        leader = scene.lead(1)
        await leader.wait(Attach)
        acting = perform(scene, 0.1)
        await leader.wait(Request)
        with pytest.raises(OutcomeUnknown):
            await acting

    play(story)


def test_an_action_that_a_dead_leader_got_is_never_sent_again_and_is_unknown() -> None:
    async def story(scene: Scene) -> None:
        first = scene.lead(1)
        acting = perform(scene)
        await first.wait(Request)
        second = scene.lead(2)
        await second.wait(Attach)
        second.publish(1)
        with pytest.raises(OutcomeUnknown, match="died"):
            await acting
        assert not [message for message in second.heard if isinstance(message, Request)]

    play(story)


@pytest.mark.parametrize("refused", [None, "wrong_state"])
def test_what_a_dead_leader_did_is_told_by_its_successor(refused: Any) -> None:
    async def story(scene: Scene) -> None:
        first = scene.lead(1)
        acting = perform(scene)
        request = await first.wait(Request)
        second = scene.lead(2)
        outcome = Outcome(action_id=request.action_id, refused=refused, call_id="c1")
        second.publish(1, outcomes=(outcome,))
        if refused:
            with pytest.raises(ActionRefused):
                await acting
        else:
            assert (await acting).call_id == "c1"

    play(story)


def test_an_action_that_was_acknowledged_is_done_although_its_leader_died_before_the_state_arrived() -> None:
    async def story(scene: Scene) -> None:
        first = scene.lead(1)
        first.publish(1)
        acting = perform(scene)
        request = await first.wait(Request)
        first.server.send(first.peer, Done(action_id=request.action_id, version=Version(1, 2), call_id="c1"))
        await scene.until(lambda: bool(scene.agent._pending._unseen))
        second = scene.lead(2)
        second.publish(1)
        assert (await acting).call_id == "c1"

    play(story)


def test_a_silent_leader_makes_the_state_stale_and_the_window_asks_for_it() -> None:
    async def story(scene: Scene) -> None:
        leader = scene.lead(1)
        leader.publish(1)
        await leader.wait(Resync)
        stale = [scene.agent.is_stale]
        leader.server.send(leader.peer, snapshot(1, 2))
        await scene.shows((1, 2))
        assert [*stale, scene.agent.is_stale] == [True, False]
        assert scene.changes.count("StalenessChanged") == 3

    play(story)


def test_a_window_says_goodbye_when_it_leaves_and_follows_nobody_any_more() -> None:
    async def story(scene: Scene) -> None:
        leader = scene.lead(1)
        await leader.wait(Attach)
        acting = perform(scene)
        await leader.wait(Request)
        scene.agent.close()
        with pytest.raises(OutcomeUnknown, match="left the group"):
            await acting
        assert (await leader.wait(Detach)).instance == "desk"
        scene.agent.follow(scene.holder(2))

    play(story)


# -- the heir, whom a window hears before it is told to follow


def test_the_heirs_first_state_is_shown_before_anybody_says_who_leads() -> None:
    async def story(scene: Scene) -> None:
        leader, heir = await scene.leader_and_heir()
        leader.die()
        heir.publish(1, leader="kiosk", windows=(KIOSK, DESK))
        await scene.shows((2, 1))
        assert heir.heard == []  # to follow it can wait
        attached = await heir.wait(Attach)  # and is done all the same
        assert attached.window == DESK

    play(story)


def test_a_line_that_breaks_is_told_unless_the_heir_speaks_up() -> None:
    async def story(scene: Scene) -> None:
        leader, heir = await scene.leader_and_heir()
        leader.die()
        heir.publish(1, leader="kiosk", windows=(KIOSK, DESK))
        await heir.wait(Attach)
        assert scene.lost == []
        heir.die()
        await scene.until(lambda: scene.lost == [2])

    play(story)


@pytest.mark.parametrize("is_asked_before", [True, False])
def test_an_action_that_the_dead_leader_never_got_goes_to_the_heir_that_has_spoken(
    is_asked_before: bool,
) -> None:
    async def story(scene: Scene) -> None:
        scene.agent.follow(scene.holder(1))  # nobody is there to take it
        heir = scene.prepare(2, "kiosk")
        ear = Publisher(scene.context, scene.holder(1).endpoints.state)
        ear.publish(encode(snapshot(1, 1, leader="l1", windows=(KIOSK, DESK))))
        await scene.shows((1, 1))
        await scene.until(lambda: heir.has_listeners)
        acting = perform(scene) if is_asked_before else None
        await asyncio.sleep(0)
        heir.publish(1, leader="kiosk", windows=(KIOSK, DESK))
        await scene.shows((2, 1))
        acting = acting or perform(scene)
        assert (await heir.does_what_is_asked()).epoch == 2
        assert (await acting).version == (2, 1)
        ear.close()

    play(story)


def test_an_heir_that_another_was_faster_than_is_followed_no_more() -> None:
    async def story(scene: Scene) -> None:
        _, heir = await scene.leader_and_heir()
        winner = scene.lead(3)
        heir.publish(1, leader="kiosk", windows=(KIOSK, DESK))
        winner.publish(1, leader="l3", windows=(KIOSK, DESK))
        await scene.shows((3, 1))
        acting = perform(scene)
        assert (await winner.does_what_is_asked()).epoch == 3
        assert (await acting).version == (3, 1)
        assert heir.heard == []

    play(story)


def test_what_its_caller_has_given_up_is_not_done_by_a_leader_that_comes_later() -> None:
    async def story(scene: Scene) -> None:
        scene.agent.follow(scene.holder(1))
        asking = asyncio.ensure_future(scene.agent.perform(HOLD))
        await asyncio.sleep(0)
        asking.cancel()
        leader = scene.prepare(1)
        await leader.wait(Attach)
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert [message for message in leader.heard if isinstance(message, Request)] == []

    play(story)


@pytest.mark.parametrize("target", [16505550123, "\udcff", None, ["101"]])
def test_an_action_that_cannot_be_sent_is_refused_at_once_and_leaves_nothing_behind(target: Any) -> None:
    async def story(scene: Scene) -> None:
        scene.agent.follow(scene.holder(1))
        with pytest.raises(ActionRefused, match="cannot be sent") as refusal:
            await scene.agent.perform(Dial(target=target), 1.0)
        assert refusal.value.code == "bad_request"
        leader = scene.lead(2)
        assert (await leader.wait(Attach)).epoch == 2

    play(story)
