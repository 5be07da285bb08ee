"""P6: memory, descriptors, tasks and threads stay bounded, whatever a peer sends or fails to read."""

from .evidence import Evidence, Step
from .verdict import Breaches, Verdict, plural, undecided

#: What no window may pass; a leader with a call in its own process has loaded aiortc.
_MOST = {"memory_kb": 200_000, "descriptors": 400, "tasks": 500, "threads": 60}
#: How much they may grow once a process has settled.
_GROWTH = {"memory_kb": 100_000, "descriptors": 200, "tasks": 200, "threads": 40}
_SETTLED = 3


def judge(evidence: Evidence) -> Verdict:
    """Judge the samples that each process took of itself."""
    breaches = Breaches("P6")
    samples = {name: _samples(steps) for name, steps in evidence.traces.items()}
    samples = {name: steps for name, steps in samples.items() if len(steps) > 1}
    if not samples:
        return undecided("P6", "no trace has two samples of what its process uses")
    for name, steps in samples.items():
        _check(name, steps, breaches)
    most = {
        what: max(getattr(step.entry, what) for steps in samples.values() for step in steps) for what in _MOST
    }
    count = sum(len(steps) for steps in samples.values())
    return breaches.verdict(
        f"{plural(count, 'sample')} of {plural(len(samples), 'process', 'processes')}: "
        f"at most {most['memory_kb'] // 1000} MB, {most['descriptors']} descriptors, {most['tasks']} tasks, "
        f"{most['threads']} threads"
    )


def _samples(steps: list[Step]) -> list[Step]:
    return [step for step in steps if step.entry.event == "RESOURCES"]


def _check(name: str, steps: list[Step], breaches: Breaches) -> None:
    settled = steps[min(_SETTLED, len(steps) - 1)]
    for what, most in _MOST.items():
        worst = max(steps, key=lambda step: int(getattr(step.entry, what)))
        value, base = getattr(worst.entry, what), getattr(settled.entry, what)
        if value > most:
            breaches.add(f"process {name} used {value} {what}", worst)
        elif worst.at > settled.at and value - base > _GROWTH[what]:
            breaches.add(f"process {name} grew from {base} to {value} {what}", settled, worst)
