"""P3: every live window converges to the leader's version within 1 s after faults stop; none goes back."""

from itertools import pairwise

from .evidence import Evidence, Step
from .verdict import Breaches, Verdict, plural, undecided

#: Seconds.
WITHIN = 1.0


def judge(evidence: Evidence) -> Verdict:
    """Judge what windows showed, at each moment from which on there was no trouble, and when they left."""
    breaches = Breaches("P3")
    shown = {name: _snapshots(steps) for name, steps in evidence.traces.items()}
    if not any(shown.values()):
        return undecided("P3", "no trace tells what a window showed")
    applied = sum(_check_order(steps, breaches) for steps in shown.values())
    everything = sorted((step for steps in shown.values() for step in steps), key=lambda step: step.at)
    moments = _check_leaving(evidence, shown, everything, breaches)
    moments += _check_quiet(evidence, shown, everything, breaches)
    if not moments and not breaches.texts:
        return undecided("P3", f"{plural(applied, 'state')} in order, but no window was seen to the end")
    return breaches.verdict(
        f"{plural(applied, 'state')} at {plural(len(shown), 'window')}, each newer than the one before; "
        f"at {plural(moments, 'moment')} the newest of {WITHIN:g} s before was shown"
    )


def _snapshots(steps: list[Step]) -> list[Step]:
    return [step for step in steps if step.entry.event == "SNAPSHOT"]


def _version(step: Step) -> tuple[int, int]:
    return step.entry.epoch, step.entry.sequence


def _check_order(steps: list[Step], breaches: Breaches) -> int:
    for before, after in pairwise(steps):
        if _version(after) <= _version(before):
            breaches.add(f"window {after.entry.instance} went back", before, after)
    return len(steps)


def _check_leaving(
    evidence: Evidence, shown: dict[str, list[Step]], everything: list[Step], breaches: Breaches
) -> int:
    """Check each window that left politely: what anybody saw in time, it saw, too."""
    checked = 0
    for left in evidence.steps("LEFT"):
        instance, until = left.entry.instance, left.at
        if evidence.is_living(instance, until - WITHIN, until):
            checked += _check(instance, shown[instance], everything, until, left, breaches)
    return checked


def _check_quiet(
    evidence: Evidence, shown: dict[str, list[Step]], everything: list[Step], breaches: Breaches
) -> int:
    """Check all live windows where a test says that it makes no more trouble."""
    checked = 0
    for quiet in (step for step in evidence.trouble if step.entry.event == "QUIET"):
        for instance, steps in shown.items():
            if evidence.is_living(instance, quiet.at, quiet.at + WITHIN):
                checked += _check(instance, steps, everything, quiet.at + WITHIN, quiet, breaches)
    return checked


def _check(
    instance: str, steps: list[Step], everything: list[Step], at: float, why: Step, breaches: Breaches
) -> int:
    published = [step for step in everything if step.at <= at - WITHIN]
    if not published:
        return 0
    newest = max(published, key=_version)
    own = [step for step in steps if step.at <= at]
    if not own or max(map(_version, own)) < _version(newest):
        breaches.add(f"window {instance} did not come to version {_version(newest)}", newest, *own[-1:], why)
    return 1
