"""Sources and sinks without hardware: WAV files, a tone, silence, nowhere.

The disk is waited for on other threads, as who reads and writes here carries the sound of all calls. None of
them loads PyAV, unless a WAV file must be converted to 48 kHz mono 16 bit.
"""

import array
import functools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from shared.errors import MediaError
from shared.log import log

from .base import FRAME_BYTES, FRAME_SECONDS, RATE_HZ
from .loading import load_av
from .pcm import to_wire
from .wav import WavFormat, read_format
from .wav_writer import MAX_DATA_BYTES, WavWriter

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_CHUNK_SECONDS = 0.5
_CHUNK_BYTES = FRAME_BYTES * round(_CHUNK_SECONDS / FRAME_SECONDS)
_AHEAD_BYTES = 2 * _CHUNK_BYTES
#: How long the end of a recording may hold up the calls for a file that is whole; no jitter buffer minds.
_CLOSE_TIME = 0.1
_MOST_FRAMES = MAX_DATA_BYTES // FRAME_BYTES
_AV_FORMATS = {"u8": "u8", "s16": "s16", "s24": "s16", "s32": "s32", "f32": "flt"}


class Silence:
    """A source that has nothing to say."""

    def read(self) -> bytes:
        """Return ``b""``: silence is sent."""
        return b""

    def close(self) -> None:
        """Do nothing."""


class NullSink:
    """A sink that forgets."""

    def write(self, frame: bytes) -> None:
        """Drop the frame."""

    def close(self) -> None:
        """Do nothing."""


class ToneSource:
    """A sine tone of ``hz`` at a quarter of full scale (-12 dB), for tests and for finding one's way."""

    def __init__(self, hz: float, *, level: float = 0.25) -> None:
        if not 20 <= hz <= 20_000:
            raise MediaError(f"a tone of {hz:g} Hz cannot be played; choose 20 to 20000")
        # One second holds a whole number of periods of every whole frequency, so it repeats without a click.
        step = 2 * math.pi * hz / RATE_HZ
        samples = array.array("h", (round(32767 * level * math.sin(step * i)) for i in range(RATE_HZ)))
        self._pcm = to_wire(samples)
        self._at = 0

    def read(self) -> bytes:
        """Return the next 20 ms."""
        frame = self._pcm[self._at : self._at + FRAME_BYTES]
        self._at = (self._at + FRAME_BYTES) % len(self._pcm)
        return frame

    def close(self) -> None:
        """Do nothing."""


class WavSource:
    """Plays a WAV file of any rate, 1 to 8 channels, 8 to 32 bit; reads a second ahead, on another thread.

    A disk that is slower than the sound makes it pause: what is late is silence, and the file is heard whole.

    Args:
        path: The file.
        loop: Begin again at the end, instead of falling silent.
        on_end: Called once, when the last frame was handed out (never with ``loop``).
    """

    def __init__(
        self, path: str | os.PathLike[str], *, loop: bool = False, on_end: Callable[[], None] | None = None
    ) -> None:
        self._file, self._on_end = WavFile(path, loop=loop), on_end
        self._coming: Future[bytes] | None = None
        self._pcm = bytearray(self._file.next() + self._file.next())
        self.ended = False
        self.late_frames = 0
        """Frames that were not there in time."""

    @property
    def seconds(self) -> float:
        """How long it plays, once."""
        return self._file.seconds

    def read(self) -> bytes:
        """Return the next 20 ms, the last one filled up with silence; ``b""`` after the end."""
        if self.ended:
            return b""
        self._look_ahead()
        if len(self._pcm) < FRAME_BYTES and self._coming is not None:
            self._note_late()
            return b""
        frame = bytes(self._pcm[:FRAME_BYTES])
        del self._pcm[:FRAME_BYTES]
        if not self._pcm and self._coming is None and self._file.is_over:
            self.ended = True
            if self._on_end is not None:
                self._on_end()
        return frame.ljust(FRAME_BYTES, b"\0") if frame else b""

    def close(self) -> None:
        """Close the file."""
        self.ended = True
        coming, self._coming = self._coming, None
        if coming is None:
            self._file.close()
        else:
            coming.add_done_callback(lambda _: self._file.close())

    def _look_ahead(self) -> None:
        """Take what was read meanwhile, and have more read as long as that is not a second."""
        if self._coming is not None and self._coming.done():
            coming, self._coming = self._coming, None
            self._pcm += coming.result()
        if self._coming is None and len(self._pcm) < _AHEAD_BYTES and not self._file.is_over:
            self._coming = _readers().submit(self._file.next)

    def _note_late(self) -> None:
        self.late_frames += 1
        if self.late_frames == 1:
            log.warning("source.late", path=str(self._file.path), cause="the disk is too slow")


@functools.cache
def _readers() -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor  # not for a window that plays no file

    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="wav-reader")


