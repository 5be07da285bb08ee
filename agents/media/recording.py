"""Recording both sides of a call to a WAV file, on a thread of its own: a slow disk must not be heard.

What waits for the disk is bounded, and so is the file. When either bound is reached the recording ends, whole
up to there, and says why: a file with a gap in it would not.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from shared.errors import MediaError
from shared.log import log

from .base import FRAME_BYTES, FRAME_SECONDS, RATE_HZ
from .pcm import interleaved, mixed
from .wav import write_header

#: Ten seconds of both sides may wait for the disk: 2 MB.
_MAX_WAITING_FRAMES = 500
_WRITE_FRAMES = 25
_MAX_DATA_BYTES = (1 << 32) - (1 << 20)  # a WAV header counts to 4 GiB


class WavRecording:
    """A :class:`.handset.Recorder` that writes to ``path``; a killed process leaves all but half a second.

    Args:
        path: Overwritten; readable by its owner only.
        stereo: We on the left, the far end on the right; else both mixed.
        longest: Seconds after which it ends by itself.
        on_end: Called when it ends by itself, on the recording's thread.

    Raises:
        MediaError: The file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        stereo: bool = True,
        longest: float = 4 * 3600.0,
        on_end: Callable[[], object] | None = None,
    ) -> None:
        self._path, self._channels, self._on_end = Path(path), 2 if stereo else 1, on_end
        frame_bytes = FRAME_BYTES * self._channels
        self._left = min(round(longest / FRAME_SECONDS), _MAX_DATA_BYTES // frame_bytes)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
        except OSError as exc:
            raise MediaError(f"cannot record to {self._path}: {exc.strerror}") from exc
        self._size_bytes = 0
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        self._due, self._is_stopping = threading.Event(), False
        self._done = threading.Event()
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def path(self) -> str:
        """The file."""
        return str(self._path)

    @property
    def seconds(self) -> float:
        """How much is in the file."""
        return self._size_bytes / (2 * self._channels * RATE_HZ)

    @property
    def has_ended(self) -> bool:
        """Whether the file is whole, and nothing more will be written."""
        return self._done.is_set()

    def write(self, said: bytes, heard: bytes) -> None:
        """Take 20 ms of both sides. Never blocks."""
        if self._is_stopping:
            return
        if self._left <= 0:
            self._stop("its longest time is reached")
        elif len(self._waiting) >= _MAX_WAITING_FRAMES:
            self._stop("the disk is too slow")
        else:
            self._left -= 1
            self._waiting.append((said, heard))
            if len(self._waiting) >= _WRITE_FRAMES:
                self._due.set()

    def close(self) -> None:
        """Let the thread write what waits, and end. Returns at once; see :meth:`wait`."""
        self._stop("")

    def wait(self, time: float | None = None) -> bool:
        """Wait until the file is whole; return whether it is."""
        return self._done.wait(time)

    def _stop(self, problem: str) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self.problem = problem
        self._due.set()

    def _run(self) -> None:
        try:
            self._write(b"")
            is_last = False
            while not is_last:
                self._due.wait()
                self._due.clear()
                is_last = self._is_stopping  # asked before: what was given until then is written
                self._write(self._take())
        except OSError as exc:
            self._is_stopping, self.problem = True, exc.strerror or "it cannot be written"
        finally:
            os.close(self._fd)
            self._done.set()
            if self.problem:
                log.error("recording.ended", path=self.path, problem=self.problem)
            if self.problem and self._on_end is not None:
                self._on_end()

    def _take(self) -> bytes:
        parts = []
        while self._waiting:
            said, heard = self._waiting.popleft()
            parts.append(interleaved(said, heard) if self._channels == 2 else mixed(said, heard))
        return b"".join(parts)

    def _write(self, data: bytes) -> None:
        """Append sound; then the header, which so never promises what is not there."""
        at = os.lseek(self._fd, 0, os.SEEK_END)
        rest = memoryview(data)
        if at == 0:
            os.write(self._fd, write_header(0, RATE_HZ, channels=self._channels))
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._size_bytes += len(data)
        header = write_header(self._size_bytes, RATE_HZ, channels=self._channels)
        os.pwrite(self._fd, header, 0)
