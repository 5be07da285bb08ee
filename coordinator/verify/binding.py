"""P4: the registrar never holds more than one binding for the group, and holds one again in time."""

from dataclasses import dataclass

from .evidence import Effect, Evidence
from .verdict import Breaches, Verdict, plural, undecided

#: Seconds from the loss of a flow until the binding can be reached again: a lease that runs out (0.5 s), a
#: promotion, a connection.
FAILOVER_TIME = 2.0
_OVER = ("BINDING_ADDED", "BINDING_REPLACED", "BINDING_REMOVED")


@dataclass(frozen=True, slots=True)
class _Gap:
    """Nobody could be reached from ``lost`` until ``again``; None: until the ledger's end."""

    lost: Effect
    again: Effect | None
    seconds: float


def judge(evidence: Evidence, *, failover_time: float = FAILOVER_TIME) -> Verdict:
    """Judge each extension of the group by the ledger alone."""
    breaches = Breaches("P4")
    extensions = evidence.extensions
    registers = [
        effect for effect in evidence.effects("REGISTER", status=200) if effect.entry.extension in extensions
    ]
    if not registers:
        return undecided("P4", "no ledger tells of a registration")
    gaps = [gap for extension in extensions for gap in _check(evidence, extension, breaches)]
    for gap in gaps:
        if gap.seconds > failover_time:
            proof = [gap.lost] if gap.again is None else [gap.lost, gap.again]
            breaches.add(f"nobody could be reached for {gap.seconds:.2f} s", *proof)
    longest = f", the longest {max(gap.seconds for gap in gaps) * 1000:.0f} ms" if gaps else ""
    return breaches.verdict(
        f"{plural(len(registers), 'registration')} by one instance id, never more than one binding, "
        f"{plural(len(gaps), 'time')} out of reach{longest}"
    )


def _check(evidence: Evidence, extension: str, breaches: Breaches) -> list[_Gap]:
    ids: dict[str, Effect] = {}
    gaps: list[_Gap] = []
    lost: Effect | None = None
    for effect in evidence.effects(extension=extension):
        entry = effect.entry
        if (entry.bindings or 0) > 1:
            breaches.add(f"extension {extension} had {entry.bindings} bindings", effect)
        if entry.event == "REGISTER" and entry.status == 200 and entry.instance_id:
            ids.setdefault(entry.instance_id, effect)
        if entry.event in ("BINDING_UNREACHABLE", "BINDING_EXPIRED"):
            lost = lost or effect
        elif lost is not None and entry.event in _OVER:
            gaps += _measure(evidence, lost, effect)
            lost = None
    if lost is not None:
        gaps += _measure(evidence, lost, None)
    if len(ids) > 1:
        breaches.add(f"extension {extension} registered as {len(ids)} instances", *ids.values())
    return gaps


def _measure(evidence: Evidence, lost: Effect, again: Effect | None) -> list[_Gap]:
    """Return how long nobody could be reached, unless there was nobody."""
    if not _was_anybody_there(evidence, lost.at):
        return []
    stopped = [effect.at for effect in evidence.effects("SERVICE_STOPPED") if effect.at >= lost.at]
    until = again.at if again is not None else min([evidence.ledger[-1].at, *stopped])
    return [_Gap(lost, again, until - lost.at)]


def _was_anybody_there(evidence: Evidence, at: float) -> bool:
    """Return whether a process lived on past the failover time; without traces, say so."""
    if not evidence.traces:
        return True
    return any(evidence.is_living(instance, at, at + FAILOVER_TIME) for instance in evidence.traces)
