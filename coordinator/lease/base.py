"""What a lease is, whatever keeps it: the kernel of one host, or a service of a network."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from shared.election import Endpoints, Holder


@dataclass(frozen=True, slots=True)
class Vacant:
    """Nobody holds the lease; ``epoch`` is the newest ever taken, 0 before the first.

    ``departed`` are instances that held it or an earlier one, and have died or let go, as far as is known.
    """

    epoch: int
    departed: frozenset[str] = field(default=frozenset(), compare=False)


class Lease(Protocol):
    """The lease of one group as one process sees it. Times are CLOCK_BOOTTIME seconds."""

    def look(self) -> Holder | Vacant:
        """Return who holds the newest epoch."""

    def try_take(self, epoch: int, deadline: float) -> bool:
        """Take ``epoch`` and hold it until ``deadline``. False: somebody was faster, or is further."""

    def prepare(self, epoch: int) -> None:
        """Do before what would delay :meth:`try_take` of ``epoch``."""

    def withdraw(self) -> None:
        """Take back what :meth:`prepare` did: we shall not try."""

    def renew(self, deadline: float) -> None:
        """Hold our epoch until ``deadline``."""

    def is_held(self, epoch: int) -> bool:
        """Return whether ``epoch`` is ours, and nobody succeeded us.

        Costs microseconds: it is asked before every effect. A later epoch of ours is no excuse: what is left
        of the earlier term is as deposed as by another process.
        """

    def offer(self) -> None:
        """Let a successor take over at once, but go on holding until one does."""

    def release(self) -> None:
        """Let go, whether or not there is a successor."""

    def watch(self, epoch: int, opened: Callable[[int], None]) -> None:
        """Call ``opened(epoch)`` from another thread once the holder of ``epoch`` has died or let go."""

    def settle_in(self) -> None:
        """Do what can wait until a new holder has nothing more urgent to do."""

    def endpoints(self, epoch: int, instance: str = "") -> Endpoints:
        """Return where ``instance`` (default: this process) binds its sockets should it hold ``epoch``.

        No two processes ever bind the same: so it can be done before it is known who will hold it.
        """
