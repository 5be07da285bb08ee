"""P4: the registrar never holds more than one binding for the group, and holds one again in time."""

from .evidence import Effect, Evidence
from .verdict import Breaches, Verdict, plural, undecided

#: Seconds from the loss of a flow until the binding can be reached again: a lease that runs out (0.5 s), a
#: promotion, a connection.
FAILOVER_TIME = 2.0
_OVER = ("BINDING_REMOVED", "SERVICE_STOPPED")


def judge(evidence: Evidence) -> Verdict:
    """Judge each extension of the group by the ledger alone."""
    breaches = Breaches("P4")
    extensions = evidence.extensions
    registers = [
        effect for effect in evidence.effects("REGISTER", status=200) if effect.entry.extension in extensions
    ]
    if not registers:
        return undecided("P4", "no ledger tells of a registration")
    gaps = [gap for extension in extensions for gap in _check(evidence, extension, breaches)]
    longest = f", the longest {max(gaps) * 1000:.0f} ms" if gaps else ""
    return breaches.verdict(
        f"{plural(len(registers), 'registration')} by one instance id, never more than one binding, "
        f"{plural(len(gaps), 'time')} out of reach{longest}"
    )


def _check(evidence: Evidence, extension: str, breaches: Breaches) -> list[float]:
    entries = evidence.effects(extension=extension)
    ids: dict[str, Effect] = {}
    gaps, lost = [], None
    end = evidence.ledger[-1].at
    for effect in entries:
        entry = effect.entry
        if (entry.bindings or 0) > 1:
            breaches.add(f"extension {extension} had {entry.bindings} bindings", effect)
        if entry.event == "REGISTER" and entry.status == 200 and entry.instance_id:
            ids.setdefault(entry.instance_id, effect)
        if entry.event in ("BINDING_UNREACHABLE", "BINDING_EXPIRED"):
            lost = lost or effect
        elif lost is not None and entry.event in ("BINDING_ADDED", "BINDING_REPLACED", *_OVER):
            gaps += _measure(evidence, lost, effect.at, effect, breaches)
            lost = None
    if lost is not None:
        stopped = [effect.at for effect in evidence.effects("SERVICE_STOPPED")]
        gaps += _measure(evidence, lost, min([end, *stopped]), None, breaches)
    if len(ids) > 1:
        breaches.add(f"extension {extension} registered as {len(ids)} instances", *ids.values())
    return gaps


def _measure(
    evidence: Evidence, lost: Effect, until: float, again: Effect | None, breaches: Breaches
) -> list[float]:
    """Return how long nobody could be reached, unless there was nobody."""
    if not _was_anybody_there(evidence, lost.at):
        return []
    if until - lost.at > FAILOVER_TIME:
        proof = [lost] if again is None else [lost, again]
        breaches.add(f"nobody could be reached for {until - lost.at:.2f} s", *proof)
    return [until - lost.at] if again is not None else []


def _was_anybody_there(evidence: Evidence, at: float) -> bool:
    """Return whether a process lived on past the failover time; without traces, say so."""
    if not evidence.traces:
        return True
    return any(evidence.is_living(instance, at, at + FAILOVER_TIME) for instance in evidence.traces)
