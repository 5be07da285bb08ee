"""What became of actions, next to a plain list: none is done twice, and the memory of it stays small."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.phone.outcomes import Outcomes
from shared.messages import Outcome, Parked
from tests.test_outcomes import kept

from . import explore

#: What :class:`Outcomes` promises: ids of ten minutes, 10,000 of them, and twice that at most; the last 16
#: outcomes are published.
_SECONDS, _AT_LEAST, _PUBLISHED = 600.0, 10_000, 16
#: What may become of an action, besides the call that it was about.
_ENDS: tuple[dict[str, Any], ...] = (
    {},
    {"refused": "wrong_state", "message": "the call is over"},
    {"value": Parked(location="801")},
)


@dataclass
class Deed:
    """An action that was begun."""

    action_id: str
    touched_at: float
    number: int  # of all that were begun or finished
    outcome: Outcome | None = None


class Memory(RuleBasedStateMachine):
    """Actions that begin, end, come again, and outlive their leader."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.count = 1000.0, 0
        self.outcomes = Outcomes((), now=self.now)
        self.deeds: dict[str, Deed] = {}
        self.finished: list[Outcome] = []

    @rule()
    def begin(self) -> None:
        """Begin an action that nobody has seen."""
        action_id = f"action-{self.count}"
        assert self.outcomes.begin(action_id, self.now)
        assert self.outcomes.find(action_id) is None
        self._touched(action_id)

    @rule(count=st.sampled_from((100, 4_000)))
    def begin_many(self, count: int) -> None:
        """Begin as many as a window that has gone mad does."""
        for _ in range(count):
            self.begin()

    @precondition(lambda self: self.deeds)
    @rule(data=st.data(), end=st.sampled_from(_ENDS))
    def finish(self, data: st.DataObject, end: dict[str, Any]) -> None:
        """End one that is under way."""
        open_ones = [deed for deed in self._remembered() if deed.outcome is None]
        if open_ones:
            deed = data.draw(st.sampled_from(open_ones[-20:]))
            deed.outcome = Outcome(action_id=deed.action_id, call_id=f"call-{self.count}", **end)
            self.outcomes.finish(deed.outcome, self.now)
            self.finished.append(deed.outcome)
            self._touched(deed.action_id)

    @precondition(lambda self: self.deeds)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        """Ask for one once more: it is not done again, and its outcome is known if there is one."""
        remembered = self._remembered()
        if remembered:
            deed = data.draw(st.sampled_from([*remembered[:5], *remembered[-20:]]))
            assert self.outcomes.find(deed.action_id) == deed.outcome
            assert not self.outcomes.begin(deed.action_id, self.now)

    @rule(seconds=st.sampled_from((0.1, 30.0, 400.0)))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule()
    def take_over(self) -> None:
        """Let another leader begin with what the snapshot tells."""
        told = self.outcomes.recent()
        self.outcomes = Outcomes(told, now=self.now)
        self.deeds = {}
        for outcome in told:
            self._touched(outcome.action_id)
            self.deeds[outcome.action_id].outcome = outcome

    @invariant()
    def the_last_ones_are_published(self) -> None:
        """The snapshot has the newest outcomes, in order."""
        assert list(self.outcomes.recent()) == self.finished[-_PUBLISHED:]

    @invariant()
    def the_memory_is_bounded(self) -> None:
        """However many actions there are."""
        assert kept(self.outcomes) <= 2 * _AT_LEAST + _PUBLISHED

    def _remembered(self) -> list[Deed]:
        """Return the actions that must be known, whatever else is: oldest first."""
        newest = sorted(self.deeds.values(), key=lambda deed: deed.number)[-_AT_LEAST:]
        return [deed for deed in newest if self.now - deed.touched_at < _SECONDS]

    def _touched(self, action_id: str) -> None:
        self.count += 1
        outcome = self.deeds[action_id].outcome if action_id in self.deeds else None
        self.deeds[action_id] = Deed(action_id, self.now, self.count, outcome)


def test_no_action_is_done_twice_within_ten_minutes_and_what_is_remembered_is_bounded() -> None:
    explore(Memory, examples=25, steps=40)
