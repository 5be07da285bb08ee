"""PyAV and aiortc, loaded when they are first needed: half a second, and most of a window's memory.

Their modules import each other in circles, and of two threads that enter such a circle from two ends one may
see modules that are half made. So whoever may be the first to need them comes here.
"""

import importlib
import threading

_one_at_a_time = threading.RLock()


def preload() -> None:
    """Import aiortc, and PyAV with it, so that the first call need not wait for it. Any thread may do it."""
    with _one_at_a_time:
        importlib.import_module(f"{__package__}.webrtc")


def load_av() -> None:
    """Import PyAV alone. Any thread may do it."""
    with _one_at_a_time:
        importlib.import_module("av")
