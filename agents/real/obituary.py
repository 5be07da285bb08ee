"""Notice at once that another process of this host has died (pidfd, Linux).

Elsewhere the silence of its heartbeat tells the same, seconds later.
"""

import asyncio
import os
from collections.abc import Callable


class Obituary:
    """Call ``died(instance)`` the moment a watched process is gone.

    Must be used inside the loop that it was made in. Where the kernel has no pidfd, nothing is watched.
    """

    def __init__(self, died: Callable[[str], None]) -> None:
        self._died = died
        self._loop = asyncio.get_running_loop()
        self._watched: dict[str, int] = {}  # pidfd by instance

    def watch(self, instance: str, pid: int) -> None:
        """Watch the process ``pid`` of ``instance``; harmless if it is watched already."""
        if instance in self._watched or not hasattr(os, "pidfd_open") or pid == os.getpid():
            return
        try:
            pidfd = os.pidfd_open(pid)
        except (OSError, OverflowError):
            return  # dead already, of another pid namespace, or no pid: its silence will tell
        self._watched[instance] = pidfd
        self._loop.add_reader(pidfd, self._exited, instance)

    def forget(self, instance: str) -> None:
        """Stop watching ``instance``."""
        if (pidfd := self._watched.pop(instance, None)) is not None:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)

    def close(self) -> None:
        """Stop watching all."""
        for instance in list(self._watched):
            self.forget(instance)

    def _exited(self, instance: str) -> None:
        self.forget(instance)
        self._died(instance)
