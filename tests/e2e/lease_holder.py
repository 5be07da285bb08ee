"""Processes that stand for election and, while they lead, act: one line in a file an act.

A line has the epoch, the pid, and when the lease was asked: a process that is stopped between the lease's
answer and its act does act when it goes on, which nobody can prevent.

A nursery, because a fork is thirty times faster than a start: each line of standard input makes one more, and
its pid is printed. They end with the nursery.
"""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

from coordinator.lease import FileLease, Vacant
from shared.clock import boottime
from shared.election import Election, Follow, Look, Promote, Renew, StepDown, TryLease

LEASE_TIME = 0.3


def stand(directory: Path) -> None:
    """Live until killed."""
    name = str(os.getpid())
    lease, election = FileLease(directory, name), Election(now=boottime(), lease_time=LEASE_TIME)
    acts = os.open(directory / "acts", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    news: list[int] = []
    woken = threading.Event()

    def opened(epoch: int) -> None:
        news.append(epoch)
        woken.set()

    while True:
        while news:
            election.died(news.pop(0), boottime())
        election.tick(boottime())
        while effects := election.effects():
            for effect in effects:
                now = boottime()
                match effect:
                    case Look():
                        found = lease.look()
                        if isinstance(found, Vacant):
                            election.vacant(found.epoch, now)
                        else:
                            election.held(found, now)
                    case TryLease(epoch):
                        if lease.try_take(epoch, now + LEASE_TIME):
                            election.granted(epoch, now)
                        else:
                            election.tick(now)
                            found = lease.look()
                            if isinstance(found, Vacant):
                                election.vacant(found.epoch, now)
                            else:
                                election.held(found, now)
                    case Follow(holder):
                        lease.watch(holder.epoch, opened)
                    case Promote():
                        pass
                    case Renew(deadline):
                        if lease.is_held(election.epoch):
                            lease.renew(deadline)
                        else:
                            election.lost()
                    case StepDown():
                        lease.release()
        if election.is_leader:
            asked_at = boottime()
            if lease.is_held(election.epoch):
                os.write(acts, f"{election.epoch} {name} {asked_at}\n".encode())
            else:
                election.lost()
        woken.wait(0.002 if election.is_leader else max((election.next_deadline() or 0.0) - boottime(), 0.0))
        woken.clear()


def main(directory: Path) -> None:
    """Make processes until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    children: list[int] = []
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            stand(directory)
        children.append(pid)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
