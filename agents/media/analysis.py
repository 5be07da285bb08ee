"""Did the sound arrive? Answers taken from the samples themselves, not from packet counts. Pure Python.

All functions take 48 kHz mono 16-bit PCM (:func:`.files.read_wav` makes it of a file). A second of sound
takes about 20 ms to look at.
"""

import array
import math
import operator
import sys
from collections.abc import Sequence
from typing import NamedTuple

from .base import RATE_HZ

HOP_SECONDS = 0.01
_HOP = int(RATE_HZ * HOP_SECONDS)
_WINDOW_SECONDS = 0.02
_WINDOW = int(RATE_HZ * _WINDOW_SECONDS)
MIN_TONE_LEVEL = 0.005  # -46 dB of full scale


class Similarity(NamedTuple):
    """``score``: 1 for the same sound, near 0 for another; ``delay``: when it begins, in seconds."""

    score: float
    delay: float


def samples_of(pcm: bytes) -> "array.array[int]":
    """Return the samples as numbers; an odd last byte is dropped."""
    samples = array.array("h", pcm[: len(pcm) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def tone_level(pcm: bytes, hz: float) -> float:
    """Return the amplitude of the component at ``hz``, 0 to 1 of full scale (Goertzel)."""
    return _goertzel(samples_of(pcm), hz)


def rms_level(pcm: bytes) -> float:
    """Return the effective level, 0 to 1 of full scale."""
    samples = samples_of(pcm)
    return math.sqrt(sum(map(operator.mul, samples, samples)) / len(samples)) / 32768 if samples else 0.0


def find_tone(pcm: bytes, hz: float, *, seconds: float = 0.1, after: float = 0.0) -> float | None:
    """Return when a tone of ``hz`` begins that lasts at least ``seconds``, or None.

    A tone is what holds most of the power: speech that touches the frequency is none. ``after`` skips the
    beginning.
    """
    samples = samples_of(pcm)
    needed, run = max(1, round(seconds / _WINDOW_SECONDS)), 0
    for start in range(int(after * RATE_HZ), len(samples) - _WINDOW + 1, _WINDOW):
        window = samples[start : start + _WINDOW]
        run = run + 1 if _is_tone(window, hz) else 0
        if run == needed:
            return (start - (needed - 1) * _WINDOW) / RATE_HZ
    return None


def find_tones(pcm: bytes, hertz: Sequence[float], *, seconds: float = 0.1) -> dict[float, float | None]:
    """Return for each frequency when its tone begins, or None."""
    return {hz: find_tone(pcm, hz, seconds=seconds) for hz in hertz}


def similarity(reference: bytes, received: bytes) -> Similarity:
    """Say how well ``received`` contains ``reference``, and from when on.

    Compares how loudness runs over time, in all and in the high frequencies: that stands codecs, gain and
    delay, while another text or another voice does not reach 0.7. At least half of the reference must be
    there.
    """
    wanted, heard = _envelopes(reference), _envelopes(received)
    length = len(wanted[0])
    if length == 0:
        return Similarity(0.0, 0.0)
    best = Similarity(0.0, 0.0)
    for lag in range(-(length // 2), len(heard[0]) - (length + 1) // 2 + 1):
        first, last = max(0, -lag), min(length, len(heard[0]) - lag)
        score = min(
            _pearson(one[first:last], other[first + lag : last + lag])
            for one, other in zip(wanted, heard, strict=True)
        )
        # What is missing at the edge must not be for free.
        score *= math.sqrt((last - first) / length)
        if score > best.score:
            best = Similarity(score, lag * HOP_SECONDS)
    return best


def _goertzel(samples: Sequence[int], hz: float) -> float:
    if not samples:
        return 0.0
    step = 2 * math.pi * hz / RATE_HZ
    factor, one, two = 2 * math.cos(step), 0.0, 0.0
    for sample in samples:
        one, two = sample + factor * one - two, one
    power = one * one + two * two - factor * one * two
    return 2 * math.sqrt(max(power, 0.0)) / len(samples) / 32768


def _is_tone(window: "array.array[int]", hz: float) -> bool:
    power: float = sum(map(operator.mul, window, window)) / len(window) / 32768**2
    if power < MIN_TONE_LEVEL**2 / 2:
        return False
    tone = _goertzel(window, hz)
    return tone * tone / 2 > 0.6 * power


def _envelopes(pcm: bytes) -> tuple[list[float], list[float]]:
    """Return loudness over time, compressed as ears do: of all, and of the high frequencies."""
    samples = samples_of(pcm)
    sharp = array.array("i", map(operator.sub, samples[1:], samples))
    return _envelope(samples), _envelope(sharp)


def _envelope(samples: "array.array[int]") -> list[float]:
    starts = range(0, len(samples) - _HOP + 2, _HOP)
    return [math.sqrt(sum(map(abs, samples[start : start + _HOP]))) for start in starts]


def _pearson(one: Sequence[float], other: Sequence[float]) -> float:
    count = len(one)
    if count < 2:
        return 0.0
    mean_one, mean_other = sum(one) / count, sum(other) / count
    covariance = sum(map(operator.mul, one, other)) - count * mean_one * mean_other
    spread = sum(map(operator.mul, one, one)) - count * mean_one * mean_one
    other_spread = sum(map(operator.mul, other, other)) - count * mean_other * mean_other
    if spread <= 1e-9 or other_spread <= 1e-9:
        return 0.0
    return float(covariance / math.sqrt(spread * other_spread))
