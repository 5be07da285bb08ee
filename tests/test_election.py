"""Who leads: every transition by itself."""

import pytest

from shared.election import Election, Follow, Look, Promote, Renew, StepDown, TellLeaderless, TryLease

from .election_world import LEASE_TIME, holder


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
