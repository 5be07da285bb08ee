"""Arithmetic on frames of 16-bit PCM, in pure Python: about 0.1 ms a frame, so only where it is asked for."""

import array
import sys

from .analysis import samples_of

_HIGHEST, _LOWEST = 32767, -32768


def to_wire(samples: "array.array[int]") -> bytes:
    """Return samples as little-endian bytes."""
    if sys.byteorder == "big":
        samples = array.array("h", samples)
        samples.byteswap()
    return samples.tobytes()


def scaled(frame: bytes, gain: float) -> bytes:
    """Return the frame made louder or softer, within the limits."""
    if gain == 1.0 or not frame:
        return frame
    loud = [int(sample * gain) for sample in samples_of(frame)]
    if gain > 1.0:
        loud = [max(_LOWEST, min(_HIGHEST, sample)) for sample in loud]
    return to_wire(array.array("h", loud))


def mixed(one: bytes, other: bytes) -> bytes:
    """Return the sum of two frames of one length, within the limits."""
    pairs = zip(samples_of(one), samples_of(other), strict=True)
    return to_wire(array.array("h", [max(_LOWEST, min(_HIGHEST, left + right)) for left, right in pairs]))


def interleaved(left: bytes, right: bytes) -> bytes:
    """Return two mono frames of one length as one stereo frame."""
    both = bytearray(2 * len(left))
    for place, side in enumerate((left, right)):
        both[2 * place :: 4], both[2 * place + 1 :: 4] = side[0::2], side[1::2]
    return bytes(both)
