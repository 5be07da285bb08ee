"""What became of each action: nothing is done twice, the next leader can tell, and memory is bounded."""

import tracemalloc

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


def test_the_last_ten_thousand_ids_are_remembered_and_not_more_than_twice_as_many() -> None:
    outcomes = Outcomes((), now=0.0)
    for number in range(30_001):
        outcomes.begin(f"{number}", 0.0)
    assert not outcomes.begin("20001", 0.0)
    assert len(outcomes) <= 20_000
    assert outcomes.begin("0", 0.0)


def test_an_id_is_remembered_for_ten_minutes_and_for_twenty_at_most() -> None:
    outcomes = Outcomes((), now=0.0)
    outcomes.begin("a", 0.0)
    outcomes.finish(done("a"), 599.0)
    outcomes.begin("b", 600.0)
    assert not outcomes.begin("a", 1198.9)
    outcomes.begin("c", 1200.0)
    assert outcomes.begin("a", 1200.0)


def test_what_became_of_an_action_is_told_again_for_ten_seconds_and_it_is_never_done_again() -> None:
    outcomes = Outcomes((), now=0.0)
    outcomes.begin("a", 0.0)
    outcomes.finish(done("a"), 9.9)
    outcomes.finish(done("b"), 10.0)
    assert outcomes.find("a") == done("a")
    outcomes.finish(done("c"), 20.0)
    assert outcomes.find("a") is None
    assert not outcomes.begin("a", 20.0)


def test_thousands_of_actions_take_less_than_200_bytes_each() -> None:
    outcomes = Outcomes((), now=0.0)
    tracemalloc.start()
    for number in range(5_000):
        outcomes.begin(f"action-{number}", number / 10)
        outcomes.finish(Outcome(action_id=f"action-{number}", call_id=f"call-{number}"), number / 10)
    held, _most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / 5_000 < 200
