"""What became of each action: nothing is done twice, the next leader can tell, and memory is bounded."""

from agents.phone.outcomes import Outcomes
from shared.messages import Outcome


def done(action_id: str) -> Outcome:
    return Outcome(action_id=action_id)


def test_an_action_begins_once() -> None:
    outcomes = Outcomes((), now=0.0)
    assert outcomes.begin("a", 0.0)
    assert not outcomes.begin("a", 1.0)
    outcomes.finish(done("a"), 2.0)
    assert not outcomes.begin("a", 3.0)


def test_an_action_under_way_has_no_outcome_yet() -> None:
    outcomes = Outcomes((), now=0.0)
    outcomes.begin("a", 0.0)
    assert outcomes.find("a") is None
    outcomes.finish(done("a"), 1.0)
    assert outcomes.find("a") == done("a")


def test_what_the_leader_before_did_is_not_done_again() -> None:
    outcomes = Outcomes((done("a"),), now=0.0)
    assert outcomes.find("a") == done("a")
    assert not outcomes.begin("a", 0.0)
    assert outcomes.recent() == (done("a"),)


def test_the_last_16_travel_in_the_snapshot_the_oldest_first() -> None:
    outcomes = Outcomes(tuple(done(f"old{number}") for number in range(16)), now=0.0)
    for number in range(20):
        outcomes.finish(done(f"{number}"), float(number))
    assert [outcome.action_id for outcome in outcomes.recent()] == [f"{number}" for number in range(4, 20)]


def test_ten_thousand_ids_are_remembered_and_no_more() -> None:
    outcomes = Outcomes((), now=0.0)
    for number in range(10_001):
        outcomes.begin(f"{number}", 0.0)
    assert not outcomes.begin("1", 0.0)
    assert outcomes.begin("0", 0.0)
    assert len(outcomes._known) == 10_000


def test_an_id_is_remembered_for_ten_minutes() -> None:
    outcomes = Outcomes((), now=0.0)
    outcomes.begin("a", 0.0)
    outcomes.finish(done("a"), 1.0)
    outcomes.begin("b", 600.9)
    assert outcomes.find("a") is not None
    outcomes.begin("c", 601.0)
    assert outcomes.find("a") is None
