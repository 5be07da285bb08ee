"""The only place that reads a clock. All values are seconds, as ``float``."""

import time

#: Linux counts time in suspend with CLOCK_BOOTTIME only; macOS' monotonic raw clock does so by itself.
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boottime() -> float:
    """Return seconds since boot, time in suspend included: the clock of leases and of action deadlines.

    Equal in all processes of one host, and never set back.
    """
    return time.clock_gettime(_BOOTTIME)


def monotonic() -> float:
    """Return the clock of protocol timers and of asyncio's event loop."""
    return time.monotonic()


def wall() -> float:
    """Return the time of day as Unix seconds, for people and for logs only: it can jump."""
    return time.time()
