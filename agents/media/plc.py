"""What is played when nothing came: the voice of a moment ago (G.711 appendix I), and the noise behind it.

Pure Python on few samples: both run only when a packet is missing.
"""

import array
import operator
import random

from .analysis import samples_of
from .base import FRAME_BYTES, SILENCE
from .pcm import to_wire

_PITCH_HZ = (60, 400)
_SEARCH_RATE_HZ = 8000
_FADE_SECONDS = 0.06
_OVERLAP_SECONDS = 0.004
#: Louder than this (-46 dB of full scale) is no background: a tone or music is not imitated by noise.
_MAX_BACKGROUND = 0.005
_QUIET_FRAMES = 150
_SPARSE = 16
_NOISE_FRAMES = 25


class Concealer:
    """Repeats the last period of a voice in place of what is lost, fading out within 60 ms."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._past = array.array("h", bytes(2 * rate_hz // 25))  # 40 ms: two periods of the deepest voice
        self._period: array.array[int] = array.array("h")
        self._at = 0  # samples concealed since the last that was heard

    def heard(self, pcm: bytes) -> bytes:
        """Remember what is played; blend its beginning with what was concealed before it, and return it."""
        samples = samples_of(pcm)
        if self._at and samples:
            self._blend(samples)
            pcm = to_wire(samples)
        self._at = 0
        keep = len(self._past)
        self._past = (self._past + samples)[-keep:]
        return pcm

    def conceal(self, count: int) -> bytes:
        """Return ``count`` samples in place of what is lost."""
        if not self._at:
            self._period = self._past[-self._find_period() :]
        fade = self._rate_hz * _FADE_SECONDS
        made = array.array("h", bytes(2 * count))
        if self._at < fade:
            period, length = self._period, len(self._period)
            for index in range(count):
                place = self._at + index
                made[index] = int(period[place % length] * max(1 - place / fade, 0.0))
        self._at += count
        return to_wire(made)

    def _blend(self, samples: "array.array[int]") -> None:
        """Cross-fade, so that the change back makes no click."""
        length = min(int(self._rate_hz * _OVERLAP_SECONDS), len(samples))
        at = self._at
        ours = samples_of(self.conceal(length))
        self._at = at
        for index in range(length):
            share = index / length
            samples[index] = int(samples[index] * share + ours[index] * (1 - share))

    def _find_period(self) -> int:
        """Return the length in samples after which the newest sound repeats best."""
        step = self._rate_hz // _SEARCH_RATE_HZ
        past = self._past[::step]
        newest = past[-_SEARCH_RATE_HZ // 100 :]  # 10 ms
        low, high = _SEARCH_RATE_HZ // _PITCH_HZ[1], _SEARCH_RATE_HZ // _PITCH_HZ[0]
        best, best_score = high, 0.0
        for lag in range(low, high + 1):
            start = len(past) - len(newest) - lag
            other = past[start : start + len(newest)]
            power = sum(map(operator.mul, other, other))
            match = sum(map(operator.mul, newest, other))
            # Later is only better if it is clearly better, or two periods would be taken for one.
            if power and match > 0 and match * match / power > best_score * 1.02:
                best, best_score = lag, match * match / power
        return best * step


class ComfortNoise:
    """Learns how loud it is behind the far end's voice; plays noise like that while nothing comes.

    Dead silence sounds as if the call were over. A far end that is digitally silent gets silence all the
    same.
    """

    def __init__(self) -> None:
        self._quietest, self._frames = 1.0, 0
        self._noise = b""
        self._level = 0.0  # 0 to 1 of full scale; what is played

    @property
    def level(self) -> float:
        """The effective level of the noise, 0 to 1 of full scale."""
        return self._level

    def heard(self, frame: bytes) -> None:
        """Learn from a frame that came."""
        some = samples_of(frame)[::_SPARSE]
        power: int = sum(map(operator.mul, some, some))
        self._quietest = min(self._quietest, (power / max(len(some), 1)) ** 0.5 / 32768)
        self._frames += 1
        if self._frames >= _QUIET_FRAMES:
            self._level = self._quietest if self._quietest <= _MAX_BACKGROUND else 0.0
            self._quietest, self._frames, self._noise = 1.0, 0, b""

    def frame(self) -> bytes:
        """Return 20 ms of noise."""
        if self._level <= 0:
            return SILENCE
        if not self._noise:
            self._noise = _noise(self._level)
        start = random.randrange(_NOISE_FRAMES - 1) * FRAME_BYTES
        return self._noise[start : start + FRAME_BYTES]


def _noise(level: float) -> bytes:
    spread = level * 32768 * 3**0.5  # of an even distribution with that effective value
    made, value = array.array("h", bytes(_NOISE_FRAMES * FRAME_BYTES)), 0.0
    for index in range(len(made)):
        # A gentle low-pass, as a room hums more than it hisses; it makes the noise 1.4 times as loud.
        value = 0.7 * value + random.uniform(-1, 1)
        made[index] = int(value / 1.4 * spread)
    return to_wire(made)
