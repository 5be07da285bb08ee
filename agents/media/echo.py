"""Echo cancellation by WebRTC's audio processing module, which ``livekit`` brings: the extra ``aec``."""

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from shared.log import log

from .base import FRAME_BYTES, FRAME_SAMPLES, RATE_HZ

_PART_BYTES = FRAME_BYTES // 2  # the module works on 10 ms
_DELAY_FRAMES = 50
HINT = "echo is not cancelled: the package livekit is missing; install it: pip install 'sharedline[aec]'"


class EchoCanceller:
    """Learns what the loudspeaker plays and takes it out of what the microphone hears; about 0.3 ms a frame.

    Args:
        delay: Returns the seconds from a frame given to :meth:`played` to its echo in :meth:`cancel`; a guess
            will do, since the module looks for the echo around it.

    Raises:
        ImportError: The package livekit is not installed.
    """

    def __init__(self, delay: Callable[[], float] = lambda: 0.0) -> None:
        self._rtc = _load()
        self._module = self._rtc.AudioProcessingModule(echo_cancellation=True, high_pass_filter=True)
        self._delay, self._frames = delay, 0

    def played(self, frame: bytes) -> None:
        """Learn 20 ms that the loudspeaker is given."""
        for part in self._parts(frame):
            self._module.process_reverse_stream(part)

    def cancel(self, frame: bytes) -> bytes:
        """Return the microphone's 20 ms without the echo."""
        if self._frames % _DELAY_FRAMES == 0:
            self._module.set_stream_delay_ms(round(min(max(self._delay(), 0.0), 0.5) * 1000))
        self._frames += 1
        clean = b""
        for part in self._parts(frame):
            self._module.process_stream(part)
            clean += bytes(part.data.cast("B"))
        return clean

    def _parts(self, frame: bytes) -> list[Any]:
        return [
            self._rtc.AudioFrame(
                bytearray(frame[start : start + _PART_BYTES]), RATE_HZ, 1, FRAME_SAMPLES // 2
            )
            for start in (0, _PART_BYTES)
        ]


def make_canceller(delay: Callable[[], float]) -> EchoCanceller | None:
    """Return a canceller; None, and a warning once in a process, where the extra is not installed."""
    try:
        return EchoCanceller(delay)
    except ImportError:
        _warn()
        return None


def _load() -> ModuleType:
    return importlib.import_module("livekit.rtc")


@functools.cache
def _warn() -> None:
    log.warning("sound.echo", notice=HINT)
