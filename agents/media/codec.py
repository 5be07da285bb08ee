"""Audio codecs by way of PyAV, each a pair of functions between 20 ms frames of PCM and RTP payloads.

Importing this module loads FFmpeg (about 30 MB): only :mod:`.webrtc` and what it uses may. Opus is mono, 32
kbit/s, for voice, with in-band error correction for the benefit of those who can use it.
"""

import fractions
from typing import Protocol

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.packet import Packet

from .base import FRAME_BYTES, FRAME_SAMPLES, RATE_HZ

_OPUS_BIT_RATE = 32_000


class Encoder(Protocol):
    """Frames of PCM in, payloads out."""

    def encode(self, frame: bytes) -> bytes:
        """Return the payload for one frame; ``b""`` while the codec still looks ahead."""


class Decoder(Protocol):
    """Payloads in, PCM out. A payload that cannot be decoded gives ``b""``."""

    def decode(self, payload: bytes) -> bytes:
        """Return PCM of any length."""

    def conceal(self) -> bytes:
        """Return 20 ms of PCM in place of a packet that is lost."""


def _pcm_frame(pcm: bytes, rate_hz: int, layout: str = "mono") -> AudioFrame:
    frame = AudioFrame(format="s16", layout=layout, samples=len(pcm) // 2)
    frame.planes[0].update(pcm)
    frame.sample_rate = rate_hz
    return frame


def _pcm_bytes(frames: list[AudioFrame]) -> bytes:
    # A plane may be padded beyond its samples, for alignment.
    return b"".join(bytes(frame.planes[0])[: frame.samples * 2] for frame in frames)


class OpusEncoder:
    """RFC 7587, mono."""

    def __init__(self) -> None:
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.bit_rate = _OPUS_BIT_RATE
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", RATE_HZ
        codec.time_base = fractions.Fraction(1, RATE_HZ)
        # Complexity 5 of 10: half the time, and no difference to be heard in speech.
        codec.options = {"application": "voip", "fec": "1", "packet_loss": "5", "compression_level": "5"}
        self._codec = codec
        self._samples = 0

    def encode(self, frame: bytes) -> bytes:
        """Return the payload for one frame."""
        pcm = _pcm_frame(frame, RATE_HZ)
        pcm.pts, pcm.time_base = self._samples, fractions.Fraction(1, RATE_HZ)
        self._samples += FRAME_SAMPLES
        return b"".join(bytes(packet) for packet in self._codec.encode(pcm))


class OpusDecoder:
    """RFC 7587; a stereo stream is mixed down by the decoder itself."""

    def __init__(self) -> None:
        codec = av.CodecContext.create("libopus", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", RATE_HZ
        self._codec = codec
        self._mono = AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
        self._toc = b""

    def decode(self, payload: bytes) -> bytes:
        """Return the PCM of one packet, 2.5 to 120 ms."""
        if not payload:
            return b""
        self._toc = payload[:1]
        return self._run(payload)

    def conceal(self) -> bytes:
        """Let Opus continue what it heard: a packet without frame data means just that (RFC 6716 §3.4)."""
        if not self._toc:
            return b""
        return self._run(bytes([self._toc[0] & 0xFC]))

    def _run(self, payload: bytes) -> bytes:
        try:
            frames = self._codec.decode(Packet(payload))
            return _pcm_bytes([mono for frame in frames for mono in self._mono.resample(frame)])
        except (av.FFmpegError, ValueError):
            return b""


class G711Encoder:
    """RFC 3551 §4.5.14: 8 kHz; ``law`` is ``"mulaw"`` (PCMU) or ``"alaw"`` (PCMA)."""

    def __init__(self, law: str) -> None:
        codec = av.CodecContext.create(f"pcm_{law}", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", 8000
        codec.time_base = fractions.Fraction(1, 8000)
        self._codec = codec
        self._resampler = AudioResampler(format="s16", layout="mono", rate=8000)
        self._pending = b""

    def encode(self, frame: bytes) -> bytes:
        """Return 160 bytes, or ``b""`` for the first frame, while the resampler fills."""
        for part in self._resampler.resample(_pcm_frame(frame, RATE_HZ)):
            self._pending += b"".join(bytes(packet) for packet in self._codec.encode(part))
        if len(self._pending) < 160:
            return b""
        payload, self._pending = self._pending[:160], self._pending[160:]
        return payload


class G711Decoder:
    """The way back from :class:`G711Encoder`."""

    def __init__(self, law: str) -> None:
        codec = av.CodecContext.create(f"pcm_{law}", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", 8000
        self._codec = codec
        self._resampler = AudioResampler(format="s16", layout="mono", rate=RATE_HZ)

    def decode(self, payload: bytes) -> bytes:
        """Return the PCM of one packet."""
        try:
            frames = self._codec.decode(Packet(payload)) if payload else []
            return _pcm_bytes([part for frame in frames for part in self._resampler.resample(frame)])
        except (av.FFmpegError, ValueError):
            return b""

    def conceal(self) -> bytes:
        """Return silence: G.711 knows nothing better."""
        return bytes(FRAME_BYTES)


def make_encoder(name: str) -> Encoder:
    """Return an encoder for an SDP encoding name: opus, PCMU or PCMA, in any case."""
    if name.lower() == "opus":
        return OpusEncoder()
    return G711Encoder("mulaw" if name.upper() == "PCMU" else "alaw")


def make_decoder(name: str) -> Decoder:
    """Return a decoder for an SDP encoding name: opus, PCMU or PCMA, in any case."""
    if name.lower() == "opus":
        return OpusDecoder()
    return G711Decoder("mulaw" if name.upper() == "PCMU" else "alaw")
