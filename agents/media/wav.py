"""The RIFF WAVE container: reading whatever a person may have, writing what survives a kill.

Python's ``wave`` refuses the extensible header, which is what many programs write for 24 bit.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from shared.errors import MediaError

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_MAX_CHUNKS = 100


@dataclass(frozen=True, slots=True)
class WavFormat:
    """What is in a file: ``sample`` is u8, s16, s24, s32 or f32; ``size_bytes`` of data from ``start``."""

    rate_hz: int
    channels: int
    sample: str
    start: int
    size_bytes: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * {"u8": 1, "s16": 2, "s24": 3, "s32": 4, "f32": 4}[self.sample]

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return self.size_bytes / self.frame_bytes / self.rate_hz


def read_format(file: BinaryIO, path: Path) -> WavFormat:
    """Read the header of ``file``; raise :exc:`MediaError`, naming ``path``, if it is no usable WAV."""
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        raise MediaError(
            f"{path} is no WAV file; convert it, for example: sox INPUT -r 48000 -c 1 {path.name}"
        )
    fmt = b""
    for _ in range(_MAX_CHUNKS):
        chunk = file.read(8)
        if len(chunk) < 8:
            break
        name, size = chunk[:4], int.from_bytes(chunk[4:], "little")
        if name == b"fmt ":
            fmt = file.read(min(size, 1024))
            file.seek(size - len(fmt) + size % 2, 1)
        elif name == b"data":
            start = file.tell()
            # A writer that was killed, or that wrote to a pipe, leaves a size of zero or the largest there
            # is.
            present = file.seek(0, 2) - start
            return _format(fmt, path, start, present if size in (0, 0xFFFFFFFF) else min(size, present))
        else:
            file.seek(size + size % 2, 1)
    raise MediaError(f"{path} is no usable WAV file: it has no sound data")


def _format(fmt: bytes, path: Path, start: int, size_bytes: int) -> WavFormat:
    if len(fmt) < 16:
        raise MediaError(f"{path} is no usable WAV file: its format is not told")
    code, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", fmt)
    if code == _EXTENSIBLE and len(fmt) >= 26:
        code = int.from_bytes(fmt[24:26], "little")
    kinds = {(_PCM, 8): "u8", (_PCM, 16): "s16", (_PCM, 24): "s24", (_PCM, 32): "s32", (_FLOAT, 32): "f32"}
    sample = kinds.get((code, bits))
    if sample is None or not 1 <= channels <= 8 or not 4000 <= rate_hz <= 384_000:
        raise MediaError(
            f"{path} holds a kind of sound that is not read (format {code}, {bits} bit, {channels} channels, "
            f"{rate_hz} Hz); convert it: sox {path.name} -b 16 -r 48000 -c 1 converted.wav"
        )
    form = WavFormat(rate_hz, channels, sample, start, size_bytes)
    return WavFormat(rate_hz, channels, sample, start, size_bytes - size_bytes % form.frame_bytes)


def write_header(data_bytes: int, rate_hz: int, *, channels: int = 1) -> bytes:
    """Return the 44-byte header of a 16-bit file with ``data_bytes`` of sound."""
    width = 2 * channels
    fmt = struct.pack("<HHIIHH", _PCM, channels, rate_hz, rate_hz * width, width, 16)
    riff = b"RIFF" + struct.pack("<I", 36 + data_bytes) + b"WAVE"
    return riff + b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", data_bytes)
