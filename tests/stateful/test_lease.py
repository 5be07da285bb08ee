"""The election on the real lease files of one host: processes die, stop, go on and leave at any point."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coordinator.lease import Vacant
from coordinator.lease.file import FileLease
from shared.election import Effect, Election, Follow, Look, Promote, Renew, StepDown, TryLease

from . import explore

_LEASE_TIME = 0.5
_PEACE = 2.0
_numbers = st.integers(0, 9)


@dataclass(eq=False)
class Process:
    """What :class:`coordinator.keeper.Keeper` is, one effect at a time."""

    election: Election
    lease: FileLease
    todo: deque[Effect] = field(default_factory=deque)
    watched: set[int] = field(default_factory=set)
    term: int = 0  # the epoch of the real phone that runs here
    epochs: list[int] = field(default_factory=list)  # all that it ever believed
    is_alive: bool = True
    is_stopped: bool = False

    @property
    def runs(self) -> bool:
        """Whether its code gets on."""
        return self.is_alive and not self.is_stopped

    @property
    def holds(self) -> bool:
        """Whether the newest epoch that it knows of is its own."""
        return self.lease.is_held(self.election.epoch)


class Leases(RuleBasedStateMachine):
    """Up to four processes, and the directory of their group."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="lease-"))
        self.now = 1000.0
        self.processes: list[Process] = []
        self.holders: dict[int, Process] = {}
        self.acts: list[tuple[int, Process]] = []

    # -- what happens

    @initialize(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        """Have some processes, one of which leads."""
        for _ in range(count):
            self.start(True)
        for process in self.processes:
            self._tick(process)

    @precondition(lambda self: sum(process.is_alive for process in self.processes) < 4)
    @rule(candidate=st.sampled_from((True, True, True, False)))
    def start(self, candidate: bool) -> None:
        """Start a process."""
        election = Election(now=self.now, candidate=candidate, lease_time=_LEASE_TIME)
        lease = FileLease(self.directory, f"process-{len(self.processes)}")
        self.processes.append(Process(election, lease))

    @rule(number=_numbers)
    def step(self, number: int) -> None:
        """Let a process do one thing that its election wants."""
        if process := self._pick(number):
            self._step(process)

    @rule(number=_numbers)
    def tick(self, number: int) -> None:
        """Let a process look at the clock, and do all that its election wants."""
        if process := self._pick(number):
            self._tick(process)

    @rule(number=_numbers, is_late=st.booleans())
    def notice(self, number: int, is_late: bool) -> None:
        """Let a process hear that a lock it waits for has opened."""
        if process := self._pick(number):
            self._notice(process, is_late)

    @rule(number=_numbers)
    def act(self, number: int) -> None:
        """Let a process that takes itself for the leader do something that the world sees."""
        process = self._pick(number)
        if process and process.term and process.lease.is_held(process.term):
            self.acts.append((process.term, process))

    @rule()
    def zombie(self) -> None:
        """Let whoever leads stop until another has taken over, and go on in the middle of something."""
        leaders = [process for process in self.processes if process.runs and process.term]
        for process in leaders:
            process.is_stopped = True
        self.now += 2 * _LEASE_TIME
        for process in self.processes:
            if process.runs:
                self._tick(process)
        for process in leaders:
            process.is_stopped = False

    @rule(seconds=st.sampled_from((0.004, 0.1, 0.3, 0.6, 2.0)))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(number=_numbers)
    def stop(self, number: int) -> None:
        """Stop a process, as SIGSTOP or a lid does; what it holds, it holds."""
        if process := self._pick(number):
            process.is_stopped = True

    @rule()
    def go_on(self) -> None:
        """Let all that were stopped go on."""
        for process in self.processes:
            process.is_stopped = False

    @rule(number=_numbers)
    def kill(self, number: int) -> None:
        """Kill a process, a stopped one as well: the kernel opens its lock, and nothing else happens."""
        alive = [process for process in self.processes if process.is_alive]
        if alive:
            victim = alive[number % len(alive)]
            victim.is_alive = False
            victim.lease.offer()

    @rule(number=_numbers, is_announced=st.booleans())
    def leave(self, number: int, is_announced: bool) -> None:
        """Let a process leave; a leader may let a successor in before it lets go."""
        if process := self._pick(number):
            process.election.retire()
            if is_announced:
                process.lease.offer()
                for other in self.processes:
                    if other.runs:
                        self._notice(other, is_late=False)
                        self._drain(other)
            process.lease.release()
            process.is_alive = False

    # -- what must hold

    @invariant()
    def one_process_holds_the_lease(self) -> None:
        """Whoever asks before an effect is told so in one process at most."""
        assert sum(process.holds for process in self.processes if process.is_alive) <= 1

    @invariant()
    def effects_are_of_one_process_an_epoch_and_epochs_rise(self) -> None:
        """A deposed leader's effect never comes after its successor's."""
        epochs = [epoch for epoch, _ in self.acts]
        assert epochs == sorted(epochs)
        assert all(self.holders[epoch] is process for epoch, process in self.acts)

    @invariant()
    def nobody_believes_in_an_earlier_epoch_again(self) -> None:
        """Epochs only rise, in each process."""
        for process in self.processes:
            process.epochs.append(process.election.epoch)
            assert process.epochs[-2:] == sorted(process.epochs[-2:])

    def teardown(self) -> None:
        """Leave those who live in peace: one leads in the end, and the others follow it."""
        try:
            self._make_peace()
        finally:
            for process in self.processes:
                process.lease.release()
            shutil.rmtree(self.directory)

    def _make_peace(self) -> None:
        self.go_on()
        end = self.now + _PEACE
        while self.now < end:
            self.now += 0.05
            for process in self.processes:
                if process.is_alive:
                    self._notice(process, is_late=False)
                    self._tick(process)
        alive = [process for process in self.processes if process.is_alive]
        leaders = [process for process in alive if process.election.is_leader]
        if any(process.election._candidate for process in alive):
            assert [process.term for process in leaders] == [max(self.holders)]
            assert leaders[0].holds
        else:
            assert leaders == []
        for process in alive:
            if leaders and process not in leaders:
                assert process.election.holder is not None
                assert process.election.holder.epoch == leaders[0].term

    # -- a process

    def _pick(self, number: int) -> Process | None:
        running = [process for process in self.processes if process.runs]
        return running[number % len(running)] if running else None

    def _tick(self, process: Process) -> None:
        process.election.tick(self.now)
        self._drain(process)

    def _drain(self, process: Process) -> None:
        while self._step(process):
            pass

    def _step(self, process: Process) -> bool:
        process.todo.extend(process.election.effects())
        if not process.todo:
            return False
        self._do(process, process.todo.popleft())
        return True

    def _do(self, process: Process, effect: Effect) -> None:
        election, lease = process.election, process.lease
        match effect:
            case Look():
                self._look(process)
            case TryLease(epoch):
                if lease.try_take(epoch, self.now + _LEASE_TIME):
                    assert epoch not in self.holders, "an epoch was taken twice"
                    assert epoch > max(self.holders, default=0), "an earlier epoch was taken"
                    self.holders[epoch] = process
                    election.granted(epoch, self.now)
                else:
                    self._look(process)
            case Follow(holder):
                process.watched.add(holder.epoch)
            case Promote(epoch):
                process.term = epoch
            case Renew(deadline):
                if lease.is_held(process.election.epoch):
                    lease.renew(deadline)
                else:
                    election.lost()
            case StepDown():
                lease.release()
                process.term = 0

    def _look(self, process: Process) -> None:
        found = process.lease.look()
        if isinstance(found, Vacant):
            process.election.vacant(found.epoch, self.now)
        else:
            process.election.held(found, self.now)

    def _notice(self, process: Process, is_late: bool) -> None:
        for epoch in sorted(process.watched):
            if self._is_open(epoch):
                process.watched.remove(epoch)
                process.election.died(epoch, self.now, is_late=is_late)
                return

    def _is_open(self, epoch: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(self.directory / f"leader.{epoch}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            finally:
                os.close(fd)
        return True


def test_whatever_dies_stops_or_leaves_an_epoch_has_one_holder_and_epochs_rise() -> None:
    explore(Leases, examples=60, steps=60)
