"""A group in a world of crashes, pauses and late news: processes, one lease, and who hears what when."""

from dataclasses import dataclass, field

from shared.election import (
    Effect,
    Election,
    Endpoints,
    Follow,
    Holder,
    Look,
    Promote,
    Renew,
    StepDown,
    TryLease,
)

LEASE_TIME = 0.5


def holder(epoch: int, deadline: float = 100.5) -> Holder:
    return Holder(epoch, deadline, "other", 1, Endpoints("ipc:///state", "ipc:///actions", "ipc:///estate"))


@dataclass
class File:
    """One epoch's lease file: the kernel's lock is open once its process died or let go."""

    node: int
    deadline: float
    locked: bool = True


@dataclass
class Node:
    election: Election
    effects: list[Effect] = field(default_factory=list)
    own: int = 0  # the epoch whose lock it holds
    paused: bool = False
    alive: bool = True
    led: int = 0  # epoch of the real phone that runs in it


class World:
    """Processes, one lease kept by one kernel, and news that comes late, twice, or in another order."""

    def __init__(self, size: int) -> None:
        self.now = 100.0
        self.files: dict[int, File] = {}
        self.granted: dict[int, int] = {}  # epoch -> node
        self.news: list[tuple[int, int]] = []  # (node, epoch whose lock opened)
        self.watched: dict[int, set[int]] = {}
        self.acts: list[int] = []  # epochs of effects that left, in order
        self.nodes = [self._new() for _ in range(size)]

    def _new(self) -> Node:
        return Node(Election(now=self.now, lease_time=LEASE_TIME))

    def newest(self) -> int:
        return max(self.files, default=0)

    def is_held(self, node: Node) -> bool:
        return bool(node.own) and node.own + 1 not in self.files and node.own in self.files

    def open_lock(self, epoch: int) -> None:
        if epoch in self.files:
            self.files[epoch].locked = False
        self.news += [(index, epoch) for index in self.watched.pop(epoch, ())]

    # -- faults

    def kill(self, index: int) -> None:
        node = self.nodes[index]
        node.alive = False
        if node.own:
            self.open_lock(node.own)
        for watchers in self.watched.values():
            watchers.discard(index)
        self.news = [entry for entry in self.news if entry[0] != index]

    def restart(self, index: int) -> None:
        if not self.nodes[index].alive:
            self.nodes[index] = self._new()

    # -- what processes do, one step at a time, so that a pause can come between any two

    def tick(self, index: int) -> None:
        node = self.nodes[index]
        if node.alive and not node.paused:
            node.election.tick(self.now)

    def act(self, index: int) -> None:
        """Let the real phone of this process, if it has one, send something: it asks the lease first."""
        node = self.nodes[index]
        if node.alive and not node.paused and node.led:
            if self.is_held(node):
                self.acts.append(node.led)
            else:
                node.election.lost()

    def hear(self, at: int, *, again: bool = False) -> None:
        if self.news:
            index, epoch = self.news[at % len(self.news)]
            node = self.nodes[index]
            if node.alive and not node.paused:
                if not again:
                    del self.news[at % len(self.news)]
                before = node.election.epoch
                node.election.died(epoch, self.now)
                assert node.election.epoch >= before

    def step(self, index: int) -> bool:
        """Let a process do the next thing that its election asks for."""
        node = self.nodes[index]
        if not node.alive or node.paused:
            return False
        node.effects += node.election.effects()
        if not node.effects:
            return False
        before = node.election.epoch
        self._do(index, node, node.effects.pop(0))
        assert node.election.epoch >= before
        return True

    def _do(self, index: int, node: Node, effect: Effect) -> None:
        match effect:
            case Look():
                self._look(node)
            case TryLease(epoch):
                self._try(index, node, epoch)
            case Follow(seen):
                file = self.files.get(seen.epoch)
                if file is not None and file.locked:
                    self.watched.setdefault(seen.epoch, set()).add(index)
                else:
                    self.news.append((index, seen.epoch))
            case Promote(epoch):
                assert not node.led, "two real phones in one process"
                node.led = epoch
            case Renew(deadline):
                if self.is_held(node):
                    self.files[node.own].deadline = deadline
                else:
                    node.election.lost()
            case StepDown():
                node.led = 0
                self.open_lock(node.own)
                node.own = 0

    def _look(self, node: Node) -> None:
        epoch = self.newest()
        file = self.files.get(epoch)
        if file is None or not file.locked:
            node.election.vacant(epoch, self.now)
        else:
            node.election.held(Holder(epoch, file.deadline, "x", 1, Endpoints("", "", "")), self.now)

    def _try(self, index: int, node: Node, epoch: int) -> None:
        if epoch in self.files or self.newest() > epoch or node.own:
            self._look(node)
            return
        assert epoch not in self.granted, "an epoch was held twice"
        self.granted[epoch] = index
        for old in [old for old in self.files if old < epoch]:
            del self.files[old]
        self.files[epoch] = File(index, self.now + LEASE_TIME)
        node.own = epoch
        node.election.granted(epoch, self.now)

    def settle(self, seconds: float) -> None:
        """Let everybody live undisturbed."""
        for index, node in enumerate(self.nodes):
            node.paused = False
            self.restart(index)
        end = self.now + seconds
        while self.now < end:
            self.now += 0.02
            for index in range(len(self.nodes)):
                self.tick(index)
                self.act(index)
            while self.news:
                self.hear(0)
            while sum(self.step(index) for index in range(len(self.nodes))):
                pass
