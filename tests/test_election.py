"""Who leads: every transition by itself, then whole groups in a world of crashes, pauses and late news."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.election import (
    Effect,
    Election,
    Endpoints,
    Follow,
    Holder,
    Look,
    Promote,
    Renew,
    StepDown,
    TellLeaderless,
    TryLease,
)

LEASE_TIME = 0.5


def holder(epoch: int, deadline: float = 100.5) -> Holder:
    return Holder(epoch, deadline, "other", 1, Endpoints("ipc:///state", "ipc:///actions", "ipc:///estate"))


def follower(epoch: int = 4, *, candidate: bool = True) -> Election:
    """Return one that follows the holder of ``epoch`` since 100.0."""
    election = Election(now=100.0, candidate=candidate, lease_time=LEASE_TIME)
    election.held(holder(epoch), 100.0)
    election.effects()
    return election


def leader(epoch: int = 4) -> Election:
    election = Election(now=100.0, lease_time=LEASE_TIME)
    election.granted(epoch, 100.0)
    election.effects()
    return election


def test_a_process_that_joins_looks_first() -> None:
    assert Election(now=100.0).effects() == [Look()]


def test_a_vacant_lease_is_tried_with_the_next_epoch() -> None:
    election = Election(now=100.0)
    election.effects()
    election.vacant(7, 100.0)
    assert election.effects() == [TryLease(8)]


def test_who_does_not_want_to_lead_only_looks_again() -> None:
    election = Election(now=100.0, candidate=False)
    election.effects()
    election.vacant(0, 100.0)
    assert election.effects() == []
    election.tick(100.1)
    assert election.effects() == [Look()]


def test_who_may_not_lead_says_once_that_nobody_does_and_then_looks_less_often() -> None:
    election = Election(now=100.0, candidate=False)
    election.effects()
    for at in (100.0, 101.9):
        election.vacant(3, at)
        assert election.effects() == []
    election.vacant(3, 102.0)
    assert election.effects() == [TellLeaderless()]
    election.vacant(3, 102.1)
    assert election.effects() == []
    assert election.next_deadline() == 102.1 + 0.1


def test_a_group_that_had_a_leader_again_is_told_to_have_none_again_only_after_the_same_time() -> None:
    election = Election(now=100.0, candidate=False)
    election.vacant(3, 100.0)
    election.vacant(3, 102.0)
    election.held(holder(4, deadline=103.0), 102.5)
    election.held(holder(4, deadline=103.0), 103.0)  # it hangs: that is as if nobody led
    election.vacant(4, 104.9)
    assert election.effects() == [Look(), TellLeaderless(), Follow(holder(4, deadline=103.0))]
    election.vacant(4, 105.0)
    assert election.effects() == [TellLeaderless()]


def test_a_holder_is_followed_once_however_often_it_is_seen() -> None:
    election = Election(now=100.0)
    election.effects()
    election.held(holder(4), 100.0)
    assert election.effects() == [Follow(holder(4))]
    election.held(holder(4, deadline=101.0), 100.4)
    assert election.effects() == []
    assert election.next_deadline() == 101.0


def test_a_holder_that_renews_is_left_alone_and_one_that_does_not_is_passed_over() -> None:
    election = follower()
    election.tick(100.4)
    assert election.effects() == []
    election.tick(100.5)
    assert election.effects() == [Look()]
    election.held(holder(4, deadline=100.9), 100.5)
    assert election.effects() == []
    election.tick(100.9)
    election.effects()
    election.held(holder(4, deadline=100.9), 100.9)
    assert election.effects() == [TryLease(5)]


def test_who_does_not_want_to_lead_does_not_pass_a_holder_over() -> None:
    election = follower(candidate=False)
    election.held(holder(4, deadline=100.5), 100.6)
    assert election.effects() == []


def test_the_holders_death_is_an_invitation() -> None:
    election = follower(4)
    election.died(4, 100.1)
    assert election.effects() == [TryLease(5)]


def test_who_is_not_the_heir_looks_first_and_lets_others_go_before_it() -> None:
    election = follower(4)
    election.patience = 0.04
    election.died(4, 100.1, is_late=True)
    election.tick(100.1)
    assert election.effects() == [Look()]
    election.vacant(4, 100.1)
    assert election.effects() == []
    assert election.next_deadline() == pytest.approx(100.14)
    election.tick(100.14)
    assert election.effects() == [Look()]
    election.vacant(4, 100.14)
    assert election.effects() == [TryLease(5)]


def test_a_line_that_broke_while_the_holder_lives_changes_nothing() -> None:
    election = follower(4)
    election.died(4, 100.1, is_late=True)
    election.tick(100.1)
    election.effects()
    election.held(holder(4), 100.1)
    assert election.effects() == []
    assert election.next_deadline() == 100.5


def test_a_holder_that_hangs_is_passed_over_by_the_heir_first() -> None:
    election = follower(4)
    election.patience = 0.04
    election.held(holder(4, deadline=100.5), 100.51)
    assert election.effects() == []
    election.held(holder(4, deadline=100.5), 100.535)
    assert election.effects() == []
    assert election.next_deadline() == pytest.approx(100.54)
    election.held(holder(4, deadline=100.5), 100.55)
    assert election.effects() == [TryLease(5)]


def test_whoever_lets_others_take_over_first_follows_them_as_soon_as_they_lead() -> None:
    election = follower(4)
    election.patience = 0.2
    election.held(holder(4, deadline=100.5), 100.1)
    now = 100.5
    for _ in range(3):  # it looks at the deadline, and again and again from then on
        assert election.next_deadline() == pytest.approx(now)
        election.tick(now)
        assert election.effects() == [Look()]
        election.held(holder(4, deadline=100.5), now)
        assert election.effects() == []
        now += 0.02
    successor = holder(5, deadline=101.0)
    election.held(successor, now)
    assert election.effects() == [Follow(successor)]


def test_a_holder_that_is_about_to_leave_is_looked_for_until_it_has_let_go() -> None:
    election = follower(4)
    election.patience = 0.04
    election.leaving(4, 100.1)
    for now in (100.1, 100.12):
        assert election.next_deadline() == pytest.approx(now)
        election.tick(now)
        assert election.effects() == [Look()]
        election.held(holder(4), now)
        assert election.effects() == []
    election.vacant(4, 100.14)
    assert election.effects() == []  # the heir first
    election.vacant(4, 100.18)
    assert election.effects() == [TryLease(5)]


@pytest.mark.parametrize(
    "election",
    [follower(4, candidate=False), follower(5), leader(4)],
    ids=["may not", "knows better", "leads"],
)
def test_who_may_not_lead_or_knows_better_does_not_look_for_a_holder_that_leaves(election: Election) -> None:
    before = election.next_deadline()
    election.leaving(4, 100.1)
    assert election.next_deadline() == before


def test_a_leader_that_slept_lets_those_go_first_who_heard_of_the_term_in_between() -> None:
    election = leader(4)
    election.patience = 0.2
    election.lost()
    election.effects()
    election.vacant(5, 103.0)
    assert election.effects() == []
    election.held(holder(6, deadline=103.6), 103.1)
    assert election.effects() == [Follow(holder(6, deadline=103.6))]
    election.patience = 0.0
    election.died(6, 103.2)
    assert election.effects() == [TryLease(7)]


def test_the_death_of_an_earlier_holder_is_old_news() -> None:
    election = follower(4)
    election.died(3, 100.1)
    election.died(5, 100.1)
    assert election.effects() == []


def test_an_older_holder_is_no_news() -> None:
    election = follower(4)
    election.held(holder(3), 100.1)
    assert election.effects() == []
    assert election.epoch == 4


def test_a_granted_lease_promotes_and_is_renewed_three_times_in_its_life() -> None:
    election = Election(now=100.0, lease_time=0.6)
    election.effects()
    election.granted(1, 100.0)
    assert election.effects() == [Promote(1)]
    election.tick(100.1)
    assert election.effects() == []
    election.tick(election.next_deadline() or 0.0)
    [renewal] = election.effects()
    assert isinstance(renewal, Renew)
    assert renewal.deadline == pytest.approx(100.8)
    assert election.next_deadline() == pytest.approx(100.4)


@pytest.mark.parametrize("epoch", [3, 4])
def test_a_lease_of_an_epoch_that_is_not_higher_is_a_bug_and_raises(epoch: int) -> None:
    with pytest.raises(ValueError, match="not above 4"):
        follower(4).granted(epoch, 100.1)


def test_a_leader_that_lost_its_lease_steps_down_once_and_looks() -> None:
    election = leader()
    election.lost()
    assert election.effects() == [StepDown(4), Look()]
    assert not election.is_leader
    election.lost()
    assert election.effects() == []


def test_a_leader_steps_down_when_it_sees_a_later_holder_and_follows_it() -> None:
    election = leader()
    election.held(holder(6), 100.2)
    assert election.effects() == [StepDown(4), Follow(holder(6))]
    assert election.epoch == 6


def test_a_process_that_leaves_takes_no_further_epoch_whoever_lets_go_of_one() -> None:
    election = leader(1)
    election.retire()
    election.lost()
    assert election.effects() == [StepDown(1), Look()]
    election.vacant(2, 101.0)  # its successor has left, too
    assert election.effects() == []
    election.died(2, 101.1)
    assert election.effects() == []


def test_a_leader_does_not_follow_itself_nor_mourn_itself() -> None:
    election = leader()
    election.held(holder(4), 100.1)
    election.died(4, 100.1)
    assert election.effects() == []
    assert election.is_leader


def test_a_leader_that_sees_no_holder_at_all_steps_down() -> None:
    election = leader()
    election.vacant(4, 100.1)
    assert election.effects() == [StepDown(4), TryLease(5)]


# -- a whole group


@dataclass
class File:
    """One epoch's lease file: the kernel's lock is open once its process died or let go."""

    node: int
    deadline: float
    locked: bool = True


@dataclass
class Node:
    election: Election
    effects: list[Effect] = field(default_factory=list)
    own: int = 0  # the epoch whose lock it holds
    paused: bool = False
    alive: bool = True
    led: int = 0  # epoch of the real phone that runs in it


class World:
    """Processes, one lease kept by one kernel, and news that comes late, twice, or in another order."""

    def __init__(self, size: int) -> None:
        self.now = 100.0
        self.files: dict[int, File] = {}
        self.granted: dict[int, int] = {}  # epoch -> node
        self.news: list[tuple[int, int]] = []  # (node, epoch whose lock opened)
        self.watched: dict[int, set[int]] = {}
        self.acts: list[int] = []  # epochs of effects that left, in order
        self.nodes = [self._new() for _ in range(size)]

    def _new(self) -> Node:
        return Node(Election(now=self.now, lease_time=LEASE_TIME))

    def newest(self) -> int:
        return max(self.files, default=0)

    def is_held(self, node: Node) -> bool:
        return bool(node.own) and node.own + 1 not in self.files and node.own in self.files

    def open_lock(self, epoch: int) -> None:
        if epoch in self.files:
            self.files[epoch].locked = False
        self.news += [(index, epoch) for index in self.watched.pop(epoch, ())]

    # -- faults

    def kill(self, index: int) -> None:
        node = self.nodes[index]
        node.alive = False
        if node.own:
            self.open_lock(node.own)
        for watchers in self.watched.values():
            watchers.discard(index)
        self.news = [entry for entry in self.news if entry[0] != index]

    def restart(self, index: int) -> None:
        if not self.nodes[index].alive:
            self.nodes[index] = self._new()

    # -- what processes do, one step at a time, so that a pause can come between any two

    def tick(self, index: int) -> None:
        node = self.nodes[index]
        if node.alive and not node.paused:
            node.election.tick(self.now)

    def act(self, index: int) -> None:
        """Let the real phone of this process, if it has one, send something: it asks the lease first."""
        node = self.nodes[index]
        if node.alive and not node.paused and node.led:
            if self.is_held(node):
                self.acts.append(node.led)
            else:
                node.election.lost()

    def hear(self, at: int, *, again: bool = False) -> None:
        if self.news:
            index, epoch = self.news[at % len(self.news)]
            node = self.nodes[index]
            if node.alive and not node.paused:
                if not again:
                    del self.news[at % len(self.news)]
                before = node.election.epoch
                node.election.died(epoch, self.now)
                assert node.election.epoch >= before

    def step(self, index: int) -> bool:
        """Let a process do the next thing that its election asks for."""
        node = self.nodes[index]
        if not node.alive or node.paused:
            return False
        node.effects += node.election.effects()
        if not node.effects:
            return False
        before = node.election.epoch
        self._do(index, node, node.effects.pop(0))
        assert node.election.epoch >= before
        return True

    def _do(self, index: int, node: Node, effect: Effect) -> None:
        match effect:
            case Look():
                self._look(node)
            case TryLease(epoch):
                self._try(index, node, epoch)
            case Follow(seen):
                file = self.files.get(seen.epoch)
                if file is not None and file.locked:
                    self.watched.setdefault(seen.epoch, set()).add(index)
                else:
                    self.news.append((index, seen.epoch))
            case Promote(epoch):
                assert not node.led, "two real phones in one process"
                node.led = epoch
            case Renew(deadline):
                if self.is_held(node):
                    self.files[node.own].deadline = deadline
                else:
                    node.election.lost()
            case StepDown():
                node.led = 0
                self.open_lock(node.own)
                node.own = 0

    def _look(self, node: Node) -> None:
        epoch = self.newest()
        file = self.files.get(epoch)
        if file is None or not file.locked:
            node.election.vacant(epoch, self.now)
        else:
            node.election.held(Holder(epoch, file.deadline, "x", 1, Endpoints("", "", "")), self.now)

    def _try(self, index: int, node: Node, epoch: int) -> None:
        if epoch in self.files or self.newest() > epoch or node.own:
            self._look(node)
            return
        assert epoch not in self.granted, "an epoch was held twice"
        self.granted[epoch] = index
        for old in [old for old in self.files if old < epoch]:
            del self.files[old]
        self.files[epoch] = File(index, self.now + LEASE_TIME)
        node.own = epoch
        node.election.granted(epoch, self.now)

    def settle(self, seconds: float) -> None:
        """Let everybody live undisturbed."""
        for index, node in enumerate(self.nodes):
            node.paused = False
            self.restart(index)
        end = self.now + seconds
        while self.now < end:
            self.now += 0.02
            for index in range(len(self.nodes)):
                self.tick(index)
                self.act(index)
            while self.news:
                self.hear(0)
            while sum(self.step(index) for index in range(len(self.nodes))):
                pass


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
