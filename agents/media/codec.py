"""Audio codecs, each a pair of functions between 20 ms frames of PCM and RTP payloads.

Importing this module loads FFmpeg (about 30 MB): only :mod:`.webrtc` and what it uses may. Opus is mono and
for voice; it is libopus itself where that is found (:mod:`.libopus`), else FFmpeg's way to it.
"""

import fractions
from typing import Protocol

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.packet import Packet

from . import libopus
from .base import FRAME_SAMPLES, RATE_HZ
from .options import OpusOptions
from .plc import Concealer


class Encoder(Protocol):
    """Frames of PCM in, payloads out."""

    def encode(self, frame: bytes) -> bytes:
        """Return the payload for one frame; ``b""`` while the codec looks ahead, or leaves silence out."""

    def expect_loss(self, share: float) -> None:
        """Prepare for this share of packets to be lost, 0 to 1."""


class Decoder(Protocol):
    """Payloads in, PCM out. A payload that cannot be decoded gives ``b""``."""

    @property
    def is_quiet(self) -> bool:
        """Whether the far end has stopped talking on purpose (DTX): what is missing is no loss."""

    def decode(self, payload: bytes) -> bytes:
        """Return PCM of any length."""

    def recover(self, following: bytes) -> bytes:
        """Return the PCM of a lost packet from the one after it; ``b""`` if that does not tell."""

    def conceal(self) -> bytes:
        """Return PCM in place of a packet that is lost, as long as the one before."""


def _pcm_frame(pcm: bytes, rate_hz: int, layout: str = "mono") -> AudioFrame:
    frame = AudioFrame(format="s16", layout=layout, samples=len(pcm) // 2)
    frame.planes[0].update(pcm)
    frame.sample_rate = rate_hz
    return frame


def _pcm_bytes(frames: list[AudioFrame]) -> bytes:
    # A plane may be padded beyond its samples, for alignment.
    return b"".join(bytes(frame.planes[0])[: frame.samples * 2] for frame in frames)


class OpusEncoder:
    """RFC 7587, mono, by FFmpeg."""

    def __init__(self, options: OpusOptions) -> None:
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.bit_rate = options.bit_rate
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", RATE_HZ
        codec.time_base = fractions.Fraction(1, RATE_HZ)
        # Complexity 5 of 10: half the time, and no difference to be heard in speech.
        codec.options = {
            "application": "voip",
            "fec": str(int(options.fec)),
            "packet_loss": "10",
            "compression_level": "5",
        }
        self._codec = codec
        self._samples = 0

    def encode(self, frame: bytes) -> bytes:
        """Return the payload for one frame."""
        pcm = _pcm_frame(frame, RATE_HZ)
        pcm.pts, pcm.time_base = self._samples, fractions.Fraction(1, RATE_HZ)
        self._samples += FRAME_SAMPLES
        return b"".join(bytes(packet) for packet in self._codec.encode(pcm))

    def expect_loss(self, share: float) -> None:
        """Do nothing: FFmpeg takes 10 % from the start, and nothing later."""


class OpusDecoder:
    """RFC 7587, by FFmpeg; a stereo stream is mixed down by the decoder itself."""

    is_quiet = False

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

    def recover(self, following: bytes) -> bytes:
        """Return nothing: FFmpeg does not decode error correction."""
        return b""

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

    def expect_loss(self, share: float) -> None:
        """Do nothing: G.711 has no error correction."""


class G711Decoder:
    """The way back from :class:`G711Encoder`, with concealment in its spirit (G.711 appendix I)."""

    is_quiet = False

    def __init__(self, law: str) -> None:
        codec = av.CodecContext.create(f"pcm_{law}", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", 8000
        self._codec = codec
        self._resampler = AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
        self._concealer = Concealer(RATE_HZ)
        self._samples = FRAME_SAMPLES  # of the packet before: a lost one is as long

    def decode(self, payload: bytes) -> bytes:
        """Return the PCM of one packet."""
        if payload:
            self._samples = len(payload) * RATE_HZ // 8000
        try:
            frames = self._codec.decode(Packet(payload)) if payload else []
            pcm = _pcm_bytes([part for frame in frames for part in self._resampler.resample(frame)])
        except (av.FFmpegError, ValueError):
            return b""
        return self._concealer.heard(pcm)

    def recover(self, following: bytes) -> bytes:
        """Return nothing: G.711 has no error correction."""
        return b""

    def conceal(self) -> bytes:
        """Repeat the last period of the voice, ever quieter."""
        return self._concealer.conceal(self._samples)


def make_encoder(name: str, options: OpusOptions) -> Encoder:
    """Return an encoder for an SDP encoding name: opus, PCMU or PCMA, in any case."""
    if name.lower() != "opus":
        return G711Encoder("mulaw" if name.upper() == "PCMU" else "alaw")
    library = libopus.load()
    if library is None:
        return OpusEncoder(options)
    return libopus.NativeEncoder(library, bit_rate=options.bit_rate, fec=options.fec, dtx=options.dtx)


def make_decoder(name: str) -> Decoder:
    """Return a decoder for an SDP encoding name: opus, PCMU or PCMA, in any case."""
    if name.lower() == "opus":
        library = libopus.load()
        return OpusDecoder() if library is None else libopus.NativeDecoder(library)
    return G711Decoder("mulaw" if name.upper() == "PCMU" else "alaw")
