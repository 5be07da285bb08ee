"""The Opus library itself, by ctypes: FFmpeg's way to it can neither decode error correction nor conceal.

PyAV's wheels bring a libopus, and where PyAV was built for the system, it is the system's. If none is found,
:mod:`.codec` makes do with FFmpeg.
"""

import ctypes
import ctypes.util
import functools
from pathlib import Path
from typing import Any

from shared.log import log

from .base import FRAME_SAMPLES, RATE_HZ
from .loading import load_av

_APPLICATION_VOIP = 2048
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC = 4002, 4010, 4012
_SET_PACKET_LOSS_PERC, _SET_DTX, _SET_LSB_DEPTH = 4014, 4016, 4036
_MAX_PAYLOAD_BYTES = 1275
_MAX_SAMPLES = 5760  # 120 ms, the longest packet (RFC 6716 §3.2.5)


@functools.cache
def load() -> Any | None:
    """Return the library with its functions' types declared; None if this machine has none."""
    for path in _candidates():
        try:
            return _declare(ctypes.CDLL(path))
        except (OSError, AttributeError):
            continue
    log.info("opus.library_missing", consequence="no error correction for lost packets is decoded")
    return None


def _candidates() -> list[str]:
    load_av()
    import av

    package = Path(av.__file__).parent
    folders = (package.parent / "av.libs", package / ".dylibs", package / ".libs")
    found = [str(path) for folder in folders if folder.is_dir() for path in folder.glob("*opus*")]
    system = ctypes.util.find_library("opus")
    return [*(path for path in found if "opusfile" not in path), *([system] if system else [])]


def _declare(library: Any) -> Any:
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for name, result, arguments in (
        ("opus_encoder_create", pointer, [number, number, number, pointer]),
        ("opus_encoder_destroy", None, [pointer]),
        ("opus_encoder_ctl", number, [pointer, number]),  # and one more, of any kind
        ("opus_encode", number, [pointer, ctypes.c_char_p, number, ctypes.c_char_p, number]),
        ("opus_decoder_create", pointer, [number, number, pointer]),
        ("opus_decoder_destroy", None, [pointer]),
        ("opus_decode", number, [pointer, ctypes.c_char_p, number, ctypes.c_char_p, number, number]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


#: ctypes would make a class anew for each buffer, which only the garbage collector frees.
_PAYLOAD, _SOUND = ctypes.c_char * _MAX_PAYLOAD_BYTES, ctypes.c_char * (_MAX_SAMPLES * 2)


class NativeEncoder:
    """RFC 7587, mono, 20 ms. ``bit_rate`` in bit/s; ``dtx``: almost nothing is sent in silence."""

    def __init__(self, library: Any, *, bit_rate: int, fec: bool, dtx: bool) -> None:
        error = ctypes.c_int()
        self._library = library
        self._state = library.opus_encoder_create(RATE_HZ, 1, _APPLICATION_VOIP, ctypes.byref(error))
        if not self._state:
            raise OSError(f"libopus makes no encoder (error {error.value})")
        self._out = _PAYLOAD()
        self._dtx = dtx
        # Complexity 5 of 10: half the time, and no difference to be heard in speech.
        for what, value in (
            (_SET_BITRATE, bit_rate),
            (_SET_COMPLEXITY, 5),
            (_SET_INBAND_FEC, int(fec)),
            (_SET_DTX, int(dtx)),
            (_SET_LSB_DEPTH, 16),
        ):
            self._set(what, value)

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_encoder_destroy(self._state)

    def encode(self, frame: bytes) -> bytes:
        """Return the payload for one frame; ``b""`` where DTX leaves it out."""
        size = self._library.opus_encode(self._state, frame, FRAME_SAMPLES, self._out, _MAX_PAYLOAD_BYTES)
        if size < 0 or (self._dtx and size <= 2):
            return b""
        return self._out.raw[:size]

    def expect_loss(self, share: float) -> None:
        """Spend so much of the bit rate on error correction as this share of lost packets, 0 to 1, needs."""
        self._set(_SET_PACKET_LOSS_PERC, round(100 * min(max(share, 0.0), 1.0)))

    def _set(self, what: int, value: int) -> None:
        self._library.opus_encoder_ctl(self._state, what, ctypes.c_int(value))


class NativeDecoder:
    """The way back; a stereo stream is mixed down by the decoder itself."""

    def __init__(self, library: Any) -> None:
        error = ctypes.c_int()
        self._library = library
        self._state = library.opus_decoder_create(RATE_HZ, 1, ctypes.byref(error))
        if not self._state:
            raise OSError(f"libopus makes no decoder (error {error.value})")
        self._out = _SOUND()
        self._samples = FRAME_SAMPLES  # of the packet before: a lost one is as long
        self._was_dtx = False

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_decoder_destroy(self._state)

    @property
    def is_quiet(self) -> bool:
        """Whether the far end has stopped talking on purpose (DTX): what is missing is no loss."""
        return self._was_dtx

    def decode(self, payload: bytes) -> bytes:
        """Return the PCM of one packet, 2.5 to 120 ms."""
        if not payload:
            return b""
        self._was_dtx = len(payload) <= 2
        pcm = self._run(payload, _MAX_SAMPLES, fec=0)
        if pcm:
            self._samples = len(pcm) // 2
        return pcm

    def recover(self, following: bytes) -> bytes:
        """Return the PCM of a lost packet as the one after it describes it; ``b""`` if it does not."""
        return self._run(following, self._samples, fec=1) if has_correction(following) else b""

    def conceal(self) -> bytes:
        """Continue what was heard, ever quieter; after DTX: the noise behind the voice (RFC 6716 §4.4)."""
        return self._run(None, self._samples, fec=0)

    def _run(self, payload: bytes | None, samples: int, *, fec: int) -> bytes:
        size = 0 if payload is None else len(payload)
        count = self._library.opus_decode(self._state, payload, size, self._out, samples, fec)
        return self._out.raw[: count * 2] if count > 0 else b""


def has_correction(payload: bytes) -> bool:
    """Return whether a packet carries the one before it once more (RFC 6716 §4.2.4).

    Asked of one mono frame of 10 or 20 ms; others are rare on the phone, and are concealed.
    """
    if len(payload) < 3:
        return False
    configuration, stereo, count = payload[0] >> 3, payload[0] & 4, payload[0] & 3
    is_short = configuration in (0, 1, 4, 5, 8, 9, 12, 13, 14, 15)
    return is_short and not stereo and count == 0 and bool(payload[1] & 0x40)
