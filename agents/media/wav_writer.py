"""Writing a WAV file on a thread of its own: a slow disk must not be heard in any call.

What waits for the disk is bounded. The header is brought up to date after each piece: what a killed process
leaves behind is a readable file that lacks what still waited, which is half a second on a disk that keeps up.
"""

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from shared.errors import MediaError

from .base import FRAME_BYTES, RATE_HZ
from .pcm import interleaved, mixed
from .wav import write_header

#: Ten seconds of both sides may wait for the disk: 2 MB.
MAX_WAITING_FRAMES = 500
_WRITE_FRAMES = 25
#: How long the end of the process waits for a disk, in seconds.
_EXIT_TIME = 2.0
#: A WAV header counts to 4 GiB: twelve hours of one channel.
MAX_DATA_BYTES = (1 << 32) - (1 << 20)


class WavWriter:
    """Writes frames of 20 ms to ``path``, 48 kHz 16 bit, until it is closed or fails.

    Args:
        path: Overwritten; readable by its owner only.
        channels: 1, or 2.
        on_end: Called on the writer's thread when nothing more will be written, with :attr:`problem`.

    Raises:
        MediaError: The file cannot be written.
    """

    def __init__(
        self, path: Path, *, channels: int = 1, on_end: Callable[[str], object] = lambda _problem: None
    ) -> None:
        self._channels, self._on_end = channels, on_end
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._fd = os.open(path, flags, 0o600)
        except OSError as exc:
            raise MediaError(f"cannot record to {path}: {exc.strerror}") from exc
        self._size_bytes = 0
        self._waiting: deque[tuple[bytes, ...] | int] = deque()  # sides of a frame, or silent frames
        self._due, self._done, self._is_closing = threading.Event(), threading.Event(), False
        self.problem = ""
        """Why it has ended, if that was not by :meth:`close`."""
        self._try(self._append)  # the header: what is read at once is a recording, of nothing
        atexit.register(self._finish)
        threading.Thread(target=self._run, name="wav-writer", daemon=True).start()

    @property
    def seconds(self) -> float:
        """How much is in the file."""
        return self._size_bytes / (2 * self._channels * RATE_HZ)

    @property
    def has_room(self) -> bool:
        """Whether a frame can be put: the disk is not too far behind."""
        return len(self._waiting) < MAX_WAITING_FRAMES

    @property
    def has_ended(self) -> bool:
        """Whether the file is whole, and nothing more will be written."""
        return self._done.is_set()

    def put(self, *sides: bytes) -> None:
        """Take 20 ms, of one side or of two, which are mixed if there is one channel. Never blocks."""
        self._waiting.append(sides)
        if len(self._waiting) >= _WRITE_FRAMES:
            self._due.set()

    def skip(self, frames: int) -> None:
        """Let the file be silent for so many frames; that takes no memory, and no place on most disks."""
        self._waiting.append(frames)

    def close(self) -> None:
        """Let the thread write what waits, and end. Returns at once; see :meth:`wait`."""
        self._is_closing = True
        self._due.set()

    def wait(self, time: float | None = None) -> bool:
        """Wait until the file is whole; return whether it is."""
        return self._done.wait(time)

    def _finish(self) -> None:
        self.close()
        self.wait(_EXIT_TIME)

    def _run(self) -> None:
        is_last = bool(self.problem)
        try:
            while not is_last:
                self._due.wait()
                self._due.clear()
                is_last = self._is_closing  # asked before: what was given until then is written
                is_last = not self._try(self._append) or is_last
        finally:
            os.close(self._fd)
            atexit.unregister(self._finish)
            self._done.set()
            self._on_end(self.problem)

    def _try(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except OSError as exc:
            self.problem = exc.strerror or "it cannot be written"
        return not self.problem

    def _append(self) -> None:
        """Write what waits; then the header, which so never promises what is not there."""
        while self._waiting:
            sound, silent_frames = self._take()
            self._write(sound, self._end)
            self._size_bytes += len(sound) + silent_frames * self._frame_bytes
            if silent_frames:
                os.ftruncate(self._fd, self._end)
        self._write(self._header(), 0)

    def _take(self) -> tuple[bytes, int]:
        """Return what waits until the next silence, and how many frames that lasts."""
        sound: list[bytes] = []
        while self._waiting:
            piece = self._waiting.popleft()
            if isinstance(piece, int):
                return b"".join(sound), piece
            sound.append(self._join(piece))
        return b"".join(sound), 0

    def _join(self, sides: tuple[bytes, ...]) -> bytes:
        if len(sides) == 1:
            return sides[0]
        return interleaved(*sides) if self._channels == 2 else mixed(*sides)

    @property
    def _frame_bytes(self) -> int:
        return FRAME_BYTES * self._channels

    @property
    def _end(self) -> int:
        return len(self._header()) + self._size_bytes

    def _header(self) -> bytes:
        return write_header(self._size_bytes, RATE_HZ, channels=self._channels)

    def _write(self, data: bytes, at: int) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._fd, rest, at)
            rest, at = rest[written:], at + written
