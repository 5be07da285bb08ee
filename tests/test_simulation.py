"""The group in virtual time: no seed breaks a promise, and a seed is the same run each time.

A bug that is put into the product is found, whichever promise it breaks.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from unittest.mock import patch

import pytest

from agents.dummy import DummyAgent
from agents.phone.estate import Estate
from agents.phone.outcomes import Outcomes
from shared.election import Holder
from shared.messages import Snapshot
from shared.replica import Change, Replica

from .chaos.record import say
from .simulation.lease import RoomLease
from .simulation.run import simulate

#: In the ordinary tests; ``make chaos`` runs many more.
SEEDS = int(os.environ.get("SIMULATION_SEEDS", "2000"))


def what_breaks(seed: int) -> tuple[int, list[str]]:
    return seed, simulate(seed).broken


@pytest.mark.timeout(36000)
def test_no_seed_breaks_a_promise() -> None:
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processors:
        results = processors.map(what_breaks, range(SEEDS), chunksize=20)
        broken = {seed: lines for seed, lines in results if lines}
    say(f"{SEEDS} seeds, {len(broken)} broke a promise")
    assert broken == {}, f"again: python -m tests.simulation --seed {min(broken)}"


def test_a_seed_is_the_same_run_each_time() -> None:
    for seed in (3, 4):
        first, again = simulate(seed), simulate(seed)
        assert first.evidence.ledger == again.evidence.ledger
        assert first.evidence.traces == again.evidence.traces
        assert len(first.evidence.ledger) > 20


# -- bugs that must be found -------------------------------------------------------------------------------


@contextmanager
def a_leader_that_does_not_ask_the_lease() -> Iterator[None]:
    with patch.object(RoomLease, "is_held", lambda self, epoch: True):
        yield


@contextmanager
def a_leader_that_does_not_know_what_it_has_done() -> Iterator[None]:
    with patch.object(Outcomes, "begin", lambda *_: True), patch.object(Outcomes, "find", lambda *_: None):
        yield


@contextmanager
def a_window_that_takes_whatever_comes() -> Iterator[None]:
    apply = Replica.apply

    def gullible(self: Replica, snapshot: Snapshot, now: float) -> list[Change]:
        if self.snapshot is not None and snapshot.version < self.snapshot.version:
            self.snapshot = None
        return apply(self, snapshot, now)

    with patch.object(Replica, "apply", gullible):
        yield


@contextmanager
def a_window_that_asks_the_next_leader_again() -> Iterator[None]:
    follow = DummyAgent.follow

    def stubborn(self: DummyAgent, holder: Holder) -> None:
        for pending in self._pending:
            pending.epoch = 0
        follow(self, holder)

    with patch.object(DummyAgent, "follow", stubborn):
        yield


@contextmanager
def a_leader_that_leaves_nothing_behind() -> Iterator[None]:
    with patch("agents.real.office.decode_estate", lambda _frame: Estate(epoch=0)):
        yield


@pytest.mark.parametrize(
    ("bug", "promise"),
    [
        (a_leader_that_does_not_ask_the_lease, "P1"),
        (a_leader_that_does_not_know_what_it_has_done, "P2"),
        (a_window_that_asks_the_next_leader_again, "P2"),
        (a_window_that_takes_whatever_comes, "P3"),
        (a_leader_that_leaves_nothing_behind, "P5"),
    ],
)
def test_a_bug_is_found_within_a_few_hundred_seeds(bug: Callable[[], Iterator[None]], promise: str) -> None:
    for seed in range(400):
        result = simulate(seed, bug=bug)  # type: ignore[arg-type]
        if any(verdict.promise == promise and verdict.is_kept is False for verdict in result.verdicts):
            return
    pytest.fail(f"no seed shows that {promise} is broken")
