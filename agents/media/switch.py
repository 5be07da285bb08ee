"""A source and a sink that can be exchanged in the middle of a call, without a gap.

:meth:`use` may be called from any thread. The session's thread changes over at its next frame, and it alone
reads, writes and closes what is inside.
"""

from collections.abc import Callable

from .base import Sink, Source

#: A new source that has given nothing for so many frames (0.4 s) is taken all the same: it may be silence
#: itself.
_PATIENCE_FRAMES = 20
#: An old sink stays open for so many frames (0.3 s), to play what it was given.
_DRAIN_FRAMES = 15


class SwitchSource:
    """Reads from the source that was given last. ``on_close`` is called once, when the call is over."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._next: Source | None = None
        self._waited = 0
        self._is_closed = False
        self.on_close: Callable[[], None] | None = None

    @property
    def inside(self) -> Source:
        """What is read from, or will be next."""
        return self._next or self._source

    def use(self, source: Source) -> None:
        """Change to ``source`` as soon as it has something to say: the old one is heard until then."""
        before, self._next, self._waited = self._next, source, 0
        if before is not None:
            before.close()
        if self._is_closed:
            source.close()

    def read(self) -> bytes:
        """Return the next frame."""
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

    def close(self) -> None:
        """Close all that is inside."""
        self._is_closed = True
        for source in (self._source, self._next):
            if source is not None:
                source.close()
        on_close, self.on_close = self.on_close, None
        if on_close is not None:
            on_close()


class SwitchSink:
    """Writes to the sink that was given last."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._next: Sink | None = None
        self._old: list[tuple[Sink, int]] = []
        self._is_closed = False

    @property
    def inside(self) -> Sink:
        """What is written to, or will be next."""
        return self._next or self._sink

    def use(self, sink: Sink) -> None:
        """Change to ``sink`` with the next frame; the old one plays what it has before it is closed."""
        before, self._next = self._next, sink
        if before is not None:
            before.close()
        if self._is_closed:
            sink.close()

    def write(self, frame: bytes) -> None:
        """Take a frame."""
        coming, self._next = self._next, None
        if coming is not None:
            self._old.append((self._sink, _DRAIN_FRAMES))
            self._sink = coming
        self._sink.write(frame)
        if self._old:
            self._drain()

    def close(self) -> None:
        """Close all that is inside."""
        self._is_closed = True
        for sink in (self._sink, self._next, *(old for old, _ in self._old)):
            if sink is not None:
                sink.close()

    def _drain(self) -> None:
        for sink, frames in self._old:
            if frames <= 1:
                sink.close()
        self._old = [(sink, frames - 1) for sink, frames in self._old if frames > 1]
