"""[core] What became of each action: so that none is done twice, and the next leader can still tell.

A leader that does one action after the other would remember some megabytes. So most are kept as no more than
the id of the action and that of its call, which other parts have as well.
"""

from shared.messages import Outcome

#: An action whose id was seen within so many seconds, or is among the last so many, is not done again.
_REMEMBER = 600.0
_REMEMBER_AT_LEAST = 10_000
#: Outcomes that travel in each snapshot.
_PUBLISHED = 16

#: What is kept of an action: None while it is under way, the id of its call if that is all there is to tell.
_Kept = Outcome | str | None


class Outcomes:
    """The actions of the last ten minutes by their id. Times are seconds."""

    def __init__(self, seed: tuple[Outcome, ...], *, now: float) -> None:
        # Two generations: when the younger one is old or large enough, the older one is forgotten for it.
        self._known: dict[str, _Kept] = {outcome.action_id: _kept(outcome) for outcome in seed}
        self._older: dict[str, _Kept] = {}
        self._since = now
        self._recent: list[Outcome] = list(seed)

    def begin(self, action_id: str, now: float) -> bool:
        """Note that an action is being done. False: this id was seen before."""
        if action_id in self._known or action_id in self._older:
            return False
        self._keep(action_id, None, now)
        return True

    def find(self, action_id: str) -> Outcome | None:
        """Return what became of an action, None while it is under way or unknown."""
        known = self._known if action_id in self._known else self._older
        kept = known.get(action_id)
        return Outcome(action_id=action_id, call_id=kept) if isinstance(kept, str) else kept

    def finish(self, outcome: Outcome, now: float) -> None:
        """Note what became of an action."""
        self._keep(outcome.action_id, _kept(outcome), now)
        self._recent = [*self._recent[1 - _PUBLISHED :], outcome]

    def recent(self) -> tuple[Outcome, ...]:
        """Return the last few, for the snapshot."""
        return tuple(self._recent)

    def _keep(self, action_id: str, kept: _Kept, now: float) -> None:
        if now - self._since >= _REMEMBER or len(self._known) >= _REMEMBER_AT_LEAST:
            self._older, self._known, self._since = self._known, {}, now
        self._known[action_id] = kept


def _kept(outcome: Outcome) -> _Kept:
    plain = Outcome(action_id=outcome.action_id, call_id=outcome.call_id)
    return outcome.call_id if outcome == plain else outcome
