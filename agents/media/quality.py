"""[core] How well a call is heard: from counters to one figure, the MOS of the E-model (ITU-T G.107).

The model starts from a perfect narrow-band call (R = 93.2, all parameters at G.107's defaults) and takes away
what delay (Idd) and lost packets (Ie,eff) spoil. Loudness, noise and echo at the ends cannot be counted here,
and are taken for good. Losses are taken for random (BurstR = 1).
"""

import math
from collections import deque
from dataclasses import dataclass

from shared.messages import Quality

#: A call without any impairment, on G.107's scale from 0 to 100.
PERFECT_R = 93.2
#: Seconds from a microphone to a packet: its 20 ms, and what the codec looks ahead.
PACKET_SECONDS = 0.0265
#: How many samples back the losses count that make the figure of now.
WINDOW_SAMPLES = 10

#: Equipment impairment and robustness to loss, Ie and Bpl (G.113 appendix I; G.711 with concealment).
#: It lists no Opus: ours are those of a codec as good as G.711 that hides losses as well as G.729A does.
_IMPAIRMENTS = {"pcmu": (0.0, 25.1), "pcma": (0.0, 25.1), "opus": (0.0, 19.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a session counted since its call began. ``jitter``, ``round_trip`` and ``buffered`` are seconds.

    ``spoiled`` packets came, but too late to be played, or were skipped to keep the delay short;
    ``recovered`` ones were lost and heard all the same, by error correction. None: not known.
    """

    codec: str = ""
    sent: int = 0
    received: int = 0
    lost: int = 0
    spoiled: int = 0
    recovered: int = 0
    concealed: int = 0
    jitter: float | None = None
    round_trip: float | None = None
    buffered: float = 0.0
    loss_there: float | None = None

    @property
    def expected(self) -> int:
        """How many packets the far end sent."""
        return self.received + self.lost

    @property
    def unheard(self) -> int:
        """How many of them nobody heard."""
        return max(self.lost - self.recovered, 0) + self.spoiled


def rating(codec: str, *, loss: float, delay: float) -> float | None:
    """Return R (G.107 §7) for a share of lost packets, 0 to 1, and a one-way delay in seconds.

    None for a codec whose impairment is not known.
    """
    known = _IMPAIRMENTS.get(codec.lower())
    if known is None:
        return None
    ie, bpl = known
    percent = 100 * min(max(loss, 0.0), 1.0)
    effective = ie + (95 - ie) * percent / (percent + bpl)
    return max(PERFECT_R - _delay_impairment(delay) - effective, 0.0)


def mean_opinion_score(r: float) -> float:
    """Return the MOS of a rating (G.107 annex B): 1 is unusable, 4.5 the most there is."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6, 1.0)


def _delay_impairment(delay: float) -> float:
    """Return Idd (G.107 §7.4): nothing up to 100 ms, then more and more."""
    if delay <= 0.1:
        return 0.0
    x = math.log2(delay / 0.1)
    bend, late_bend = math.pow(1 + math.pow(x, 6), 1 / 6), math.pow(1 + math.pow(x / 3, 6), 1 / 6)
    return 25 * (bend - 3 * late_bend + 2)


class QualityMeter:
    """One call's quality: give it the counters about once a second."""

    def __init__(self) -> None:
        self.newest: Quality | None = None
        self._window: deque[Counts] = deque([Counts()], maxlen=WINDOW_SAMPLES + 1)
        self._scores = 0
        self._sum, self.worst_mos = 0.0, math.inf

    @property
    def mean_mos(self) -> float | None:
        """The mean of all samples that had a MOS; None if none had."""
        return self._sum / self._scores if self._scores else None

    def sample(self, counts: Counts) -> Quality:
        """Return what the counters say now; losses and MOS are those of the last ten samples."""
        first = self._window[0]
        self._window.append(counts)
        expected = counts.expected - first.expected
        loss = min(max(counts.unheard - first.unheard, 0) / expected, 1.0) if expected > 0 else None
        self.newest = Quality(
            codec=counts.codec,
            sent=counts.sent,
            received=counts.received,
            lost=counts.lost,
            concealed=counts.concealed,
            loss=None if loss is None else round(loss, 4),
            loss_there=None if counts.loss_there is None else round(counts.loss_there, 4),
            jitter_ms=_ms(counts.jitter),
            round_trip_ms=_ms(counts.round_trip),
            mos=self._score(counts, loss),
        )
        return self.newest

    def _score(self, counts: Counts, loss: float | None) -> float | None:
        if loss is None or counts.round_trip is None:
            return None  # nothing is heard, or nobody knows how late: a guess would look like a figure
        delay = counts.round_trip / 2 + counts.buffered + PACKET_SECONDS
        r = rating(counts.codec, loss=loss, delay=delay)
        if r is None:
            return None
        mos = mean_opinion_score(r)
        self._scores, self._sum, self.worst_mos = self._scores + 1, self._sum + mos, min(self.worst_mos, mos)
        return round(mos, 2)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
