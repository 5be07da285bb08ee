"""The leader's line to the phone service: connected whenever it can be, and silent once deposed."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Protocol

from agents.sip.recovery import Recovery
from agents.sip.trace import SipTrace
from agents.sip.transport import SipSocket
from shared import failpoint
from shared.clock import wall
from shared.config import Account
from shared.errors import AccountError, CertificateUntrusted, ServiceUnreachable
from shared.log import log
from shared.messages import Problem

from .surroundings import Surroundings

#: Messages that wait for a service which does not read: whoever sends it more has no use for the connection.
_MOST_UNSENT = 2_000


class LineOwner(Protocol):
    """Who is told what happens on the line."""

    def line_down(self, problem: Problem, detail: str, retry_in: float | None) -> None:
        """There is no connection; ``detail`` says why and what to do, ``retry_in`` when it is tried again."""

    def line_up(self) -> None:
        """There is a connection: register."""

    def line_received(self, frame: str) -> None:
        """The service sent a SIP message."""

    def line_is_idle(self) -> bool:
        """Return whether a change to another connection would disturb no call."""


class SipLine:
    """Keep a connection to one of the account's proxies, and send what :meth:`send` is given, in order.

    ``may_act`` is asked directly before each message leaves; once it says no, nothing more is sent. When to
    connect, and to which proxy, is :class:`.recovery.Recovery`'s to say. ``trace`` is shown each message.
    ``delay`` is how many seconds the first attempt waits for what is more urgent.
    """

    def __init__(
        self,
        account: Account,
        owner: LineOwner,
        may_act: Callable[[], bool],
        *,
        trace: SipTrace | None = None,
        delay: float = 0.0,
    ) -> None:
        self._delay = delay
        self._account, self._owner, self._may_act, self._trace = account, owner, may_act, trace
        self._loop = asyncio.get_running_loop()
        self._recovery = Recovery(
            has_backup=account.outbound_proxy_backup is not None,
            jitter=lambda longest: random.uniform(longest / 2, longest),
            now=self._loop.time(),
        )
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(_MOST_UNSENT)
        self._attempt: asyncio.Timeout | None = None  # to connect
        self._writer: asyncio.Task[None] | None = None
        self._socket: SipSocket | None = None  # the one in use
        self._dropped_for = ""
        self._hurry = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self._ready: SipSocket | None = None  # to the first proxy, while the backup is still in use
        self._surroundings = Surroundings(self._slept, self._moved)
        self._task = asyncio.create_task(self._run(), name="sip-line")

    def send(self, text: str) -> None:
        """Send a SIP message. While there is no connection it is dropped: SIP's own timers notice."""
        if self._writer is None:
            return
        try:
            self._outgoing.put_nowait(text)
        except asyncio.QueueFull:
            self.drop("the service does not read what we send")

    def drop(self, reason: str) -> None:
        """End the connection that there is, and make another."""
        if self._writer is not None:
            log.info("line.dropped", reason=reason)
            self._dropped_for = reason
            self._writer.cancel()

    def keep_alive(self, every: float) -> None:
        """Let something pass the connection ``every`` so many seconds, as the service has asked."""
        if self._socket is not None:
            self._socket.ping_every(every)

    def settled(self) -> None:
        """Take that the phone is registered: the connection is good."""
        self._recovery.settled()

    def refused(self, reason: str, retry_after: float | None) -> None:
        """Take that the registrar cannot serve now: where there is another proxy, go there."""
        if self._recovery.refused(self._loop.time(), retry_after):
            self.drop(reason)

    async def flush(self) -> None:
        """Wait until everything was sent."""
        await self._outgoing.join()

    async def close(self) -> None:
        """Close the connection."""
        self._surroundings.close()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        if self._ready is not None:
            self._close(self._ready)
        if self._closing:
            await asyncio.wait(self._closing)

    async def _run(self) -> None:
        if self._delay:
            await asyncio.sleep(self._delay)
        self._owner.line_down(Problem.NONE, "", None)
        while True:
            await self._wait()
            try:
                socket = await self._connect()
                if socket is not None:
                    await self._use(socket)
                    self._tell_lost(socket)
            except Exception as exc:  # a bug: the next connection may do better
                log.exception("line.failed")
                self._recovery.failed(self._loop.time())
                failed = f"the connection failed ({type(exc).__name__}, see the log); connecting again"
                self._owner.line_down(Problem.UNREACHABLE, failed, self._retry_in())

    async def _wait(self) -> None:
        """Wait for the time of the next attempt, or for what makes it worth one now."""
        while (pause := self._recovery.next_attempt() - self._loop.time()) > 0:
            self._hurry.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._hurry.wait()

    async def _connect(self) -> SipSocket | None:
        socket, self._ready = self._ready, None
        if socket is not None:
            return socket
        try:
            async with asyncio.timeout(None) as self._attempt:
                return await SipSocket.connect(self._account, backup=self._recovery.uses_backup)
        except TimeoutError:
            return None  # somebody is in a hurry
        except (ServiceUnreachable, AccountError) as exc:
            self._recovery.failed(self._loop.time(), getattr(exc, "retry_after", None))
            retry_in = self._retry_in()
            log.info("service.unreachable", error=str(exc), retry_in=retry_in)
            is_untrusted = isinstance(exc, CertificateUntrusted | AccountError)
            problem = Problem.UNTRUSTED if is_untrusted else Problem.UNREACHABLE
            self._owner.line_down(problem, str(exc), retry_in)
            return None
        finally:
            self._attempt = None

    def _tell_lost(self, socket: SipSocket) -> None:
        self._recovery.lost(self._loop.time())
        cause, self._dropped_for = self._dropped_for or socket.closed_because, ""
        lost = f"the connection to the phone service was lost ({cause}); connecting again"
        self._owner.line_down(Problem.UNREACHABLE, lost, self._retry_in())

    def _retry_in(self) -> float:
        return max(self._recovery.next_attempt() - self._loop.time(), 0.0)

    async def _use(self, socket: SipSocket) -> None:
        self._recovery.opened(self._loop.time())
        self._surroundings.connected(socket.peer)
        self._socket = socket
        self._writer = asyncio.create_task(self._write(socket), name="sip-writer")
        reader = asyncio.create_task(self._read(socket), name="sip-reader")
        homing = asyncio.create_task(self._go_home(), name="sip-homing")
        try:
            self._owner.line_up()
            await asyncio.wait({reader, self._writer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            parts = (self._writer, reader, homing)
            self._writer = self._socket = None
            for part in parts:
                part.cancel()
            self._forget_unsent()
            self._close(socket)
            for result in await asyncio.gather(*parts, return_exceptions=True):
                if isinstance(result, Exception):
                    log.error("line.failed", exc_info=result)  # a bug: the next connection may do better

    async def _read(self, socket: SipSocket) -> None:
        async for frame in socket:
            if self._trace is not None:
                self._trace.record("<", frame, wall())
            self._owner.line_received(frame)

    async def _write(self, socket: SipSocket) -> None:
        try:
            while True:
                text = await self._outgoing.get()
                try:
                    if self._may_act():
                        if self._trace is not None:
                            self._trace.record(">", text, wall())
                        await socket.send(text)
                        failpoint.reached("sent")
                finally:
                    self._outgoing.task_done()
        except ServiceUnreachable as exc:
            log.info("sip.unsent", error=str(exc))

    def _close(self, socket: SipSocket) -> None:
        """Close a connection by and by: a peer that is gone does not keep us from the next one."""
        task = asyncio.create_task(socket.close(), name="sip-closing")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _forget_unsent(self) -> None:
        while not self._outgoing.empty():
            self._outgoing.get_nowait()
            self._outgoing.task_done()

    # -- what is better than the connection that there is ------------------------------------------------

    async def _go_home(self) -> None:
        """While the backup is in use: connect to the first proxy, and change over between two calls."""
        while (at := self._recovery.home_at()) is not None:
            await asyncio.sleep(max(at - self._loop.time(), 0.0))
            if self._owner.line_is_idle():
                with contextlib.suppress(ServiceUnreachable, AccountError):
                    self._ready = await SipSocket.connect(self._account)
                    self._recovery.went_home(self._loop.time())
                    self.drop("the first proxy answers again")
                    return
            self._recovery.still_away(self._loop.time())

    def _slept(self, duration: float) -> None:
        self._start_over(f"the computer slept for {duration:.0f} s")

    def _moved(self, is_other: bool) -> None:
        if is_other:
            self._start_over("the network has changed")
        elif self._writer is None:
            self._recovery.hurry(self._loop.time())
            self._hurry.set()

    def _start_over(self, reason: str) -> None:
        self._recovery.hurry(self._loop.time())
        self._hurry.set()
        if self._attempt is not None and not self._attempt.expired():
            self._attempt.reschedule(self._loop.time())  # it waits for an answer to where we are no more
        self.drop(reason)
