"""Recordings with bounds: how long each may be, and how many are written at a time."""

from collections.abc import Callable
from pathlib import Path

from agents.media.base import FRAME_SECONDS
from agents.media.files import WavSink
from shared.log import log

from .board import Board
from .mixing import mix
from .room import Room


class BoundedSink:
    """A WAV file that ends after ``seconds``; ``on_full`` is told then, and ``on_close`` once, at its end."""

    def __init__(self, path: Path, seconds: float, on_close: Callable[[], None]) -> None:
        self._sink: WavSink | None = WavSink(path)
        self._left = round(seconds / FRAME_SECONDS)
        self._on_close = on_close
        self.on_full: Callable[[], None] = lambda: None

    def write(self, frame: bytes) -> None:
        """Append a frame."""
        if self._sink is None:
            return
        self._sink.write(frame)
        self._left -= 1
        if self._left <= 0:
            self.close()
            self.on_full()

    def close(self) -> None:
        """Finish the file; harmless twice."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.close()
            self._on_close()


class Nowhere:
    """Where sound goes that there is no recorder for."""

    def __init__(self) -> None:
        self.on_full: Callable[[], None] = lambda: None

    def write(self, frame: bytes) -> None:
        """Drop the frame."""

    def close(self) -> None:
        """Do nothing."""


class Recorders:
    """All recorders of one service.

    Args:
        directory: Where the files go.
        most: How many may write at a time.
    """

    def __init__(self, board: Board, directory: Path, *, most: int) -> None:
        self.directory = directory
        self.busy = 0
        self._board, self._most = board, most
        directory.mkdir(mode=0o700, exist_ok=True)

    def sink(self, path: Path, seconds: float) -> BoundedSink | None:
        """Return a new file to write to, for at most ``seconds``; None if all recorders are busy.

        Raises:
            MediaError: The file cannot be written.
        """
        if self.busy >= self._most:
            log.warning("recorder.none_free", most=self._most, path=str(path))
            return None
        sink = BoundedSink(path, seconds, self._free)
        self.busy += 1
        return sink

    def record(self, room: Room, name: str, seconds: float, ended: Callable[[], None]) -> "Recording | None":
        """Record all who talk in a room into ``name``.wav; None if all recorders are busy.

        ``ended`` is told when it is over: stopped, or as long as it may be.
        """
        path = self.directory / f"{name}.wav"
        sink = self.sink(path, seconds)
        return Recording(self._board, room, sink, path, ended) if sink is not None else None

    def _free(self) -> None:
        self.busy -= 1


class Recording:
    """All sides of one conversation, in one track; who holds is left out as long as it does."""

    def __init__(
        self, board: Board, room: Room, sink: BoundedSink, path: Path, ended: Callable[[], None]
    ) -> None:
        self.path = path
        self._board, self._room, self._sink, self._ended = board, room, sink, ended
        sink.on_full = self.stop
        board.add(self)

    def step(self, tick: int) -> None:
        """Write what is said at this tick."""
        self._sink.write(mix(voice.frame(tick) for voice in self._room.speakers()))

    def stop(self) -> None:
        """Finish the file; harmless twice."""
        ended, self._ended = self._ended, lambda: None
        self._board.remove(self)
        self._sink.close()
        ended()
