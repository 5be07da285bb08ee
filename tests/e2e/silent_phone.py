"""A phone without sound: a user agent, its connection and its timers, as simple as can be."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from agents.sip.message import Response, parse
from agents.sip.registration import CloseTransport
from agents.sip.transaction import Send
from agents.sip.transport import SipSocket
from agents.sip.user_agent import UserAgent
from shared.clock import monotonic
from shared.config import Account

T = TypeVar("T")
PATIENCE = 20.0


class SilentPhone:
    """Runs a user agent on a socket. ``received`` and ``sent`` hold ``"200 INVITE"`` and the like."""

    def __init__(self, account: Account, *, instance_id: str | None = None) -> None:
        self.core = UserAgent(
            account,
            instance_id=instance_id or str(uuid.uuid4()),
            new_id=lambda: uuid.uuid4().hex,
            now=monotonic(),
        )
        self.account = account
        self.sent: list[str] = []
        self.received: list[str] = []
        self.frames: list[str] = []  # as received
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self._woken = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.socket = await SipSocket.connect(self.account)
        self.core.connected(monotonic())
        await self._flush()
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._tick())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.socket.close()

    async def do(self, action: Callable[[float], Any]) -> Any:
        """Call the core with the time, and send what follows."""
        result = action(monotonic())
        await self._flush()
        return result

    async def wait_for(self, kind: type[T], matches: Callable[[T], bool] = lambda _: True) -> T:
        """Return the next event of ``kind`` that matches; others before it are dropped."""
        async with asyncio.timeout(PATIENCE):
            while True:
                event = await self.events.get()
                if isinstance(event, kind) and matches(event):
                    return event

    async def _flush(self) -> None:
        for effect in self.core.effects():
            if isinstance(effect, Send):
                self.sent.append(f"{effect.status} {effect.method}" if effect.status else effect.method)
                await self.socket.send(effect.text)
            else:
                self.events.put_nowait(effect)
                if isinstance(effect, CloseTransport):
                    await self.socket.close()
        self._woken.set()

    async def _receive(self) -> None:
        async for frame in self.socket:
            self.frames.append(frame)
            message = parse(frame)
            status = f"{message.status} " if isinstance(message, Response) else ""
            self.received.append(status + message.cseq.method)
            self.core.receive(frame, monotonic())
            await self._flush()
        self.core.disconnected(monotonic())
        await self._flush()

    async def _tick(self) -> None:
        while True:
            self._woken.clear()
            deadline = self.core.next_deadline()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if deadline is None else max(0.0, deadline - monotonic())):
                    await self._woken.wait()
                    continue
            self.core.tick(monotonic())
            await self._flush()
