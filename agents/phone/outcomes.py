"""[core] What became of each action: so that none is done twice, and the next leader can still tell."""

from shared.messages import Outcome

#: An id that was seen within so many seconds, or that is among the last so many, is not done again. At most
#: twice as many are remembered, each by its hash: a busy leader does a hundred actions a second.
_REMEMBER = 600.0
_REMEMBER_AT_LEAST = 10_000
#: What became of an action is told again for so many seconds at least, which is longer than windows wait.
_TELL = 10.0
#: Outcomes that travel in each snapshot.
_PUBLISHED = 16


class Outcomes:
    """The actions of the last minutes by their id. Times are seconds."""

    def __init__(self, seed: tuple[Outcome, ...], *, now: float) -> None:
        # Two generations of each: the younger one becomes the older one, and that is forgotten.
        self._ids, self._older_ids = {hash(outcome.action_id) for outcome in seed}, set[int]()
        self._told, self._told_before = {outcome.action_id: outcome for outcome in seed}, dict[str, Outcome]()
        self._ids_since = self._told_since = now
        self._recent: list[Outcome] = list(seed)

    def begin(self, action_id: str, now: float) -> bool:
        """Note that an action is being done. False: this id was seen before."""
        key = hash(action_id)
        if key in self._ids or key in self._older_ids:
            return False
        self._note(key, now)
        return True

    def find(self, action_id: str) -> Outcome | None:
        """Return what became of an action; None while it is under way, if it is unknown, or long past."""
        return self._told.get(action_id) or self._told_before.get(action_id)

    def finish(self, outcome: Outcome, now: float) -> None:
        """Note what became of an action."""
        self._note(hash(outcome.action_id), now)
        if now - self._told_since >= _TELL:
            self._told_before, self._told, self._told_since = self._told, {}, now
        self._told[outcome.action_id] = outcome
        self._recent = [*self._recent[1 - _PUBLISHED :], outcome]

    def recent(self) -> tuple[Outcome, ...]:
        """Return the last few, for the snapshot."""
        return tuple(self._recent)

    def __len__(self) -> int:
        return len(self._ids) + len(self._older_ids)

    def _note(self, key: int, now: float) -> None:
        if now - self._ids_since >= _REMEMBER or len(self._ids) >= _REMEMBER_AT_LEAST:
            self._older_ids, self._ids, self._ids_since = self._ids, set(), now
        self._ids.add(key)
