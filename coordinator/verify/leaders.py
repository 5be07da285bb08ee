"""P1: at most one process acts per epoch; epochs only rise; a deposed leader sends nothing more."""

from .evidence import Effect, Evidence, Step
from .verdict import Breaches, Verdict, plural, undecided


def judge(evidence: Evidence) -> Verdict:
    """Judge the promotions that traces tell, the states that windows showed, and who spoke to the service."""
    breaches = Breaches("P1")
    promoted = sorted(evidence.steps("PROMOTED"), key=lambda step: (step.at, step.entry.epoch))
    _check_promotions(promoted, breaches)
    states = _check_states(evidence, {step.entry.epoch: step for step in reversed(promoted)}, breaches)
    terms, messages = _check_senders(evidence, breaches)
    if not promoted and not terms:
        return undecided("P1", "no trace tells of a leader, and no ledger of a phone")
    return breaches.verdict(
        f"{plural(len(promoted), 'epoch')} with one leader each, {plural(states, 'state')} that all windows "
        f"show alike, {plural(messages, 'message')} to the service in {plural(terms, 'term')}, none after "
        "its successor's first"
    )


def _check_promotions(promoted: list[Step], breaches: Breaches) -> None:
    holder: dict[int, Step] = {}
    before: Step | None = None
    for step in promoted:
        epoch = step.entry.epoch
        if epoch in holder:
            breaches.add(f"epoch {epoch} was led by two processes", holder[epoch], step)
        elif before is not None and epoch < before.entry.epoch:
            breaches.add(f"epoch {epoch} came after epoch {before.entry.epoch}", before, step)
        holder[epoch] = before = step


def _check_states(evidence: Evidence, leaders: dict[int, Step], breaches: Breaches) -> int:
    """Check that a version is one state, by the epoch's only leader; return how many there were."""
    first: dict[tuple[int, int], Step] = {}
    for step in evidence.steps("SNAPSHOT"):
        line = step.entry
        known = first.setdefault((line.epoch, line.sequence), step)
        same = ("leader", "registration", "windows", "calls")
        if any(getattr(known.entry, name) != getattr(line, name) for name in same):
            breaches.add(f"version {line.epoch}.{line.sequence} is two different states", known, step)
        leader = leaders.get(line.epoch)
        if leader is not None and leader.entry.instance != line.leader:
            breaches.add(f"a state of epoch {line.epoch} is not by its leader", leader, step)
    return len(first)


def _check_senders(evidence: Evidence, breaches: Breaches) -> tuple[int, int]:
    """Check that terms of office follow each other at the service; return how many, and their messages.

    A term is known by the name in its Via, which each leader draws anew; a response by the flow it came on.
    """
    terms = messages = 0
    for extension in evidence.extensions:
        owner_of_flow: dict[str, str] = {}
        first: dict[str, Effect] = {}
        for effect in evidence.effects(direction="in", extension=extension):
            entry = effect.entry
            owner = entry.via_host or owner_of_flow.get(entry.flow or "")
            if owner is None:
                continue
            messages += 1
            owner_of_flow[entry.flow or ""] = owner
            first.setdefault(owner, effect)
            newest = next(reversed(first))
            if owner != newest:
                breaches.add("a deposed leader sent a message to the service", first[newest], effect)
        terms += len(first)
    return terms, messages
