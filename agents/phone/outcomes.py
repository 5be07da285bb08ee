"""[core] What became of each action: so that none is done twice, and the next leader can still tell."""

from collections import OrderedDict

from shared.messages import Outcome

#: Bounds of the memory: an id older or further back than that may be done again, if anybody asked again.
_REMEMBER = 600.0
_REMEMBER_MOST = 10_000
#: Outcomes that travel in each snapshot.
_PUBLISHED = 16


class Outcomes:
    """The actions of the last ten minutes by their id. Times are seconds."""

    def __init__(self, seed: tuple[Outcome, ...], *, now: float) -> None:
        self._known: OrderedDict[str, tuple[float, Outcome | None]] = OrderedDict()
        self._recent: list[Outcome] = list(seed)
        for outcome in seed:
            self._known[outcome.action_id] = (now, outcome)

    def begin(self, action_id: str, now: float) -> bool:
        """Note that an action is being done. False: this id was seen before."""
        if action_id in self._known:
            return False
        self._known[action_id] = (now, None)
        self._forget(now)
        return True

    def find(self, action_id: str) -> Outcome | None:
        """Return what became of an action, None while it is under way or unknown."""
        return self._known.get(action_id, (0.0, None))[1]

    def finish(self, outcome: Outcome, now: float) -> None:
        """Note what became of an action."""
        self._known[outcome.action_id] = (now, outcome)
        self._known.move_to_end(outcome.action_id)
        self._recent = [*self._recent[1 - _PUBLISHED :], outcome]

    def recent(self) -> tuple[Outcome, ...]:
        """Return the last few, for the snapshot."""
        return tuple(self._recent)

    def _forget(self, now: float) -> None:
        while self._known:
            seen_at, _ = next(iter(self._known.values()))
            if len(self._known) <= _REMEMBER_MOST and now - seen_at < _REMEMBER:
                return
            self._known.popitem(last=False)
