"""The leader's line to the phone service: connected whenever it can be, and silent once deposed."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Protocol

import structlog

from shared.config import Account
from shared.errors import AccountError, CertificateUntrusted, ServiceUnreachable
from shared.messages import Problem

from .sip.transport import SipSocket

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

#: Seconds between attempts: doubled each time, with jitter, so that a thousand phones that lost one server do
#: not come back in step.
_FIRST_RETRY, _LAST_RETRY = 0.5, 30.0


class LineOwner(Protocol):
    """Who is told what happens on the line."""

    def line_down(self, problem: Problem, detail: str) -> None:
        """There is no connection; ``detail`` says why and what to do."""

    def line_up(self) -> None:
        """There is a connection: register."""

    def line_received(self, frame: str) -> None:
        """The service sent a SIP message."""


class SipLine:
    """Keep a connection to the account's outbound proxy, and send what :meth:`send` is given, in order.

    ``may_act`` is asked directly before each message leaves; once it says no, nothing more is sent.
    """

    def __init__(self, account: Account, owner: LineOwner, may_act: Callable[[], bool]) -> None:
        self._account, self._owner, self._may_act = account, owner, may_act
        self._outgoing: asyncio.Queue[str] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._run(), name="sip-line")

    def send(self, text: str) -> None:
        """Send a SIP message. While there is no connection it is dropped: SIP's own timers notice."""
        if self._writer is not None:
            self._outgoing.put_nowait(text)

    def drop(self, reason: str) -> None:
        """End the connection that there is, and make another."""
        log.info("line.dropped", reason=reason)
        if self._writer is not None:
            self._writer.cancel()

    async def flush(self) -> None:
        """Wait until everything was sent."""
        await self._outgoing.join()

    async def close(self) -> None:
        """Close the connection."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        self._owner.line_down(Problem.NONE, "")
        delay = _FIRST_RETRY
        while True:
            try:
                socket = await SipSocket.connect(self._account)
            except (ServiceUnreachable, AccountError) as exc:
                log.info("service.unreachable", error=str(exc), retry_in=delay)
                is_untrusted = isinstance(exc, CertificateUntrusted | AccountError)
                self._owner.line_down(Problem.UNTRUSTED if is_untrusted else Problem.UNREACHABLE, str(exc))
                await asyncio.sleep(random.uniform(delay / 2, delay))
                delay = min(delay * 2, _LAST_RETRY)
                continue
            delay = _FIRST_RETRY
            await self._use(socket)
            lost = f"the connection to the phone service was lost ({socket.closed_because}); connecting again"
            self._owner.line_down(Problem.UNREACHABLE, lost)

    async def _use(self, socket: SipSocket) -> None:
        self._writer = asyncio.create_task(self._write(socket), name="sip-writer")
        try:
            self._owner.line_up()
            async for frame in socket:
                self._owner.line_received(frame)
        finally:
            writer, self._writer = self._writer, None
            writer.cancel()
            self._forget_unsent()
            await asyncio.gather(writer, return_exceptions=True)

    async def _write(self, socket: SipSocket) -> None:
        try:
            while True:
                text = await self._outgoing.get()
                try:
                    if self._may_act():
                        await socket.send(text)
                finally:
                    self._outgoing.task_done()
        except ServiceUnreachable as exc:
            log.info("sip.unsent", error=str(exc))
        finally:
            await socket.close()  # which ends the reader, too

    def _forget_unsent(self) -> None:
        while not self._outgoing.empty():
            self._outgoing.get_nowait()
            self._outgoing.task_done()
