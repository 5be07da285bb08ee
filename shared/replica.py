"""[core] A window's copy of the group's state: the newest version wins, silence makes it stale.

From each pair of consecutive snapshots it derives what happened between them, so that every window sees
each call begin and end exactly once, however many snapshots it skipped (SUB CONFLATE keeps the newest).
Times are monotonic seconds.
"""

from dataclasses import dataclass

import msgspec

from .messages import Call, CallState, Cause, Direction, Snapshot, Version

NOTHING = Version(0, 0)
#: Ends of calls that are remembered: far more than one leader shows and the next one shows again.
_REMEMBER_OVER = 500


@dataclass(frozen=True, slots=True)
class CallAdded:
    """A call that this window did not know."""

    call: Call


@dataclass(frozen=True, slots=True)
class CallChanged:
    """Something of a known call changed."""

    before: Call
    call: Call


@dataclass(frozen=True, slots=True)
class CallMeasured:
    """Nothing but the quality of a known call's sound changed."""

    call: Call


@dataclass(frozen=True, slots=True)
class CallPressed:
    """The far end of a known call has pressed ``keys``."""

    call: Call
    keys: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A known call reached its end: ``call.cause`` says why."""

    call: Call


@dataclass(frozen=True, slots=True)
class LeaderChanged:
    """Another process leads since ``epoch``."""

    epoch: int
    leader: str


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """The group's registration changed; look at the snapshot."""


@dataclass(frozen=True, slots=True)
class StalenessChanged:
    """The state got old, or is current again."""

    is_stale: bool


Change = (
    CallAdded
    | CallChanged
    | CallMeasured
    | CallPressed
    | CallEnded
    | LeaderChanged
    | RegistrationChanged
    | StalenessChanged
)


class Replica:
    """The newest snapshot, and what changed on the way to it."""

    def __init__(self, *, now: float, stale_after: float) -> None:
        self.snapshot: Snapshot | None = None
        self.is_stale = True  # until the first snapshot
        self._stale_after = stale_after
        self._heard_at = now
        self._live: set[str] = set()  # the calls of which was told that they began
        self._over: dict[str, None] = {}  # and lately, that they ended

    @property
    def version(self) -> Version:
        """The version applied last; ``(0, 0)`` before the first."""
        return self.snapshot.version if self.snapshot else NOTHING

    def apply(self, snapshot: Snapshot, now: float) -> list[Change]:
        """Take ``snapshot`` if it is newer than what is known; return what that changed.

        The same version again is the leader's heartbeat. An older one is ignored altogether: it comes
        from a deposed leader, and must not keep the state looking fresh either.
        """
        known = self.version
        if snapshot.version < known:
            return []
        self._heard_at = now
        changes: list[Change] = []
        if self.is_stale:
            self.is_stale = False
            changes.append(StalenessChanged(False))
        if snapshot.version == known:
            return changes
        before, self.snapshot = self.snapshot, snapshot
        changes += self._compare(before, snapshot)
        return changes

    def tick(self, now: float) -> list[Change]:
        """Let time pass: the state gets stale when nobody repeats it."""
        if self.is_stale or now < self._heard_at + self._stale_after:
            return []
        self.is_stale = True
        return [StalenessChanged(True)]

    def next_deadline(self) -> float | None:
        """Return when to call :meth:`tick`, or None while the state is stale already."""
        return None if self.is_stale else self._heard_at + self._stale_after

    def _compare(self, before: Snapshot | None, after: Snapshot) -> list[Change]:
        changes: list[Change] = []
        if before is None or before.leader != after.leader or before.version.epoch != after.version.epoch:
            changes.append(LeaderChanged(after.version.epoch, after.leader))
        if before is None or before.registration != after.registration:
            changes.append(RegistrationChanged())
        if before is not None and before.calls is after.calls:
            return changes  # the very same objects: see SnapshotReader
        known = {call.call_id: call for call in before.calls} if before else {}
        for call in after.calls:
            changes.extend(self._compare_call(known.pop(call.call_id, None), call, joined=before is None))
        # A call that left the snapshot before its end was seen here: this window slept for longer than
        # ended calls are kept.
        gone = [call for call in known.values() if call.call_id in self._live]
        return [*changes, *(self._end(_vanished(call)) for call in gone)]

    def _compare_call(self, before: Call | None, call: Call, *, joined: bool) -> list[Change]:
        if before == call:
            return []
        is_over = call.call_id in self._over
        if before is None and is_over:
            return []  # shown again by a leader that has missed its end, which was told here
        if before is None or not (is_over or call.call_id in self._live):
            return self._compare_unknown(before, call, joined=joined)
        pressed = [] if is_over else _pressed(before.keys.count, call)
        if call.state.is_final and not is_over:
            return [CallChanged(before, call), *pressed, self._end(call)]
        if before.quality != call.quality and msgspec.structs.replace(before, quality=call.quality) == call:
            return [CallMeasured(call)]
        return [CallChanged(before, call), *pressed]

    def _compare_unknown(self, before: Call | None, call: Call, *, joined: bool) -> list[Change]:
        if call.state.is_final and (joined or before is not None):
            return []  # it was over when this window joined
        self._live.add(call.call_id)
        pressed = [] if joined else _pressed(0, call)
        if not call.state.is_final:
            return [CallAdded(call), *pressed]
        # Began and ended between two snapshots: a window sees both.
        return [CallAdded(_as_it_began(call)), *pressed, self._end(call)]

    def _end(self, call: Call) -> CallEnded:
        self._live.discard(call.call_id)
        self._over[call.call_id] = None
        if len(self._over) > _REMEMBER_OVER:
            del self._over[next(iter(self._over))]
        return CallEnded(call)


def _pressed(before: int, call: Call) -> list[Change]:
    keys = call.keys.since(before)
    return [CallPressed(call, keys)] if keys else []


def _vanished(call: Call) -> Call:
    return msgspec.structs.replace(call, state=CallState.DISPOSED, cause=Cause.LOST)


def _as_it_began(call: Call) -> Call:
    began = CallState.RINGING if call.direction is Direction.INBOUND else CallState.INIT
    return msgspec.structs.replace(call, state=began, cause=None, ended_at=None)
