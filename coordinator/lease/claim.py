"""A lease's file before it has its name: private, locked, and written but for the deadline.

The heir makes it before it is needed, so that to take an epoch is to write eight bytes and to link a name.
"""

import contextlib
import fcntl
import os
import struct

from shared import ids

from .grip import Grip

DEADLINE = struct.Struct("<d")
#: How long a process that is in no hurry waits until its lock is where it shall be.
SETTLING_TIME = 0.02


class Claim:
    """The file for ``epoch`` with ``card`` in it; its lock is held by ``grip``, or as any other would be.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, directory: str, epoch: int, card: bytes, grip: Grip) -> None:
        self.epoch, self._grip = epoch, grip
        self.path = f"{directory}/candidate.{epoch}.{os.getpid()}.{ids.new_id(4)}"
        self._fd: int | None = None  # not the lock's: to write into
        flags = os.O_CLOEXEC | os.O_RDWR
        lock = os.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self._fd = os.open(self.path, flags)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(self._fd, DEADLINE.pack(0.0) + card)
        except OSError:
            os.close(lock)
            self.drop()
            raise
        grip.tighten(lock)

    def settle(self, time: float = SETTLING_TIME) -> None:
        """See that the lock is in no descriptor that a fork would get, if it can be had in ``time``."""
        self._grip.settle(time)

    def renew(self, deadline: float) -> None:
        """Write the deadline in place: needs no space, so it works on a full disk."""
        if self._fd is not None:
            os.pwrite(self._fd, DEADLINE.pack(deadline), 0)

    def forget_name(self) -> None:
        """Remove the private name: the file has got a better one, or is not needed."""
        with contextlib.suppress(OSError):  # removed by others, or in a directory that is gone
            os.unlink(self.path)

    def drop(self) -> None:
        """Open the lock, and hold the file no more."""
        self.forget_name()
        self._grip.let_go()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
