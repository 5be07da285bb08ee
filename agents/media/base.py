"""The small interface that all sound goes through, and the one audio format behind it.

PCM is the same everywhere: 48 kHz, mono, signed 16 bit little endian, in frames of 20 ms (1920 bytes). The
*session* owns the clock: every 20 ms it takes one frame from its :class:`Source` and gives one to its
:class:`Sink`. Both are plain functions that must return at once, so that a slow device or a dead process
never stalls a call; a source that has nothing returns ``b""``, and silence is sent.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from .handset import Recorder
    from .quality import Counts

RATE_HZ = 48_000
FRAME_SECONDS = 0.02
FRAME_SAMPLES = 960
FRAME_BYTES = 1920
SILENCE = bytes(FRAME_BYTES)

MediaState = Literal["new", "connecting", "connected", "failed", "closed"]
"""``failed``: no connection in time, or the far end went silent for good; ``closed``: one of us said goodbye.

A new offer and answer (a re-INVITE) bring a session back from both, until it is closed by us.
"""

StateCallback = Callable[[MediaState], None]
ToneCallback = Callable[[str], None]
"""Called once a key of the far end, with one of ``0123456789*#ABCD``."""


class Source(Protocol):
    """Where the sound that we send comes from: a microphone, a file, a tone."""

    def read(self) -> bytes:
        """Return the next frame of :data:`FRAME_BYTES`, or ``b""`` if there is none now. Never blocks.

        The session calls it every 20 ms from the first moment of the connection until it closes, held and
        muted time included: a microphone must not pile up what nobody may hear.
        """

    def close(self) -> None:
        """Release the device or file. Harmless to call twice."""


class Sink(Protocol):
    """Where the sound that we receive goes: a loudspeaker, a file, nowhere."""

    def write(self, frame: bytes) -> None:
        """Take one frame of :data:`FRAME_BYTES`. Never blocks: what does not fit is dropped.

        The session calls it every 20 ms while connected; what was lost, late or held back arrives as silence,
        so that a recording keeps its place in time.
        """

    def close(self) -> None:
        """Release the device, or finish the file. Harmless to call twice."""


SourceFactory = Callable[[], Source]
SinkFactory = Callable[[], Sink]
"""Open the device or file now; raise :exc:`shared.errors.MediaError` with cause and remedy if that fails."""


class MediaSession(Protocol):
    """The media of one call: offer and answer as SDP text, then sound until :meth:`close`.

    Either ``offer()`` and then ``apply(answer)``, or ``answer(offer)``. Methods that take SDP raise
    :exc:`shared.errors.SipError` if it cannot be used. Belongs to the event loop that it was made in.
    """

    @property
    def state(self) -> MediaState:
        """Where the connection stands; changes are reported to the ``on_state`` given at construction."""

    @property
    def local_sdp(self) -> str | None:
        """Our own newest description, to edit and send again in a re-INVITE; None before the first."""

    async def offer(self, like: str = "") -> str:
        """Return an offer with all candidates. Called again: a fresh one, with new ICE and DTLS.

        ``like`` is a description of ours from the same call: the offer keeps its payload types and ``a=mid``.
        """

    async def answer(self, offer: str) -> str:
        """Take the far end's offer and return the answer.

        Called again for a re-INVITE: the same connection answers if the far end kept its ICE user fragment;
        else a new one replaces it, with the same source and sink.
        """

    async def apply(self, answer: str) -> None:
        """Take the answer to our newest offer; without one open, only its direction counts (hold)."""

    def mute(self, on: bool) -> None:
        """Send silence instead of the source while ``on``."""

    def hold(self, on: bool) -> None:
        """While ``on``, nothing of the source leaves and nothing of the far end reaches the sink."""

    async def dtmf(self, tones: str) -> None:
        """Send keys (``0-9*#A-D``; ``,`` pauses 2 s) by RFC 4733; returns when the last one is out.

        Raises :exc:`shared.errors.MediaError` if the far end takes none, for another character, or if the
        connection ends before the last one is begun.
        """

    @property
    def counts(self) -> "Counts":
        """Packets and delays of the whole call so far."""

    def record(self, recorder: "Recorder | None") -> None:
        """Give both sides of the call to ``recorder`` from now on; None ends that."""

    async def close(self) -> None:
        """Stop sending, close the connection, the source and the sink. Always await it; harmless twice."""