class WavSink:
    """Records to a WAV file, 48 kHz mono 16 bit, frame by frame as the session writes them.

    Since a session writes every 20 ms, gaps included, the recording keeps its place in time; also where the
    disk is too slow for it: what does not fit into ten seconds is silence in the file. A full disk ends the
    recording, not the call. For the rest see :mod:`.wav_writer`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise MediaError(f"cannot record to {self._path}: {exc.strerror}") from exc
        self._writer = WavWriter(self._path, on_end=self._ended)
        self._frames = self._gap = 0
        self._is_closed = False
        self.lost_frames = 0
        """Frames that did not fit."""

    @property
    def seconds(self) -> float:
        """How much was recorded, what did not fit included."""
        return self._frames * FRAME_SECONDS

    def write(self, frame: bytes) -> None:
        """Append one frame."""
        if self._is_closed or self._writer.problem or self._frames >= _MOST_FRAMES:
            return
        self._frames += 1
        if self._writer.has_room:
            self._fill_gap()
            self._writer.put(frame)
        else:
            self._lose()

    def close(self) -> None:
        """Finish the file: a disk that keeps up has it whole then, a slow one some time later."""
        if not self._is_closed:
            self._is_closed = True
            self._fill_gap()
            self._writer.close()
            self.wait(_CLOSE_TIME)

    def wait(self, time: float | None = None) -> bool:
        """Wait until the file is whole; return whether it is."""
        return self._writer.wait(time)

    def _fill_gap(self) -> None:
        if self._gap:
            self._writer.skip(self._gap)
            self._gap = 0

    def _lose(self) -> None:
        self.lost_frames, self._gap = self.lost_frames + 1, self._gap + 1
        if self.lost_frames == 1:
            log.warning("recording.gap", path=str(self._path), cause="the disk is too slow")

    def _ended(self, problem: str) -> None:
        if problem:
            log.error("recording.failed", path=str(self._path), error=problem)


def read_wav(path: str | os.PathLike[str]) -> bytes:
    """Return the whole file as 48 kHz mono 16-bit PCM, in whole frames."""
    file = WavFile(path)
    try:
        parts = []
        while not file.is_over:
            parts.append(file.next())
    finally:
        file.close()
    pcm = b"".join(parts)
    return pcm.ljust(-(-len(pcm) // FRAME_BYTES) * FRAME_BYTES, b"\0")


class WavFile:
    """A WAV file as 48 kHz mono 16-bit PCM, half a second at a time. Blocks; for one thread at a time.

    Raises:
        MediaError: It cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], *, loop: bool = False) -> None:
        self.path = Path(path)
        self._file = _open(self.path)
        try:
            self._format = read_format(self._file, self.path)
        except BaseException:
            self._file.close()
            raise
        self._convert = _converter(self._format)
        self._loop = loop and self._format.size_bytes > 0
        self.is_over = False
        self._rewind()

    @property
    def seconds(self) -> float:
        """How long it plays, once."""
        return self._format.seconds

    def next(self) -> bytes:
        """Return the next half second, or what is left."""
        pcm = bytearray()
        while len(pcm) < _CHUNK_BYTES and not self.is_over:
            pcm += self._some()
        return bytes(pcm)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rewind(self) -> None:
        self._file.seek(self._format.start)
        self._left = self._format.size_bytes

    def _some(self) -> bytes:
        wanted = int(self._format.rate_hz * _CHUNK_SECONDS) * self._format.frame_bytes
        data = self._read(min(wanted, self._left))
        self._left = self._left - len(data) if data else 0
        if self._left:
            return self._convert(data)
        if self._loop and data:
            self._rewind()
            return self._convert(data)
        self.is_over = True
        return self._convert(data) + (self._convert(b"") if data else b"")

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as exc:
            log.error("source.failed", path=str(self.path), error=exc.strerror)
            return b""


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as exc:
        raise MediaError(f"cannot read {path}: {exc.strerror}") from exc


def _converter(form: WavFormat) -> Callable[[bytes], bytes]:
    """Return what turns the file's data, piece by piece and ``b""`` at the end, into our PCM."""
    if (form.rate_hz, form.channels, form.sample) == (RATE_HZ, 1, "s16"):
        return bytes
    load_av()  # FFmpeg, a quarter of a second: only where a file needs it
    from av.audio.frame import AudioFrame
    from av.audio.resampler import AudioResampler

    layout = {1: "mono", 2: "stereo"}.get(form.channels, f"{form.channels}c")
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    width = form.frame_bytes

    def convert(data: bytes) -> bytes:
        if data:
            frame = AudioFrame(format=_AV_FORMATS[form.sample], layout=layout, samples=len(data) // width)
            frame.planes[0].update(_top_16_of_24(data) if form.sample == "s24" else data)
            frame.sample_rate = form.rate_hz
            parts = resampler.resample(frame)
        else:
            parts = resampler.resample(None)
        return b"".join(bytes(part.planes[0])[: part.samples * 2] for part in parts)

    return convert


def _top_16_of_24(data: bytes) -> bytes:
    out = bytearray(len(data) // 3 * 2)
    out[0::2], out[1::2] = data[1::3], data[2::3]
    return bytes(out)
