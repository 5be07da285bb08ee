"""One open WebSocket as the service uses it: a *flow* with a name, and an outbox (RFC 5626 calls it so)."""

import asyncio
from collections import deque
from typing import Protocol

from shared.clock import monotonic

from .connection import Connection

_OUTBOX_FRAMES = 256
_FLUSH_TIME = 1.0


class FlowListener(Protocol):
    """Who is told what a flow hears."""

    def frame_received(self, flow: "Flow", text: str | None) -> None:
        """A frame came; None: a binary one."""

    def flow_lost(self, flow: "Flow", *, is_broken: bool) -> None:
        """It is over, ``flow.closed_because``. ``is_broken``: it spoke no WebSocket."""


class Flow:
    """One connection. Frames to it wait in a bounded outbox: a peer that does not read is cut off.

    ``delay`` is how long each frame posted from now on waits before it leaves, in seconds.
    """

    def __init__(self, name: str, connection: Connection, listener: FlowListener) -> None:
        self.name = name
        self.connection = connection
        self.closed_because = ""
        self.delay = 0.0
        self.heard_at = monotonic()
        self._listener = listener
        self._outbox: deque[tuple[float, str]] = deque()  # when each may leave, and what
        self._timer: asyncio.TimerHandle | None = None
        self._goodbye: tuple[int, str] | None = None
        self.is_frozen = False
        """Whether it is half-open."""

    @property
    def is_closing(self) -> bool:
        """Whether it is being closed from here."""
        return self._goodbye is not None

    def send(self, text: str) -> None:
        """Send a frame, or post it where it must wait."""
        if not (self._outbox or self.delay or self.is_frozen) and self.connection.can_say:
            self.connection.say(text)
        elif len(self._outbox) < _OUTBOX_FRAMES:
            self._outbox.append((monotonic() + self.delay if self.delay else 0.0, text))
            self._empty_outbox()
        elif not self.is_frozen:  # then it is lost, as on a dead network
            self.close(1008, "does not read what it is sent")

    def freeze(self) -> None:
        """Be half-open: the socket stays, nothing is read from it, nothing is sent, pings included."""
        self.is_frozen = True
        self.connection.pause()

    def thaw(self) -> None:
        """Go on with what both ends have sent meanwhile."""
        if self.is_frozen:
            self.is_frozen = False
            self.connection.resume()
            self._empty_outbox()

    def close(self, code: int, reason: str) -> None:
        """Close with a WebSocket status, after what was posted has left, or has had the time to."""
        if self._goodbye is None:
            self.closed_because, self._goodbye = reason, (code, reason)
            loop = asyncio.get_running_loop()
            loop.call_later(_FLUSH_TIME + self.delay, self.connection.close, code, reason)
            self._empty_outbox()

    async def finish(self, code: int, reason: str) -> None:
        """Close, and wait until it is closed: some two seconds at most."""
        self.close(code, reason)
        await self.connection.over.wait()

    def abort(self) -> None:
        """Cut the connection as a network does: without a word."""
        self.closed_because = self.closed_because or "aborted"
        self.connection.abort()

    # -- what the connection tells

    def heard(self, text: str | None) -> None:
        """Hand a frame on, unless the peer was told to go."""
        self.heard_at = monotonic()
        if not self.is_closing:
            self._listener.frame_received(self, text)

    def drained(self) -> None:
        """Send what has waited."""
        self._empty_outbox()

    def closed(self, reason: str, *, is_broken: bool) -> None:
        """Tell that it is over."""
        if self._timer is not None:
            self._timer.cancel()
        self._outbox.clear()
        is_broken = is_broken and not self.is_closing
        self.closed_because = self.closed_because or reason
        self._listener.flow_lost(self, is_broken=is_broken)

    def _empty_outbox(self) -> None:
        """Send what may leave now; look again when the next one may."""
        while self._outbox and not self.is_frozen and self.connection.can_say:
            due, text = self._outbox[0]
            wait = due - monotonic() if due else 0.0
            if wait > 0:
                self._look_again(wait)
                return
            self._outbox.popleft()
            self.connection.say(text)
        if self._goodbye is not None and not self._outbox:
            self.connection.close(*self._goodbye)

    def _look_again(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay, self._empty_outbox)
