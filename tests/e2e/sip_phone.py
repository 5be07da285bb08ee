"""A phone for tests of the service: the real SIP core and transport, real sound, and nothing of the line."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from agents.media.base import Sink, Source
from agents.media.files import NullSink, Silence
from agents.media.webrtc import WebRtcSession
from agents.sip.registration import CloseTransport, RegistrationChanged
from agents.sip.transaction import Send
from agents.sip.transport import SipSocket
from agents.sip.user_agent import UserAgent
from shared.clock import monotonic
from shared.config import Account, load_account
from shared.errors import ServiceUnreachable

T = TypeVar("T")
WITHIN = 20.0


class SipPhone:
    """One process' phone: ``events`` holds what its core reported, ``sent`` and ``received`` the frames."""

    def __init__(self, account: Account | Path, *, instance_id: str | None = None) -> None:
        self.account = account if isinstance(account, Account) else load_account(account)
        self.instance_id = instance_id or secrets.token_hex(8)
        self.core = UserAgent(
            self.account, instance_id=self.instance_id, new_id=lambda: secrets.token_hex(8), now=monotonic()
        )
        self.events: list[Any] = []
        self.sent: list[str] = []
        self.received: list[str] = []
        self.media: WebRtcSession | None = None
        self._sounds: list[WebRtcSession] = []
        self._taken: set[int] = set()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.register()
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.silence()
        await self.close()

    async def silence(self) -> None:
        """Close the sound of all calls."""
        for media in self._sounds:
            await media.close()

    async def connect(self) -> None:
        """Connect and begin to register."""
        self.socket = await SipSocket.connect(self.account)
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._tick())]
        self.core.connected(monotonic())
        await self.flush()

    async def register(self) -> None:
        """Connect and register."""
        await self.connect()
        changed = await self.wait(RegistrationChanged, lambda event: event.state in ("registered", "failed"))
        assert changed.state == "registered", changed

    async def unregister(self) -> None:
        """Remove the binding."""
        self.core.unregister(monotonic())
        await self.flush()
        await self.wait(RegistrationChanged, lambda event: event.state == "unregistered")

    async def close(self) -> None:
        """Close the connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.socket.close()

    def crash(self) -> None:
        """Be gone, as after SIGKILL."""
        for task in self._tasks:
            task.cancel()
        self.socket._connection.transport.abort()

    async def do(self, command: Callable[[float], T]) -> T:
        """Let the core do something now."""
        result = command(monotonic())
        await self.flush()
        return result

    async def flush(self) -> None:
        """Send what the core wants sent."""
        for effect in self.core.effects():
            if isinstance(effect, Send):
                self.sent.append(effect.text)
                with contextlib.suppress(ServiceUnreachable):
                    await self.socket.send(effect.text)
            elif not isinstance(effect, CloseTransport):
                self.events.append(effect)
        self._news.set()

    async def wait(self, kind: type[T], matches: Callable[[T], bool] = lambda _event: True) -> T:
        """Return the first event of ``kind`` that matches and was not returned before."""
        async with asyncio.timeout(WITHIN):
            while True:
                for index, event in enumerate(self.events):
                    if index not in self._taken and isinstance(event, kind) and matches(event):
                        self._taken.add(index)
                        return event
                self._news.clear()
                await self._news.wait()

    async def frame(self, *parts: str) -> str:
        """Return the first received frame that contains all ``parts``."""
        async with asyncio.timeout(WITHIN):
            while True:
                for frame in self.received:
                    if all(part in frame for part in parts):
                        return frame
                self._news.clear()
                await self._news.wait()

    def sound(self, source: Source | None = None, sink: Sink | None = None) -> WebRtcSession:
        """Make the sound of a call, on loopback."""
        self.media = WebRtcSession(
            source or Silence(),
            sink or NullSink(),
            addresses=("127.0.0.1",),
            on_state=lambda _state: self._news.set(),
        )
        self._sounds.append(self.media)
        return self.media

    async def until_connected(self) -> None:
        """Wait for the newest call's sound."""
        async with asyncio.timeout(WITHIN):
            while self.media is None or self.media.state != "connected":
                self._news.clear()
                await self._news.wait()

    def statuses(self) -> list[str]:
        """Return the first lines of what was received."""
        return [frame.split("\r\n")[0] for frame in self.received]

    async def _read(self) -> None:
        with contextlib.suppress(ServiceUnreachable):
            async for frame in self.socket:
                self.received.append(frame)
                self.core.receive(frame, monotonic())
                await self.flush()
        self.core.disconnected(monotonic())
        await self.flush()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            self.core.tick(monotonic())
            await self.flush()
