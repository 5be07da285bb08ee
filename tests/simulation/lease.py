"""The lease of one host, as its files and the kernel keep it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from coordinator.lease import Vacant
from shared.election import Endpoints, Holder

from .world import Machine


@dataclass(slots=True)
class _File:
    """``leader.N``: who links it is its holder for good; the lock opens when the holder dies or lets go."""

    holder: Holder
    is_locked: bool = True
    deadline: float = 0.0
    waiting: list[tuple[Machine, Callable[[int], None]]] = field(default_factory=list)


class LeaseRoom:
    """The group's directory."""

    def __init__(self) -> None:
        self.files: dict[int, _File] = {}

    @property
    def newest(self) -> int:
        """The highest epoch ever taken."""
        return max(self.files, default=0)


class RoomLease:
    """One process' view of it: see :class:`coordinator.lease.base.Lease`."""

    def __init__(self, room: LeaseRoom, machine: Machine, instance: str) -> None:
        self._room, self._machine, self._instance = room, machine, instance
        self._own: _File | None = None
        self._epoch = 0
        machine.deaths.append(self._open)

    def prepare(self, epoch: int) -> None:
        """Do nothing: there is no file to make."""

    def withdraw(self) -> None:
        """Do nothing, either."""

    def settle_in(self) -> None:
        """Do nothing: there are no files to remove."""

    def endpoints(self, epoch: int, instance: str = "") -> Endpoints:
        """Return where ``instance`` is found if it holds ``epoch``."""
        base = f"{epoch}.{instance or self._instance}"
        return Endpoints(*(f"{base}.{kind}" for kind in Endpoints._fields))

    def look(self) -> Holder | Vacant:
        """Return who holds the newest epoch."""
        if not self._machine.is_alive:  # so that what is left of it comes to rest
            return Holder(self._room.newest + 1, float("inf"), "nobody", 0, self.endpoints(0))
        file = self._room.files.get(self._room.newest)
        if file is None or not file.is_locked:
            departed = (file.holder.instance for file in self._room.files.values() if not file.is_locked)
            return Vacant(self._room.newest, frozenset(departed))
        held = file.holder
        return Holder(held.epoch, file.deadline, held.instance, held.pid, held.endpoints)

    def try_take(self, epoch: int, deadline: float) -> bool:
        """Link ``leader.N``, if nobody was faster."""
        if not self._machine.is_alive or epoch <= self._room.newest:
            return False
        holder = Holder(epoch, deadline, self._instance, self._machine.pid, self.endpoints(epoch))
        self._own = self._room.files[epoch] = _File(holder, deadline=deadline)
        self._epoch = epoch
        return True

    def renew(self, deadline: float) -> None:
        """Write a new deadline."""
        if self._own is not None and self._machine.is_alive:
            self._own.deadline = deadline

    def is_held(self, epoch: int) -> bool:
        """Return whether ``epoch`` is ours, and there is no successor's file."""
        return self._epoch == epoch and self._room.newest == epoch

    def offer(self) -> None:
        """Open the lock, and hold on until somebody links the next file."""
        self._open()

    def release(self) -> None:
        """Open the lock and hold no more."""
        self._open()
        self._own, self._epoch = None, 0

    def watch(self, epoch: int, opened: Callable[[int], None]) -> None:
        """Tell when the lock of ``epoch`` opens."""
        file = self._room.files.get(epoch)
        if file is None or not file.is_locked:
            self._machine.loop.call_soon(opened, epoch)
        else:
            file.waiting.append((self._machine, opened))

    def _open(self) -> None:
        if self._own is None or not self._own.is_locked:
            return
        self._own.is_locked = False
        world = self._machine.world
        for machine, opened in self._own.waiting:
            delay = world.random.uniform(0.0006, 0.003)
            world.later(delay, lambda m=machine, o=opened, e=self._epoch: m.loop.call_soon(o, e))  # type: ignore[misc]
