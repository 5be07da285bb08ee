"""Sound that passes through the service: two phones that were connected by somebody else.

Neither of two phones that answer can know the other's description in time, so that after a transfer each of
them is offered a connection to the service, and the service passes the sound on. :class:`Anchor` is the
service's side of one of the two; media code is imported when the first is made.
"""

from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from shared.errors import MediaError, SharedlineError

from .settings import SimulatorSettings

if TYPE_CHECKING:
    from agents.media.webrtc import WebRtcSession

    from .legs import Ends

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

Spawn = Callable[[Coroutine[Any, Any, None]], None]

#: Two clocks that are not quite in step need a frame or two between them; more would only be delay.
_MOST_FRAMES = 4


class Pipe:
    """A sink and a source in one: what is written to it can be read once, in 20 ms frames."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque(maxlen=_MOST_FRAMES)

    def write(self, frame: bytes) -> None:
        """Take a frame; the oldest one is lost if nobody reads."""
        self._frames.append(frame)

    def read(self) -> bytes:
        """Return the next frame; nothing, which is silence, if there is none."""
        return self._frames.popleft() if self._frames else b""

    def close(self) -> None:
        """Do nothing: it outlives the sessions at its ends."""


class Anchor:
    """The service's side of one phone's sound. Its call uses it as the far end when that sound changes."""

    def __init__(self, name: str, ear: Pipe, mouth: Pipe, settings: SimulatorSettings, spawn: Spawn) -> None:
        self.name = name
        self.number = ""
        self.ends: Ends | None = None
        self.partner: Anchor | None = None
        self._ear, self._mouth, self._settings, self._spawn = ear, mouth, settings, spawn
        self._media: WebRtcSession | None = None
        self._is_over = False

    async def offer(self) -> str:
        """Return the offer for the phone."""
        return await self._session().offer()

    async def meet(self, sdp: str) -> None:
        """Take its answer."""
        await self._session().apply(sdp)

    def reoffer(self, sdp: str) -> None:
        """Follow the phone to another direction, or to another process."""
        self._spawn(self._reanswer(sdp))

    def end(self) -> None:
        """Stop; harmless twice."""
        self._is_over = True
        media, self._media = self._media, None
        if media is not None:
            self._spawn(media.close())

    async def _reanswer(self, sdp: str) -> None:
        status, answer = 200, ""
        try:
            if self._media is not None and self._media.state in ("failed", "closed"):
                await self._media.close()  # a failed connection is final; the call goes on over a new one
                self._media = None
            answer = await self._session().answer(sdp)
        except SharedlineError as exc:
            log.warning("anchor.reoffer_refused", anchor=self.name, reason=str(exc))
            status = 488
        if self.ends is not None and not self._is_over:
            self.ends.reanswered(self, status, answer)

    def _session(self) -> "WebRtcSession":
        from agents.media.webrtc import WebRtcSession

        if self._is_over:
            raise MediaError("the call is over")
        if self._media is None:
            self._media = WebRtcSession(
                self._mouth,
                self._ear,
                addresses=self._settings.media_addresses,
                on_tone=self._pass_on,
                dead_after=self._settings.flow_grace,
            )
        return self._media

    def _pass_on(self, tone: str) -> None:
        """Send a key that the phone pressed to the other one: keys are no sound that a pipe takes."""
        if self.partner is not None and self.partner._media is not None:
            self._spawn(self.partner._press(tone))

    async def _press(self, tone: str) -> None:
        if self._media is not None:
            try:
                await self._media.dtmf(tone)
            except SharedlineError as exc:
                log.info("anchor.key_lost", anchor=self.name, reason=str(exc))


def make_bridge(name: str, settings: SimulatorSettings, spawn: Spawn) -> tuple[Anchor, Anchor]:
    """Return two anchors, each of which says what the other one hears."""
    one_way, other_way = Pipe(), Pipe()
    first = Anchor(f"{name}-1", one_way, other_way, settings, spawn)
    second = Anchor(f"{name}-2", other_way, one_way, settings, spawn)
    first.partner, second.partner = second, first
    return first, second
