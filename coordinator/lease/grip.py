"""A lock that opens as soon as its process is killed, and not when the process' memory has been freed.

The kernel frees the memory of a process that dies before it closes the files, which for a phone of 40 MB is
some milliseconds of failover time. But it is the *last* thread to end that frees the memory, and a thread
with a table of descriptors of its own closes that one when it ends itself. So the lock is moved into such a
thread's table (close_range(2) with CLOSE_RANGE_UNSHARE, Linux 5.9), and then belongs to no other. A child
that is forked from another thread does not get it either. Where the system has no such call, the lock stays
where it was.
"""

import contextlib
import os
import sys
import threading

#: The same number on every architecture: newer system calls have one for all.
_SYS_CLOSE_RANGE = 436
_UNSHARE, _LAST = 2, 0xFFFFFFFF


class Grip:
    """Holds the descriptor ``fd``, which has a lock, until :meth:`let_go` or the end of the process."""

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd
        self._thread: threading.Thread | None = None
        self._is_moved, self._may_end = threading.Event(), threading.Event()

    def tighten(self) -> None:
        """Begin to move the lock to a thread of its own; :meth:`settle` ends it."""
        if self._fd is None or self._thread is not None or sys.platform != "linux":
            return
        thread = threading.Thread(target=self._hold, args=(self._fd,), name="lease-grip", daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads: then as elsewhere
            thread.start()
            self._thread = thread

    def settle(self) -> None:
        """Close our own descriptor if the thread has one by now. Harmless to call early or often."""
        if self._fd is not None and self._is_moved.is_set():
            os.close(self._fd)
            self._fd = None

    def let_go(self) -> None:
        """Open the lock; it is open when this returns."""
        self._may_end.set()
        if self._thread is not None:
            self._thread.join()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _hold(self, fd: int) -> None:
        if _keep_only(fd):
            self._is_moved.set()
            self._may_end.wait()
            os.close(fd)  # in this thread's own table


def _keep_only(fd: int) -> bool:
    """Give this thread a table of its own that holds ``fd`` alone; return whether it has."""
    import ctypes  # late: only a process that leads has any use for it

    call = ctypes.CDLL(None).syscall
    call.argtypes = (ctypes.c_long, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)
    # Above first: a table that ends there is copied no further.
    if call(_SYS_CLOSE_RANGE, fd + 1, _LAST, _UNSHARE) != 0:
        return False
    return fd == 0 or call(_SYS_CLOSE_RANGE, 0, fd - 1, 0) == 0
