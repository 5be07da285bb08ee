"""The two directions of one call's sound: frames to RTP, and RTP to frames; one step of each every 20 ms.

No I/O and no clock: :mod:`.webrtc` sends what :meth:`SendStream.step` returns, and calls both every 20 ms.
"""

from collections.abc import Callable

from .base import FRAME_BYTES, FRAME_SAMPLES, RATE_HZ, SILENCE
from .codec import Decoder, Encoder, make_decoder, make_encoder
from .dtmf import DtmfReceiver, DtmfSender
from .jitter import JitterBuffer, JitterStats, Lost
from .rtp import RtpPacket, extend
from .sdp import Codec

_MAX_PACKET_BYTES = 48_000  # 250 ms of PCM: nothing that a peer sends makes us hold more


class SendStream:
    """Encodes frames, or sends telephone keys in their place (RFC 3550 §5.1 for its numbers)."""

    def __init__(
        self, codec: Codec, event: Codec | None, *, ssrc: int, sequence: int, timestamp: int
    ) -> None:
        self.ssrc = ssrc
        self.packets, self.octets = 0, 0
        self.timestamp = timestamp
        self.dtmf = DtmfSender()
        self._codec, self._event = codec, event
        self._encoder: Encoder = make_encoder(codec.name)
        self._sequence = sequence
        self._event_timestamp = timestamp
        self._units = FRAME_SAMPLES * codec.rate_hz // RATE_HZ
        self._marker = True

    @property
    def event_rate_hz(self) -> int | None:
        """The clock of the agreed telephone-event, None if the far end takes no keys."""
        return self._event.rate_hz if self._event else None

    def step(self, frame: bytes) -> bytes | None:
        """Return the packet for this frame's 20 ms; None while the codec still looks ahead."""
        payload = self._encoder.encode(frame)
        self.timestamp = (self.timestamp + self._units) % (1 << 32)
        event = self.dtmf.step()
        if event is not None and self._event is not None:
            if event.first:
                self._event_timestamp = self.timestamp
            return self._packet(self._event.payload_type, self._event_timestamp, event.payload, event.first)
        if not payload:
            return None
        marker, self._marker = self._marker, False
        return self._packet(self._codec.payload_type, self.timestamp, payload, marker)

    def skip(self, frames: int) -> None:
        """Let the time of ``frames`` frames pass without a packet: after a stall, or on hold."""
        self.timestamp = (self.timestamp + frames * self._units) % (1 << 32)
        self._marker = True

    def _packet(self, payload_type: int, timestamp: int, payload: bytes, marker: bool) -> bytes:
        packet = RtpPacket(payload_type, self._sequence, timestamp, self.ssrc, payload, marker)
        self._sequence = (self._sequence + 1) % (1 << 16)
        self.packets += 1
        self.octets += len(payload)
        return packet.encode()


class ReceiveStream:
    """Puts packets in order and decodes them. ``on_tone`` is called once for every key of the far end."""

    def __init__(self, codecs: tuple[Codec, ...], on_tone: Callable[[str], None]) -> None:
        # Offered by the far end, but not by us (G.722, comfort noise …): what comes of it all the same is
        # dropped.
        self._codecs = {codec.payload_type: codec for codec in codecs if codec.is_spoken}
        self._on_tone = on_tone
        self._jitter = JitterBuffer()
        self._dtmf = DtmfReceiver()
        self._decoders: dict[str, Decoder] = {}
        self._current: Decoder | None = None
        self._pcm = bytearray()
        self.report = ReceiveReport()

    @property
    def stats(self) -> JitterStats:
        """Counters of the jitter buffer."""
        return self._jitter.stats

    def receive(self, packet: RtpPacket, now: float) -> None:
        """Take a packet as it arrived at ``now``; one of an unknown payload type is dropped."""
        codec = self._codecs.get(packet.payload_type)
        if codec is None:
            return
        is_event = codec.name.lower() == "telephone-event"
        self.report.count(packet, None if is_event else codec.rate_hz, now)
        if is_event:
            tone = self._dtmf.receive(packet.timestamp, packet.payload)
            if tone is not None:
                self._on_tone(tone)
        # Keys go through the buffer as well: their sequence numbers are no loss.
        self._jitter.push(packet)

    def step(self) -> bytes:
        """Return the next frame to play; silence where there is nothing."""
        while len(self._pcm) < FRAME_BYTES:
            item = self._jitter.pop()
            if item is None:
                # Whatever is left is less than a frame: fill it up, so that time goes on.
                self._pcm += bytes(FRAME_BYTES - len(self._pcm))
            elif isinstance(item, Lost):
                self._pcm += (self._current.conceal() if self._current else b"") or SILENCE
            else:
                self._pcm += self._decode(item)[:_MAX_PACKET_BYTES]
        frame = bytes(self._pcm[:FRAME_BYTES])
        del self._pcm[:FRAME_BYTES]
        return frame

    def _decode(self, packet: RtpPacket) -> bytes:
        name = self._codecs[packet.payload_type].name.lower()
        if name == "telephone-event":
            return SILENCE
        if name not in self._decoders:
            self._decoders[name] = make_decoder(name)
        self._current = self._decoders[name]
        return self._current.decode(packet.payload) or SILENCE


class ReceiveReport:
    """What RFC 3550 §6.4.1 wants to be told about reception: highest number, losses, jitter."""

    def __init__(self) -> None:
        self.ssrc: int | None = None
        self.highest = 0  # extended by the number of wraps
        self.jitter = 0.0  # in units of the RTP clock
        self.received = 0
        self._rate_hz = RATE_HZ
        self._base = 0
        self._transit: float | None = None
        self._last = (0, 0)  # expected and received at the previous report

    @property
    def jitter_seconds(self) -> float:
        """The jitter, in seconds."""
        return self.jitter / self._rate_hz

    @property
    def lost(self) -> int:
        """Packets lost since the start; duplicates make it smaller."""
        return self.highest - self._base + 1 - self.received if self.received else 0

    def count(self, packet: RtpPacket, rate_hz: int | None, now: float) -> None:
        """Note an arrival at ``now`` (Appendix A.3 and A.8); no ``rate_hz``: not for the jitter."""
        if packet.ssrc != self.ssrc:
            self.ssrc, self.received, self.jitter, self._transit = packet.ssrc, 0, 0.0, None
            self._base = self.highest = packet.sequence
            self._last = (0, 0)
        self.received += 1
        self.highest = max(self.highest, extend(packet.sequence, self.highest))
        if rate_hz is None:
            return
        self._rate_hz = rate_hz
        transit = now * rate_hz - packet.timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            # A jump of over a second is a new beginning, not jitter.
            self.jitter += (min(change, rate_hz) - self.jitter) / 16
        self._transit = transit

    def fraction_lost(self) -> int:
        """Return the share of packets lost since the last call, in 256ths."""
        expected = self.highest - self._base + 1
        expected_now, received_now = expected - self._last[0], self.received - self._last[1]
        self._last = (expected, self.received)
        return (
            max(0, min(255, (expected_now - received_now) * 256 // expected_now)) if expected_now > 0 else 0
        )
