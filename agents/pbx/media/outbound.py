"""What leaves on a line: frames that are encoded here, or packets of another line, under one SSRC."""

import secrets

from agents.media.rtp import RtpPacket
from agents.media.sdp import RemoteAudio
from agents.media.streams import SendStream

from .relay import Relay


class Outbound(SendStream):
    """A stream to one phone. :meth:`step` and :meth:`relay` may take turns; keys wait for no one."""

    def __init__(self, remote: RemoteAudio, ssrc: int) -> None:
        codec = remote.audio_codec()
        super().__init__(
            codec,
            remote.event_codec(),
            ssrc=ssrc,
            sequence=secrets.randbits(15),
            timestamp=secrets.randbits(31),
        )
        self.is_opus = codec.name.lower() == "opus"
        self._relay = Relay()

    def step(self, frame: bytes) -> bytes | None:
        """Return the packet for this frame's 20 ms; None while the codec still looks ahead."""
        self._relay.interrupt()
        return super().step(frame)

    def relay(self, packet: RtpPacket, *, is_key: bool) -> bytes | None:
        """Return a packet of another stream as the next of this one; None if it has no place in it.

        ``is_key``: it is a telephone-event, of the same clock as ours.
        """
        place = self._relay.place(packet, self._sequence, self.timestamp, self._units)
        if place is None:
            return None
        sequence, timestamp, is_first = place
        self._sequence = (self._relay.newest + 1) % (1 << 16)
        self.packets += 1
        self.octets += len(packet.payload)
        kind = self._event if is_key and self._event is not None else self._codec
        marker = packet.marker or is_first
        relayed = RtpPacket(
            kind.payload_type, sequence % (1 << 16), timestamp, self.ssrc, packet.payload, marker
        )
        return relayed.encode()
