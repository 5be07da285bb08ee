"""[core] Sounds that the service makes, and how to tell them by frequency.

========== ====================================================================================
music      587, 740, 880 and 740 Hz (D, F sharp, A), one after the other, half a second each
ringback   440 and 480 Hz together, 2 s in every 6 (North America)
prompt     350 and 440 Hz together: keys are awaited
refusal    480 and 620 Hz together, half a second in every one: what was asked for cannot be done
========== ====================================================================================
"""

import array
import functools
import math

from agents.media.base import FRAME_BYTES, FRAME_SAMPLES, RATE_HZ, SILENCE

from .mixing import wire

MUSIC_HZ = (587.0, 740.0, 880.0)
RINGBACK_HZ = (440.0, 480.0)
PROMPT_HZ = (350.0, 440.0)
REFUSAL_HZ = (480.0, 620.0)
_NOTE_SECONDS = 0.5
_SOFT_SECONDS = 0.04
_LEVEL = 0.18


class Loop:
    """A voice that repeats itself, the same for all who hear it."""

    def __init__(self, frames: tuple[bytes, ...]) -> None:
        self._frames = frames

    def frame(self, tick: int) -> bytes:
        """Return its 20 ms at a tick of the board."""
        return self._frames[tick % len(self._frames)]


@functools.cache
def music() -> Loop:
    """Return the hold music."""
    low, middle, high = MUSIC_HZ
    return _loop(*(_sound((hz,), _NOTE_SECONDS) for hz in (low, middle, high, middle)))


@functools.cache
def ringback() -> Loop:
    """Return what a caller hears while the other end rings."""
    return _loop(_sound(RINGBACK_HZ, 2.0), _silence(4.0))


@functools.cache
def prompt() -> Loop:
    """Return what asks for keys."""
    return _loop(_sound(PROMPT_HZ, 1.0, soft=0.0))


@functools.cache
def refusal() -> Loop:
    """Return what says no."""
    return _loop(_sound(REFUSAL_HZ, 0.5), _silence(0.5))


def make_all() -> None:
    """Make them now, which takes a tenth of a second, and not when the first call needs one."""
    for make in (music, ringback, prompt, refusal):
        make()


def _sound(hertz: tuple[float, ...], seconds: float, *, soft: float = _SOFT_SECONDS) -> bytes:
    count, edge = round(seconds * RATE_HZ), soft * RATE_HZ
    steps = [2 * math.pi * hz / RATE_HZ for hz in hertz]
    samples = array.array("h", bytes(2 * count))
    for index in range(count):
        loud = min(1.0, index / edge, (count - index) / edge) if edge else 1.0
        samples[index] = round(32767 * _LEVEL * loud * sum(math.sin(step * index) for step in steps))
    return wire(samples)


def _silence(seconds: float) -> bytes:
    return SILENCE * round(seconds * RATE_HZ / FRAME_SAMPLES)


def _loop(*parts: bytes) -> Loop:
    pcm = b"".join(parts)
    return Loop(tuple(pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)))
