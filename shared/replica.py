"""[core] A window's copy of the group's state: the newest version wins, silence makes it stale.

From each pair of consecutive snapshots it derives what happened between them, so that every window sees
each call begin and end exactly once, however many snapshots it skipped (SUB CONFLATE keeps the newest).
Times are monotonic seconds.
"""

from dataclasses import dataclass

import msgspec

from .messages import Call, CallState, Cause, Direction, Snapshot, Version

NOTHING = Version(0, 0)


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
        gone = (call for call in known.values() if not call.state.is_final)
        return [*changes, *(CallEnded(_vanished(call)) for call in gone)]

    @staticmethod
    def _compare_call(before: Call | None, call: Call, *, joined: bool) -> list[Change]:
        if before == call:
            return []
        if before is None:
            if not call.state.is_final:
                return [CallAdded(call)]
            # Began and ended between two snapshots: a window sees both; one that just joined sees neither.
            return [] if joined else [CallAdded(_as_it_began(call)), CallEnded(call)]
        if call.state.is_final and not before.state.is_final:
            return [CallChanged(before, call), CallEnded(call)]
        if before.quality != call.quality and msgspec.structs.replace(before, quality=call.quality) == call:
            return [CallMeasured(call)]
        return [CallChanged(before, call)]


def _vanished(call: Call) -> Call:
    return msgspec.structs.replace(call, state=CallState.DISPOSED, cause=Cause.LOST)


def _as_it_began(call: Call) -> Call:
    began = CallState.RINGING if call.direction is Direction.INBOUND else CallState.INIT
    return msgspec.structs.replace(call, state=began, cause=None, ended_at=None)
