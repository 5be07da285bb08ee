"""A source and a sink that can be exchanged in the middle of a call, without a gap.

:meth:`use` may be called from any thread. It leaves what is new in a queue, each item of which one thread
takes. The session's thread changes over at its next frame, and it alone reads, writes and closes what is
inside.
"""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from .base import Sink, Source

#: A new source that has given nothing for so many frames (0.4 s) is taken all the same: it may be silence
#: itself.
_PATIENCE_FRAMES = 20
#: An old sink stays open for so many frames (0.3 s), to play what it was given.
_DRAIN_FRAMES = 15
_End = TypeVar("_End", Source, Sink)


def _take_newest(given: deque[_End]) -> _End | None:
    """Take all that was given; return the last one, and close those before it, which nobody needs."""
    taken: _End | None = None
    while True:
        try:
            taken, before = given.popleft(), taken
        except IndexError:
            return taken
        if before is not None:
            before.close()


def _expected(given: deque[_End], now: _End) -> _End:
    """Return what was given last; ``now`` if nothing waits."""
    newest = list(given)[-1:]
    return newest[0] if newest else now


def _close_all(given: deque[_End]) -> None:
    newest = _take_newest(given)
    if newest is not None:
        newest.close()


class SwitchSource:
    """Reads from the source that was given last. ``on_close`` is called once, when the call is over."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._given: deque[Source] = deque()
        self._next: Source | None = None
        self._waited = 0
        self._is_closed = False
        self.on_close: Callable[[], None] | None = None

    @property
    def inside(self) -> Source:
        """What is read from, or will be next."""
        return _expected(self._given, self._next or self._source)

    def use(self, source: Source) -> None:
        """Change to ``source`` as soon as it has something to say: the old one is heard until then."""
        self._given.append(source)
        if self._is_closed:
            _close_all(self._given)

    def read(self) -> bytes:
        """Return the next frame."""
        if self._given:
            self._take()
        coming = self._next
        if coming is None:
            return self._source.read()
        frame = coming.read()
        self._waited += 1
        if not frame and self._waited < _PATIENCE_FRAMES:
            return self._source.read()
        old, self._source, self._next = self._source, coming, None
        old.close()
        return frame

    def _take(self) -> None:
        before, self._next, self._waited = self._next, _take_newest(self._given), 0
        if before is not None:
            before.close()

    def close(self) -> None:
        """Close all that is inside."""
        self._is_closed = True
        for source in (self._source, self._next):
            if source is not None:
                source.close()
        _close_all(self._given)
        on_close, self.on_close = self.on_close, None
        if on_close is not None:
            on_close()


class SwitchSink:
    """Writes to the sink that was given last."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._given: deque[Sink] = deque()
        self._old: list[tuple[Sink, int]] = []
        self._is_closed = False

    @property
    def inside(self) -> Sink:
        """What is written to, or will be next."""
        return _expected(self._given, self._sink)

    def use(self, sink: Sink) -> None:
        """Change to ``sink`` with the next frame; the old one plays what it has before it is closed."""
        self._given.append(sink)
        if self._is_closed:
            _close_all(self._given)

    def write(self, frame: bytes) -> None:
        """Take a frame."""
        coming = _take_newest(self._given)
        if coming is not None:
            self._old.append((self._sink, _DRAIN_FRAMES))
            self._sink = coming
        self._sink.write(frame)
        if self._old:
            self._drain()

    def close(self) -> None:
        """Close all that is inside."""
        self._is_closed = True
        for sink in (self._sink, *(old for old, _ in self._old)):
            sink.close()
        _close_all(self._given)

    def _drain(self) -> None:
        for sink, frames in self._old:
            if frames <= 1:
                sink.close()
        self._old = [(sink, frames - 1) for sink, frames in self._old if frames > 1]
