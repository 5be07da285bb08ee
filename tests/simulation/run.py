"""One run by its seed: a plan of calls and faults, and the checker's verdicts on what came of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from coordinator.verify import actions, binding, calls, convergence, leaders
from coordinator.verify.evidence import Effect, Evidence, Step
from coordinator.verify.verdict import Verdict

from .group import Group, Member, simulated
from .wires import Weather
from .world import World

#: Virtual seconds of trouble, and of peace at the end, in which all must come right.
TROUBLE, PEACE = 4.0, 4.0


@dataclass(slots=True)
class Result:
    """What a run came to."""

    seed: int
    weather: Weather
    verdicts: list[Verdict]
    failures: list[str]
    evidence: Evidence
    lines: list[str] = field(default_factory=list)

    @property
    def broken(self) -> list[str]:
        """What went wrong, in lines; empty if nothing did."""
        return self.failures + [line for v in self.verdicts if v.is_kept is False for line in v.lines()]


def simulate(seed: int, *, bug: Callable[[], AbstractContextManager[object]] = nullcontext) -> Result:
    """Run one seed; ``bug`` is entered around it."""
    weather = _weather(seed)
    group = Group(seed, weather)
    with simulated(group), bug():
        try:
            _play(group)
        finally:
            group.world.close()
    return _judge(seed, group, weather)


def _weather(seed: int) -> Weather:
    """Return a weather: an even seed has wires as a host has them, an odd one's are as bad as can be."""
    rng = World(seed).random
    if seed % 2 == 0:
        return Weather(delay=rng.choice([0.0002, 0.0005]))
    return Weather(
        loss=rng.choice([0.0, 0.02, 0.1]),
        doubling=rng.choice([0.0, 0.05, 0.3]),
        delay=rng.choice([0.0005, 0.005]),
        is_ordered=rng.random() < 0.5,
        late=rng.choice([0.0, 0.01, 0.05]),
    )


def _play(group: Group) -> None:
    world, rng = group.world, group.world.random
    for number in range(rng.randint(2, 4)):
        group.start(media=number == 0 or rng.random() < 0.6, candidate=number < 2 or rng.random() < 0.8)
        world.run(rng.uniform(0.0, 0.2))
    world.run(0.2)
    quiet_at = world.now + TROUBLE
    while world.now < quiet_at:
        world.run(rng.expovariate(8.0))
        _happen(group)
    _make_peace(group)
    world.run(PEACE)
    for member in group.living:
        member.leave()
        world.run(0.3)
    world.run(3.0)


def _happen(group: Group) -> None:
    """Let one thing happen, good or bad."""
    rng, living = group.world.random, group.living
    roll = rng.random()
    if roll < 0.5:
        if living:
            rng.choice(living).act()
    elif roll < 0.65:
        group.service.ring()
    elif roll < 0.7:
        group.service.hang_up()
    elif roll < 0.8:
        _crash(group)
    elif roll < 0.9:
        _stop(group)
    elif roll < 0.93 and group.service.binding is not None:
        group.service.binding.cut()
    elif roll < 0.96 and len(group.members) < 7:
        group.start(media=rng.random() < 0.6)
    elif len(_lasting(group)) > 1:
        rng.choice(living).leave()


def _lasting(group: Group) -> list[Member]:
    """Return the candidates that are neither doomed nor leaving."""
    return [m for m in group.living if m.window.candidate and m.machine.fuse is None and not m.is_leaving]


def _crash(group: Group) -> None:
    """Kill a process, mostly the leader, now or with one of its next messages; never the last one."""
    rng = group.world.random
    victim = group.leader if rng.random() < 0.7 else rng.choice(group.members)
    if victim is None or not [member for member in _lasting(group) if member is not victim]:
        return
    if rng.random() < 0.3:
        victim.machine.kill()
    else:
        victim.machine.fuse = rng.randrange(12)


def _stop(group: Group) -> None:
    """Stop a process, mostly the leader, for 0.02 to 2 s."""
    rng = group.world.random
    victim = group.leader if rng.random() < 0.7 else rng.choice(group.members)
    if victim is not None:
        victim.machine.stop()
        group.world.later(rng.choice([0.02, 0.3, 0.7, 2.0]), victim.machine.go_on)


def _make_peace(group: Group) -> None:
    for member in group.members:
        member.machine.go_on()
        member.machine.fuse = None
    group.wires.weather = Weather()
    group.world.later(1.5, lambda: group.trouble.write("QUIET"))


def _judge(seed: int, group: Group, weather: Weather) -> Result:
    evidence = Evidence(Path())
    evidence.ledger = [Effect("ledger", *item) for item in enumerate(group.service.ledger, 1)]
    for member in group.members:
        evidence.traces[member.instance] = [
            Step(member.instance, number, line) for number, line in enumerate(member.trace.lines, 1)
        ]
    evidence.trouble = [Step("trouble", number, line) for number, line in enumerate(group.trouble.lines, 1)]
    # Of several faults in a row, the service may be out of reach for longer than after one.
    verdicts = [promise.judge(evidence) for promise in (leaders, actions, convergence)]
    verdicts.append(binding.judge(evidence, failover_time=TROUBLE + PEACE))
    if seed % 2 == 0:
        # Where wires lose what leaders leave behind, calls are lost: only those of a host are judged.
        verdicts.append(calls.judge(evidence))
    return Result(seed, weather, verdicts, group.world.failures, evidence)
