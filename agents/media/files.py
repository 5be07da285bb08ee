"""Sources and sinks without hardware: WAV files, a tone, silence, nowhere.

None of them loads PyAV, unless a WAV file must be converted to 48 kHz mono 16 bit.
"""

import array
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from shared.errors import MediaError
from shared.log import log

from .base import FRAME_BYTES, RATE_HZ
from .loading import load_av
from .pcm import to_wire
from .wav import WavFormat, read_format, write_header

_CHUNK_SECONDS = 0.5
_FLUSH_FRAMES = 25
_MAX_DATA_BYTES = (1 << 32) - (1 << 20)  # a WAV header counts to 4 GiB: twelve hours
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
    """Plays a WAV file of any rate, 1 to 8 channels, 8 to 32 bit; reads half a second ahead.

    Args:
        path: The file.
        loop: Begin again at the end, instead of falling silent.
        on_end: Called once, when the last frame was handed out (never with ``loop``).
    """

    def __init__(
        self, path: str | os.PathLike[str], *, loop: bool = False, on_end: Callable[[], None] | None = None
    ) -> None:
        self._path, self._loop, self._on_end = Path(path), loop, on_end
        self._file = _open(self._path)
        try:
            self._format = read_format(self._file, self._path)
        except BaseException:
            self._file.close()
            raise
        self._convert = _converter(self._format)
        self._pcm = bytearray()
        self.ended = False
        self._rewind()

    @property
    def seconds(self) -> float:
        """How long it plays, once."""
        return self._format.seconds

    def read(self) -> bytes:
        """Return the next 20 ms, the last one filled up with silence; ``b""`` after the end."""
        if self.ended:
            return b""
        while len(self._pcm) < FRAME_BYTES and self._fill():
            pass
        frame = bytes(self._pcm[:FRAME_BYTES])
        del self._pcm[:FRAME_BYTES]
        if not frame or not (self._pcm or self._left or self._loop):
            self.ended = True
            if self._on_end is not None:
                self._on_end()
        return frame + bytes(FRAME_BYTES - len(frame)) if frame else b""

    def close(self) -> None:
        """Close the file."""
        self.ended = True
        self._file.close()

    def _rewind(self) -> None:
        self._file.seek(self._format.start)
        self._left = self._format.size_bytes

    def _fill(self) -> bool:
        if not self._left and self._loop and self._format.size_bytes:
            self._rewind()
        wanted = int(self._format.rate_hz * _CHUNK_SECONDS) * self._format.frame_bytes
        data = self._file.read(min(wanted, self._left))
        self._left = self._left - len(data) if data else 0
        self._pcm += self._convert(data)
        return bool(data)


class WavSink:
    """Records to a WAV file, 48 kHz mono 16 bit, frame by frame as the session writes them.

    Since a session writes every 20 ms, gaps included, the recording keeps its place in time. The header is
    brought up to date every half second: what a killed process leaves behind is a readable file that lacks no
    more than that. A full disk ends the recording, not the call.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd: int | None = os.open(
                self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
            )
        except OSError as exc:
            raise MediaError(f"cannot record to {self._path}: {exc.strerror}") from exc
        self._size_bytes = 0
        self._pending = bytearray(write_header(0, RATE_HZ))
        self._frames = 0
        self._flush()

    @property
    def seconds(self) -> float:
        """How much was recorded."""
        return self._size_bytes / 2 / RATE_HZ

    def write(self, frame: bytes) -> None:
        """Append one frame."""
        if self._fd is None or self._size_bytes + len(frame) > _MAX_DATA_BYTES:
            return
        self._pending += frame
        self._size_bytes += len(frame)
        self._frames += 1
        if self._frames % _FLUSH_FRAMES == 0:
            self._flush()

    def close(self) -> None:
        """Finish the file."""
        if self._fd is not None:
            self._flush()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _flush(self) -> None:
        assert self._fd is not None
        try:
            # The data first: a header never promises what is not there.
            os.lseek(self._fd, 0, os.SEEK_END)
            while self._pending:
                del self._pending[: os.write(self._fd, self._pending)]
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, write_header(self._size_bytes, RATE_HZ))
        except OSError as exc:
            log.error("recording.failed", path=str(self._path), error=exc.strerror)
            os.close(self._fd)
            self._fd = None


def read_wav(path: str | os.PathLike[str]) -> bytes:
    """Return the whole file as 48 kHz mono 16-bit PCM."""
    source = WavSource(path)
    try:
        frames = []
        while not source.ended:
            frames.append(source.read())
        return b"".join(frames)
    finally:
        source.close()


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
