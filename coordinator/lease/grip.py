"""A lock that opens as soon as its process is killed, and not when the process' memory has been freed.

The kernel frees the memory of a process that dies before it closes the files, which for a phone of 40 MB is
some milliseconds of failover time. But it is the *last* thread to end that frees the memory, and a thread
with a table of descriptors of its own closes that one when it ends itself. So the lock is moved into such a
thread's table (close_range(2) with CLOSE_RANGE_UNSHARE, Linux 5.9), and then belongs to no other. A child
that is forked from another thread does not get it either. Where the system has no such call, the lock stays
where it was.

A process that is killed ends its threads in the order in which they began, more or less: so that this one is
not the last of them, a candidate starts it before it has any other use for threads.
"""

import contextlib
import os
import sys
import threading

#: The same number on every architecture: newer system calls have one for all.
_SYS_CLOSE_RANGE = 436
_UNSHARE, _LAST = 2, 0xFFFFFFFF


class Grip:
    """Holds one descriptor, which has a lock: from :meth:`tighten` to :meth:`let_go`, or the process' end."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._thread: threading.Thread | None = None
        self._is_given, self._is_moved, self._may_end = (threading.Event() for _ in range(3))
        if sys.platform == "linux":
            thread = threading.Thread(target=self._hold, name="lease-grip", daemon=True)
            with contextlib.suppress(RuntimeError):  # no more threads: then as elsewhere
                thread.start()
                self._thread = thread

    def tighten(self, fd: int) -> None:
        """Take ``fd``, and begin to move it to the thread; :meth:`settle` ends that."""
        self._fd = fd
        self._is_given.set()

    def settle(self, time: float = 0.0) -> None:
        """Close our own descriptor if the thread has one within ``time``. Harmless to call early or often."""
        if self._fd is not None and self._thread is not None and self._is_moved.wait(time):
            os.close(self._fd)
            self._fd = None

    def let_go(self) -> None:
        """Open the lock; it is open when this returns."""
        self._may_end.set()
        self._is_given.set()
        if self._thread is not None:
            self._thread.join()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _hold(self) -> None:
        self._is_given.wait()
        fd = self._fd
        if fd is not None and _keep_only(fd):
            self._is_moved.set()
            self._may_end.wait()
            os.close(fd)  # in this thread's own table


def _keep_only(fd: int) -> bool:
    """Give this thread a table of its own that holds ``fd`` alone; return whether it has."""
    import ctypes  # late: only a process that leads, or soon may, has any use for it

    call = ctypes.CDLL(None).syscall
    call.argtypes = (ctypes.c_long, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)
    # Above first: a table that ends there is copied no further.
    if call(_SYS_CLOSE_RANGE, fd + 1, _LAST, _UNSHARE) != 0:
        return False
    return fd == 0 or call(_SYS_CLOSE_RANGE, 0, fd - 1, 0) == 0
