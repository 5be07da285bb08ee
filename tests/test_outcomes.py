"""What became of each action: nothing is done twice, the next leader can tell, and memory is bounded."""

import tracemalloc

import pytest

from agents.phone.outcomes import Outcomes
from shared.messages import Outcome, Parked


def done(action_id: str) -> Outcome:
    return Outcome(action_id=action_id)


def kept(outcomes: Outcomes) -> int:
    """Return how many ids are in memory."""
    return len(outcomes._known) + len(outcomes._older)


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


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(action_id="a", call_id="call"),
        Outcome(action_id="a"),
        Outcome(action_id="a", call_id="call", value=Parked(location="801")),
        Outcome(action_id="a", refused="far_end", message="603 Decline", status=603),
    ],
)
def test_an_action_that_is_asked_for_again_has_the_same_outcome(outcome: Outcome) -> None:
    outcomes = Outcomes((), now=0.0)
    outcomes.begin("a", 0.0)
    outcomes.finish(outcome, 1.0)
    assert outcomes.find("a") == outcome
    assert Outcomes(outcomes.recent(), now=2.0).find("a") == outcome


def test_the_last_ten_thousand_ids_are_remembered_and_twice_as_many_at_most() -> None:
    outcomes = Outcomes((), now=0.0)
    for number in range(30_001):
        outcomes.begin(f"{number}", 0.0)
        assert kept(outcomes) <= 20_000
    assert not outcomes.begin("20001", 0.0)
    assert outcomes.begin("0", 0.0)


def test_an_id_is_remembered_for_ten_minutes_and_for_twenty_at_most() -> None:
    outcomes = Outcomes((), now=0.0)
    outcomes.begin("a", 0.0)
    outcomes.finish(done("a"), 599.0)
    outcomes.begin("b", 600.0)
    outcomes.begin("c", 1199.9)
    assert outcomes.find("a") == done("a")
    outcomes.begin("d", 1200.0)
    assert outcomes.find("a") is None


def test_what_ends_after_ten_minutes_is_known_by_its_end() -> None:
    outcomes = Outcomes((), now=0.0)
    outcomes.begin("a", 0.0)
    outcomes.finish(done("a"), 601.0)
    assert outcomes.find("a") == done("a")


def test_an_action_takes_less_than_200_bytes_with_its_ids() -> None:
    outcomes = Outcomes((), now=0.0)
    tracemalloc.start()
    for number in range(5_000):
        action_id = f"0123456789ab{number:x}"
        outcomes.begin(action_id, number / 10)
        outcomes.finish(Outcome(action_id=action_id, call_id=f"{number:016x}"), number / 10)
    held, _most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / 5_000 < 200
