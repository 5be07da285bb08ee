"""The two directions of one call's sound: frames to RTP, and RTP to frames; one step of each every 20 ms.

No I/O and no clock: :mod:`.webrtc` sends what :meth:`SendStream.step` returns, and calls both every 20 ms.
"""

from collections.abc import Callable

from .base import FRAME_BYTES, FRAME_SAMPLES, FRAME_SECONDS, RATE_HZ, SILENCE
from .codec import Decoder, Encoder, make_decoder, make_encoder
from .dtmf import DtmfReceiver, DtmfSender
from .jitter import JitterBuffer, JitterStats, Lost
from .options import OpusOptions
from .plc import ComfortNoise
from .reception import ReceiveReport, Speaker
from .rtp import RtpPacket
from .sdp import Codec

#: A network that loses nothing now may do so in a moment. With less, Opus sends no error correction at 32
#: kbit/s; with so much, nothing is lost in likeness where there are no losses.
MIN_EXPECTED_LOSS = 0.1
#: A far end that falls silent may have lost packets, so its voice is continued; after 100 ms it is noise
#: only.
_MAX_CONTINUED_FRAMES = 5
#: Packets that arrive as evenly as this (RFC 3550 jitter, in seconds) are heard as they come, and not any
#: more for half a minute once they are less even than the second figure.
_EVEN, _UNEVEN = 0.003, 0.006
_FIRST_EVEN_PACKETS, _UNEVEN_PACKETS = 50, 1_500
_MAX_PACKET_BYTES = 48_000  # 250 ms of PCM: nothing that a peer sends makes us hold more


