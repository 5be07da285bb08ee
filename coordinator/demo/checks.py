"""What counts as observed: from what windows showed and the ledger says; None until it is so.

Times are CLOCK_BOOTTIME seconds. Nothing here waits, reads a file or asks a process.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agents.pbx.ledger import Entry
from shared.errors import SharedlineError
from shared.messages import Call, CallState, Cause, Direction

from .view import View

#: Calls that cannot go on must be shown as lost by then.
LOST_WITHIN = 2.0

Times = dict[int, float]
"""When each window, by its number, showed something."""


class NotObserved(SharedlineError):
    """What should have been seen was not; the text says what."""


def everywhere(views: Sequence[View], when: Callable[[View], float | None]) -> Times | None:
    """Return ``when`` for every window, or None while one of them has none."""
    times = {view.number: when(view) for view in views}
    seen = {number: at for number, at in times.items() if at is not None}
    return seen if times and len(seen) == len(times) else None


def shown(
    views: Sequence[View], call_id: str, condition: Callable[[Call], bool], *, after: float = 0.0
) -> Times | None:
    """Return when each window first showed the call so that ``condition`` holds."""
    return everywhere(
        views,
        lambda view: view.calls[call_id].when(condition, after=after) if call_id in view.calls else None,
    )


def new_call(views: Sequence[View], direction: Direction, *, since: float) -> str | None:
    """Return the id of the one call that began after ``since`` and that every window shows.

    Raises:
        NotObserved: Windows show different calls.
    """
    shown_by = [
        {
            call_id
            for call_id, call in view.calls.items()
            if call.history[0][0] >= since and call.now.direction is direction
        }
        for view in views
    ]
    if not shown_by or not all(shown_by):
        return None
    if any(calls != shown_by[0] for calls in shown_by) or len(shown_by[0]) != 1:
        raise NotObserved(f"windows show different calls: {shown_by}")
    return next(iter(shown_by[0]))


def leader(views: Sequence[View], *, epoch: int) -> View | None:
    """Return the window that leads, once all agree on it and are registered on ``epoch`` or a later one."""
    leads = [view for view in views if view.leads]
    agreed = all(view.leader == views[0].leader and view.version.epoch >= epoch for view in views)
    is_registered = all(view.registration.state == "registered" for view in views)
    return leads[0] if agreed and is_registered and len(leads) == 1 else None


def converged(views: Sequence[View], *, epoch: int) -> float | None:
    """Return when the last window came to the same version, calls and members as all others."""
    if not views or any(view.is_stale or view.version.epoch < epoch for view in views):
        return None
    first = views[0]
    same = all(
        (view.version, view.leader, view.states, view.windows)
        == (first.version, first.leader, first.states, first.windows)
        for view in views
    )
    members = {view.instance for view in views}
    return max(view.version_at for view in views) if same and first.windows == members else None


# -- the ledger ------------------------------------------------------------------------------------------


def entry(entries: Sequence[Entry], event: str, *, after: float = 0.0, **facts: object) -> Entry | None:
    """Return the first entry of this kind at ``after`` or later whose fields are ``facts``."""
    return next(
        (
            found
            for found in entries
            if found.event == event
            and found.boottime >= after
            and all(getattr(found, name) == value for name, value in facts.items())
        ),
        None,
    )


@dataclass(frozen=True, slots=True)
class Effects:
    """What reached the service, counted."""

    rung: int  # calls that came to our extension
    dialled: int  # calls that it made
    answered: int
    registrations: int
    instance_ids: int
    most_bindings: int


def effects(entries: Sequence[Entry], extension: str) -> Effects:
    """Count the effects of a whole story.

    Raises:
        NotObserved: Something took effect twice, or there was a second binding.
    """
    started = [found for found in entries if found.event == "CALL_STARTED"]
    answers = Counter(found.call for found in entries if found.event == "CALL_ANSWERED")
    rung = Counter(
        found.call
        for found in entries
        if found.event == "INVITE" and found.direction == "out" and found.kind == "initial"
    )
    counted = Effects(
        rung=sum(rung.values()),
        dialled=sum(1 for found in started if found.number != extension),
        answered=sum(answers.values()),
        registrations=sum(1 for found in entries if found.event == "REGISTER" and found.status == 200),
        instance_ids=len({found.instance_id for found in entries if found.event == "REGISTER"}),
        most_bindings=max(
            (found.bindings or 0 for found in entries if found.extension == extension), default=0
        ),
    )
    _once("rang more than once at the same phone", rung)
    _once("was answered more than once", answers)
    if counted.most_bindings > 1:
        raise NotObserved(f"there were {counted.most_bindings} bindings at a time")
    if counted.instance_ids > 1:
        raise NotObserved(f"registered as {counted.instance_ids} instances instead of one")
    return counted


def _once(what: str, counts: Mapping[str | None, int]) -> None:
    if twice := [call for call, count in counts.items() if count > 1]:
        raise NotObserved(f"call {twice[0]} {what}")


# -- the calls of a dead leader --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a call whose leader was killed. ``times``: when each window showed that, if lost."""

    kind: Literal["kept", "lost"]
    times: Times


def fate(views: Sequence[View], call_id: str, *, killed_at: float, now: float) -> Fate | None:
    """Return what became of a call once it is sure: lost in every window in time, or in none.

    A call that is kept must still be heard: that is for the recordings to show.

    Raises:
        NotObserved: Windows differ, it ended otherwise, or too late.
    """
    ended = {view.number: view.calls[call_id].when(is_over, after=killed_at) for view in views}
    times = {number: at for number, at in ended.items() if at is not None}
    if len(times) == len(ended):
        _check_lost(views, call_id, times, killed_at)
        return Fate("lost", times)
    if now - killed_at <= LOST_WITHIN:
        return None
    if times:
        raise NotObserved(
            f"{len(times)} of {len(ended)} windows show the call as lost {LOST_WITHIN:g} s after the kill"
        )
    return Fate("kept", {})


def _check_lost(views: Sequence[View], call_id: str, times: Times, killed_at: float) -> None:
    causes = {view.calls[call_id].now.cause for view in views}
    if causes != {Cause.LOST}:
        raise NotObserved(f"the call is shown as {', '.join(map(str, causes))} instead of lost")
    if (took := max(times.values()) - killed_at) > LOST_WITHIN:
        raise NotObserved(f"the call was reported lost after {took:.2f} s only")


def is_ringing(call: Call) -> bool:
    """Whether it rings."""
    return call.state is CallState.RINGING


def is_answered(call: Call) -> bool:
    """Whether it is answered."""
    return call.state is CallState.ANSWERED


def is_over(call: Call) -> bool:
    """Whether it has ended, by whatever cause."""
    return call.state.is_final
