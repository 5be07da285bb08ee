"""Ringing on a loudspeaker of its own: the calls' sound goes to the headset, the bell to the room."""

import array
import functools
import math
import threading

from shared.clock import monotonic
from shared.errors import MediaError
from shared.log import log

from .base import FRAME_BYTES, FRAME_SECONDS, RATE_HZ, Sink, SinkFactory, Source, SourceFactory
from .pcm import to_wire

RING_HZ = (440.0, 480.0)
_RING_SECONDS, _CADENCE_SECONDS = 2, 6
_LEVEL = 0.2


class RingTone:
    """The bell of a North American phone: two tones for 2 s, silence for 4 s, again and again."""

    def __init__(self) -> None:
        self._second = _one_second()
        self._frame = 0

    def read(self) -> bytes:
        """Return the next 20 ms, ``b""`` in the pauses."""
        second, at = divmod(self._frame * FRAME_BYTES, len(self._second))
        self._frame += 1
        if second % _CADENCE_SECONDS >= _RING_SECONDS:
            return b""
        return self._second[at : at + FRAME_BYTES]

    def close(self) -> None:
        """Do nothing."""


@functools.cache
def _one_second() -> bytes:
    steps = [2 * math.pi * hz / RATE_HZ for hz in RING_HZ]
    made = (sum(math.sin(step * index) for step in steps) for index in range(RATE_HZ))
    return to_wire(array.array("h", (round(value * _LEVEL / 2 * 32767) for value in made)))


class Ringer:
    """Rings while it is told to. What it rings on is opened for each ringing, on a thread of its own."""

    def __init__(self, make_sink: SinkFactory, make_source: SourceFactory = RingTone) -> None:
        self._make_sink, self._make_source = make_sink, make_source
        self._stop: threading.Event | None = None

    def ring(self, on: bool) -> None:
        """Begin or end; harmless twice."""
        if on and self._stop is None:
            self._stop = threading.Event()
            threading.Thread(target=self._run, args=(self._stop,), name="ringer", daemon=True).start()
        elif not on and self._stop is not None:
            self._stop.set()
            self._stop = None

    def _run(self, stop: threading.Event) -> None:
        try:
            sink = self._make_sink()
        except MediaError as exc:
            log.warning("ringer.silent", error=str(exc))
            return
        try:
            source = self._make_source()
        except MediaError as exc:
            log.warning("ringer.silent", error=str(exc))
            sink.close()
            return
        try:
            _play(source, sink, stop)
        finally:
            source.close()
            sink.close()


def _play(source: Source, sink: Sink, stop: threading.Event) -> None:
    due = monotonic()
    while not stop.wait(max(due - monotonic(), 0)):
        sink.write(source.read() or bytes(FRAME_BYTES))
        due += FRAME_SECONDS
