"""One open WebSocket as the service uses it: a *flow* with a name, and an outbox (RFC 5626 calls it so)."""

import asyncio
import contextlib

from shared.clock import monotonic

from .connection import Connection

_OUTBOX_FRAMES = 256
_FLUSH_TIME = 1.0


class Flow:
    """One connection. Frames to it wait in a bounded outbox: a peer that does not read is cut off.

    ``delay`` is how long each frame posted from now on waits before it leaves, in seconds.
    """

    def __init__(self, name: str, connection: Connection) -> None:
        self.name = name
        self.connection = connection
        self.closed_because = ""
        self.delay = 0.0
        self.heard_at = monotonic()
        self._outbox: asyncio.Queue[tuple[float, str]] = asyncio.Queue(maxsize=_OUTBOX_FRAMES)
        self._closing: asyncio.Task[None] | None = None
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._is_writing = False

    @property
    def is_closing(self) -> bool:
        """Whether it is being closed from here."""
        return self._closing is not None

    @property
    def is_frozen(self) -> bool:
        """Whether it is half-open."""
        return not self._thawed.is_set()

    async def thawed(self) -> None:
        """Return once it is not half-open."""
        await self._thawed.wait()

    def send(self, text: str) -> None:
        """Send a frame, or post it where it must wait."""
        if self._outbox.empty() and not self._is_writing and not self._closing and self._is_free():
            self.connection.say(text)
            return
        try:
            self._outbox.put_nowait((monotonic() + self.delay if self.delay else 0.0, text))
        except asyncio.QueueFull:
            if not self.is_frozen:  # then it is lost, as on a dead network
                self.close(1008, "does not read what it is sent")

    def freeze(self) -> None:
        """Be half-open: the socket stays, nothing is read from it, nothing is sent, pings included."""
        self._thawed.clear()
        self.connection.transport.pause_reading()
        if self.connection.keepalive_task is not None:
            self.connection.keepalive_task.cancel()

    def thaw(self) -> None:
        """Go on with what both ends have sent meanwhile."""
        if self.is_frozen:
            self._thawed.set()
            self.connection.transport.resume_reading()
            self.connection.start_keepalive()

    def close(self, code: int, reason: str) -> None:
        """Close with a WebSocket status, after what was posted has left."""
        if self._closing is None:
            self.closed_because = reason
            self._closing = asyncio.create_task(self._close(code, reason), name=f"close {self.name}")

    async def finish(self, code: int, reason: str) -> None:
        """Close, and wait until it is closed: at most two seconds."""
        self.close(code, reason)
        if self._closing is not None:
            await asyncio.wait([self._closing])

    def abort(self) -> None:
        """Cut the connection as a network does: without a word."""
        self.closed_because = self.closed_because or "aborted"
        self._thawed.set()
        self.connection.transport.abort()

    async def write(self) -> None:
        """Send what is posted, until cancelled."""
        while True:
            due, text = await self._outbox.get()
            self._is_writing = True
            await self._thawed.wait()
            if due:
                await asyncio.sleep(due - monotonic())
            await self.connection.send(text)
            self._outbox.task_done()
            self._is_writing = False

    def _is_free(self) -> bool:
        return not self.delay and not self.is_frozen and self.connection.can_say

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_TIME + self.delay):
                await self._outbox.join()
        await self.connection.close(code, reason)
