"""Standard input and output of the command line, whatever state the shell left them in."""

import contextlib
import errno
import io
import os
import stat
import sys

#: What writing to standard output can end with: its reader is gone, or its disk is full.
_UNWRITABLE = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def open_standard_streams() -> None:
    """Put the null device where a standard stream was closed (``>&-``): else another file gets its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):  # no name and no typing error may end a window
            stream.reconfigure(errors="backslashreplace")


def output_lost(error: OSError) -> int:
    """Say that the output could not be written, and return the exit status: 0 if nobody reads any more.

    Raises:
        OSError: ``error``, if it is about something else.
    """
    if error.errno not in _UNWRITABLE:
        raise error
    if error.errno == errno.EPIPE or (error.errno == errno.EIO and _is_terminal()):
        return 0
    with contextlib.suppress(OSError):  # it may be the same disk
        sys.stderr.write(f"error: cannot write the output: {error.strerror}\n")
    return 1


def flush_output() -> None:
    """Write out what is left; if nobody reads any more, that is no failure of ours."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Python flushes once more when it ends, and would make its exit status 120 of that.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _is_terminal() -> bool:
    # Not isatty(), which says no of one that was closed.
    return stat.S_ISCHR(os.fstat(sys.stdout.fileno()).st_mode)
