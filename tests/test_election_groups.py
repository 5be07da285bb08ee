"""Who leads, in whole groups of a world of crashes, pauses and late news."""

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.election import Election, Follow, Look, TryLease

from .election_world import World, holder

KINDS = ["step", "step", "step", "tick", "act", "act", "hear", "hear-again", "wait"]
FAULTS = ["kill", "restart", "pause", "resume"]
STEPS = st.tuples(st.sampled_from(KINDS + FAULTS), st.integers(0, 9))


@settings(max_examples=300, deadline=None)
@given(st.integers(2, 4), st.lists(STEPS, max_size=150))
def test_whatever_happens_an_epoch_has_one_holder_who_acts_in_order_and_somebody_leads_in_the_end(
    size: int, steps: list[tuple[str, int]]
) -> None:
    world = World(size)
    for kind, number in steps:
        index = number % size
        match kind:
            case "step":
                world.step(index)
            case "tick":
                world.tick(index)
            case "act":
                world.act(index)
            case "hear":
                world.hear(number)
            case "hear-again":
                world.hear(number, again=True)
            case "wait":
                world.now += number * 0.06
            case "kill":
                world.kill(index)
            case "restart":
                world.restart(index)
            case "pause":
                world.nodes[index].paused = True
            case "resume":
                world.nodes[index].paused = False
    world.settle(2.0)

    assert world.acts == sorted(world.acts), "an effect of a deposed leader left after its successor's"
    leaders = [node for node in world.nodes if node.led]
    assert len(leaders) == 1
    assert leaders[0].led == world.newest()
    assert world.acts[-1] == world.newest()
    assert all(node.election.epoch == world.newest() for node in world.nodes)
    followed = [node.election.holder for node in world.nodes if not node.led]
    assert [seen.epoch for seen in followed if seen] == [world.newest()] * (size - 1)


def test_a_leader_that_slept_through_its_deadline_sends_nothing_more() -> None:
    world = World(2)
    world.settle(1.0)
    old = next(index for index, node in enumerate(world.nodes) if node.led)
    world.nodes[old].paused = True
    world.now += 1.0
    new = 1 - old
    for _ in range(4):
        world.tick(new)
        while world.step(new):
            pass
    world.act(new)
    world.nodes[old].paused = False
    sent = list(world.acts)
    world.act(old)
    assert world.acts == sent
    assert world.acts[-1] == world.nodes[new].led > 1
    world.settle(0.2)
    assert not world.nodes[old].led


def test_a_candidate_that_hears_late_of_a_death_looks_first_and_tries_if_nobody_has() -> None:
    election = Election(now=10.0)
    election.held(holder(1, deadline=11.0), 10.0)
    election.effects()

    election.died(1, 10.5, is_late=True)
    assert election.effects() == []
    election.tick(10.5)
    assert election.effects() == [Look()]
    election.vacant(1, 10.506)
    assert election.effects() == [TryLease(2)]


def test_a_candidate_that_hears_late_of_a_death_follows_whoever_was_faster() -> None:
    election = Election(now=10.0)
    election.held(holder(1, deadline=11.0), 10.0)
    election.died(1, 10.5, is_late=True)
    election.tick(10.5)
    election.effects()

    successor = holder(2, deadline=11.5)
    election.held(successor, 10.506)
    assert election.effects() == [Follow(successor)]
