"""Room for a process' descriptors, made when there is time for it."""

import contextlib
import fcntl
import os

#: More than a leader of a hundred windows has open.
_ENOUGH = 511


def make_room() -> None:
    """Let the system enlarge this process' table of descriptors now, if it may have so many.

    For a process with threads Linux does that only when each processor has passed a quiet point (RCU), and
    whoever asked for a descriptor stands still meanwhile: 10 ms, in the middle of a promotion.
    """
    descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # the limit is lower
            os.close(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ENOUGH))
    finally:
        os.close(descriptor)
