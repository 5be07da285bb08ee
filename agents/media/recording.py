"""Recording both sides of a call to a WAV file.

What waits for the disk is bounded, and so is the file. When either bound is reached the recording ends, whole
up to there, and says why: a file with a gap in it would not.
"""

import os
from collections.abc import Callable
from pathlib import Path

from shared.log import log

from .base import FRAME_BYTES, FRAME_SECONDS
from .wav_writer import MAX_DATA_BYTES, WavWriter


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
        self._path, self._on_end = Path(path), on_end
        channels = 2 if stereo else 1
        self._left = min(round(longest / FRAME_SECONDS), MAX_DATA_BYTES // (FRAME_BYTES * channels))
        self._is_stopping, self._problem = False, ""
        self._writer = WavWriter(self._path, channels=channels, on_end=self._ended)

    @property
    def path(self) -> str:
        """The file."""
        return str(self._path)

    @property
    def seconds(self) -> float:
        """How much is in the file."""
        return self._writer.seconds

    @property
    def problem(self) -> str:
        """Why it ended before its time; "" if it did not."""
        return self._writer.problem or self._problem

    @property
    def has_ended(self) -> bool:
        """Whether the file is whole, and nothing more will be written."""
        return self._writer.has_ended

    def write(self, said: bytes, heard: bytes) -> None:
        """Take 20 ms of both sides. Never blocks."""
        if self._is_stopping or self._writer.problem:
            return
        if self._left <= 0:
            self._stop("its longest time is reached")
        elif not self._writer.has_room:
            self._stop("the disk is too slow")
        else:
            self._left -= 1
            self._writer.put(said, heard)

    def close(self) -> None:
        """Let the thread write what waits, and end. Returns at once; see :meth:`wait`."""
        self._stop("")

    def wait(self, time: float | None = None) -> bool:
        """Wait until the file is whole; return whether it is."""
        return self._writer.wait(time)

    def _stop(self, problem: str) -> None:
        if not self._is_stopping:
            self._is_stopping, self._problem = True, problem
        self._writer.close()

    def _ended(self, problem: str) -> None:
        """Take that nothing more is written. On the writer's thread."""
        problem = problem or self._problem
        if problem:
            log.error("recording.ended", path=self.path, problem=problem)
            if self._on_end is not None:
                self._on_end()