class SendStream:
    """Encodes frames, or sends telephone keys in their place (RFC 3550 §5.1 for its numbers)."""

    def __init__(
        self,
        codec: Codec,
        event: Codec | None,
        *,
        ssrc: int,
        sequence: int,
        timestamp: int,
        opus: OpusOptions | None = None,
    ) -> None:
        self.ssrc = ssrc
        self.packets, self.octets = 0, 0
        self.timestamp = timestamp
        self.dtmf = DtmfSender()
        self._opus, self._loss = opus or OpusOptions(), 0.0
        self._sequence = sequence
        self._event_timestamp = timestamp
        self._begin(codec, event)

    @property
    def codec_name(self) -> str:
        """The codec as the SDP names it, in lower case."""
        return self._codec.name.lower()

    def expect_loss(self, share: float) -> None:
        """Prepare for what the far end says it misses, 0 to 1."""
        self._loss = share
        self._encoder.expect_loss(max(share, MIN_EXPECTED_LOSS))

    @property
    def event_rate_hz(self) -> int | None:
        """The clock of the agreed telephone-event, None if the far end takes no keys."""
        return self._event.rate_hz if self._event else None

    def speak(self, codec: Codec, event: Codec | None) -> None:
        """Go on with what the far end wants now; its numbers go on, whatever their clock (RFC 7160 §4.1)."""
        if codec != self._codec:
            self._begin(codec, event)
        self._event = event

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
            self._marker = True  # what comes next begins a talkspurt (RFC 3551 §4.1)
            return None
        marker, self._marker = self._marker, False
        return self._packet(self._codec.payload_type, self.timestamp, payload, marker)

    def skip(self, frames: int) -> None:
        """Let the time of ``frames`` frames pass without a packet: after a stall, or on hold."""
        self.timestamp = (self.timestamp + frames * self._units) % (1 << 32)
        self._marker = True

    def _begin(self, codec: Codec, event: Codec | None) -> None:
        self._codec, self._event = codec, event
        self._encoder: Encoder = make_encoder(codec.name, self._opus.for_peer(codec.fmtp))
        self.expect_loss(self._loss)
        self._units = FRAME_SAMPLES * codec.rate_hz // RATE_HZ
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
        self._codecs: dict[int, Codec] = {}
        self.understand(codecs)
        self._on_tone = on_tone
        self._jitter = JitterBuffer()
        self._dtmf = DtmfReceiver()
        self._decoders: dict[str, Decoder] = {}
        self._current: Decoder | None = None
        self._pcm = bytearray()
        self._made = bytearray()  # up, and not played yet
        self._noise = ComfortNoise()
        self._dry_frames = 0
        self._is_even, self._uneven_packets = False, _FIRST_EVEN_PACKETS
        self._speaker = Speaker()
        self.report = ReceiveReport()
        self.concealed = 0
        """Frames that were made up."""
        self.recovered = 0
        """Lost packets that were heard all the same, by error correction."""

    def understand(self, codecs: tuple[Codec, ...]) -> None:
        """Take these payload types as well from now on."""
        # Offered by the far end, but not by us (G.722, comfort noise …): what comes of it all the same is no
        # loss, but cannot be heard.
        self._codecs.update((codec.payload_type, codec) for codec in codecs if codec.is_spoken)

    @property
    def buffered(self) -> float:
        """How long what arrives now will wait, in seconds."""
        return self._jitter.waiting * FRAME_SECONDS

    @property
    def stats(self) -> JitterStats:
        """Counters of the jitter buffer."""
        return self._jitter.stats

    def receive(self, packet: RtpPacket, now: float) -> None:
        """Take a packet as it arrived at ``now``; only sound that we can decode begins a stream."""
        codec = self._codecs.get(packet.payload_type)
        sound = codec if codec is not None and codec.name.lower() != "telephone-event" else None
        if codec is not None and sound is None:
            tone = self._dtmf.receive(packet, codec.rate_hz)
            if tone is not None:
                self._on_tone(tone)
        # Some gateways send keys as a stream of their own: that is none to hear.
        if not self._speaker.is_heard(packet.ssrc, now, may_begin=sound is not None):
            return
        self.report.count(packet, None if sound is None else sound.rate_hz, now)
        self._judge()
        # Keys go through the buffer as well: their sequence numbers are no loss.
        self._jitter.push(packet)

    def is_due(self, *, is_late: bool) -> bool:
        """Whether the next frame may be played at this moment, because the line is even.

        Else a packet waits for the next step, up to 20 ms, which is how long others may be late without
        harm. ``is_late``: that step has passed, so what is missing is lost.
        """
        here = self._jitter.waiting > 0 if is_late else self._jitter.has_next
        return here and self._is_awaited

    @property
    def may_be_late(self) -> bool:
        """Whether the next packet, which is not here, will probably be in a moment."""
        return not self._jitter.waiting and self._is_awaited

    @property
    def _is_awaited(self) -> bool:
        return self._is_even and not self._jitter.is_filling and len(self._pcm) < FRAME_BYTES

    def _judge(self) -> None:
        """Take one more packet into the judgement of whether the line is even."""
        jitter = self.report.jitter_seconds
        if self._is_even and jitter > _UNEVEN:
            self._is_even, self._uneven_packets = False, _UNEVEN_PACKETS
        elif not self._is_even:
            self._uneven_packets = max(self._uneven_packets - 1, 0)
            self._is_even = self._uneven_packets == 0 and jitter < _EVEN

    def step(self) -> bytes:
        """Return the next frame to play; where there is nothing, what the far end may have said."""
        while len(self._pcm) < FRAME_BYTES:
            item = self._jitter.pop()
            if item is None:
                # Whatever is left is less than a frame: fill it up, so that time goes on.
                self._pcm += self._continued(FRAME_BYTES - len(self._pcm))
            elif isinstance(item, Lost):
                self._pcm += self._restored(item)[:_MAX_PACKET_BYTES]
            else:
                self._dry_frames = 0
                self._made.clear()
                self._pcm += self._decode(item)[:_MAX_PACKET_BYTES]
        frame = bytes(self._pcm[:FRAME_BYTES])
        del self._pcm[:FRAME_BYTES]
        return frame

    def _continued(self, size: int) -> bytes:
        """Return so much, a frame at most, of a far end of which nothing is here."""
        self._dry_frames += 1
        decoder = self._current
        if decoder is not None and decoder.is_quiet:
            return self._make_up(decoder, size)
        if decoder is not None and self._dry_frames <= _MAX_CONTINUED_FRAMES:
            self.concealed += 1
            return self._make_up(decoder, size)
        return self._noise.frame()[:size]

    def _make_up(self, decoder: Decoder, size: int) -> bytes:
        """Return the next of what a decoder makes up, which it does in pieces as long as the packets are."""
        while len(self._made) < size:
            self._made += decoder.conceal()[:_MAX_PACKET_BYTES] or SILENCE
        pcm = bytes(self._made[:size])
        del self._made[:size]
        return pcm

    def _restored(self, lost: Lost) -> bytes:
        """Return what was in a lost packet: as the next one tells, else as the one before lets guess."""
        decoder = self._current
        if decoder is None:
            return SILENCE
        following = lost.following
        if following is not None and self._is_of(following, decoder):
            pcm = decoder.recover(following.payload)
            if pcm:
                self.recovered += 1
                return pcm
        self.concealed += 1
        return decoder.conceal() or SILENCE

    def _is_of(self, packet: RtpPacket, decoder: Decoder) -> bool:
        codec = self._codecs.get(packet.payload_type)
        return codec is not None and self._decoders.get(codec.name.lower()) is decoder

    def _decode(self, packet: RtpPacket) -> bytes:
        codec = self._codecs.get(packet.payload_type)
        name = "" if codec is None else codec.name.lower()
        if name in ("", "telephone-event"):
            return SILENCE if name else self._noise.frame()
        if name not in self._decoders:
            self._decoders[name] = make_decoder(name)
        self._current = self._decoders[name]
        pcm = self._current.decode(packet.payload) or SILENCE
        self._noise.heard(pcm)
        return pcm
