"""The WebSocket port of the service: TLS, subprotocol ``sip``, one SIP message a text frame (RFC 7118).

A thin shell. Each connection is a *flow* with a name; its frames are read one after another and handed on as
messages. What is not SIP is answered or the flow is closed, with one log line, and nobody else notices.
"""

import asyncio
import contextlib
import logging
import ssl
from typing import Any, Protocol

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.typing import Subprotocol

from agents.sip.message import Message, parse
from agents.sip.refusal import refuse
from shared.errors import ConfigError, SipError

from .settings import SimulatorSettings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_OUTBOX_FRAMES = 256
_KEEPALIVE = "\r\n\r\n"
#: Protocol error, no UTF-8, too long (RFC 6455 §7.4.1).
_BROKEN = frozenset({1002, 1007, 1009})


class FlowUser(Protocol):
    """Who is told what the flows do. All are called on the event loop, one at a time."""

    def flow_opened(self, flow: str) -> None:
        """A WebSocket was opened."""

    def flow_closed(self, flow: str, reason: str) -> None:
        """It was closed, by whomever."""

    def flow_refused(self, reason: str) -> None:
        """A connection did not become a WebSocket."""

    def message_received(self, flow: str, message: Message) -> None:
        """A SIP message came."""

    def bad_frame(self, flow: str, reason: str) -> None:
        """Something came that is no SIP message."""

    def is_registered(self, flow: str) -> bool:
        """Return whether somebody is registered on it."""


class Flow:
    """One connection. Frames to it wait in a bounded outbox: a peer that does not read is cut off."""

    def __init__(self, name: str, connection: ServerConnection) -> None:
        self.name = name
        self.connection = connection
        self.closed_because = ""
        self._outbox: asyncio.Queue[str] = asyncio.Queue(maxsize=_OUTBOX_FRAMES)
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_closing(self) -> bool:
        """Whether it is being closed from here."""
        return self._closing is not None

    def send(self, text: str) -> None:
        """Post a frame."""
        try:
            self._outbox.put_nowait(text)
        except asyncio.QueueFull:
            self.close(1008, "does not read what it is sent")

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
        self.connection.transport.abort()

    async def write(self) -> None:
        """Send what is posted, until cancelled."""
        while True:
            await self.connection.send(await self._outbox.get())
            self._outbox.task_done()

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._outbox.join()
        await self.connection.close(code, reason)


class FlowServer:
    """Listens, and keeps the open flows by name."""

    def __init__(self, settings: SimulatorSettings, context: ssl.SSLContext, user: FlowUser) -> None:
        self._settings, self._context, self._user = settings, context, user
        self._server: Server | None = None
        self._count = 0
        self._starting = 0
        self.flows: dict[str, Flow] = {}

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before :meth:`start`."""
        sockets = self._server.sockets if self._server else ()
        return int(sockets[0].getsockname()[1]) if sockets else 0

    async def start(self, *, port: int | None = None) -> None:
        """Listen.

        Raises:
            ConfigError: If the port is taken or the address is not ours.
        """
        settings = self._settings
        port = settings.wss_port if port is None else port
        try:
            self._server = await serve(
                self._run,
                settings.host,
                port,
                ssl=self._context,
                ssl_handshake_timeout=settings.handshake_time,
                open_timeout=settings.handshake_time,
                ping_interval=settings.ping_time,
                ping_timeout=settings.ping_time,
                close_timeout=1.0,
                subprotocols=[Subprotocol("sip")],
                max_size=settings.max_message_bytes,
                max_queue=16,
                compression=None,
                server_header=None,
                create_connection=_connection_class(self._user),
                logger=_quiet_logger(),
            )
        except OSError as exc:
            reason = exc.strerror or exc
            raise ConfigError(
                f"cannot listen on {settings.host} port {port}: {reason}; choose another port"
            ) from exc

    async def close(self) -> None:
        """Close all flows (status 1001) and the port."""
        if self._server is not None:
            self._server.close(close_connections=False)
            await asyncio.gather(*(flow.finish(1001, "service stopped") for flow in self.flows.values()))
            self._server.close(close_connections=True)
            await self._server.wait_closed()

    def send(self, flow: str, text: str) -> bool:
        """Post a frame; False if the flow is closed."""
        if flow not in self.flows:
            return False
        self.flows[flow].send(text)
        return True

    async def _run(self, connection: ServerConnection) -> None:
        if len(self.flows) >= self._settings.max_connections:
            log.warning("flow.refused", reason="too many connections")
            await connection.close(1013, "too many connections")
            return
        self._count += 1
        flow = Flow(f"f{self._count}", connection)
        self.flows[flow.name] = flow
        self._user.flow_opened(flow.name)
        writer = asyncio.create_task(flow.write(), name=f"write {flow.name}")
        try:
            await self._read(flow)
        except ConnectionClosed as exc:
            flow.closed_because = flow.closed_because or _why(exc)
            if not flow.is_closing and not exc.rcvd_then_sent and exc.sent and exc.sent.code in _BROKEN:
                # The library closed it, for its peer's fault.
                self._reject(flow, flow.closed_because, code=None)
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await writer
            del self.flows[flow.name]
            self._user.flow_closed(flow.name, flow.closed_because)

    async def _read(self, flow: Flow) -> None:
        while True:
            frame: str | bytes | None = None
            try:
                async with asyncio.timeout(self._settings.idle_time):
                    frame = await flow.connection.recv()
            except TimeoutError:
                if not self._user.is_registered(flow.name):
                    log.info("flow.idle", flow=flow.name)
                    flow.close(1000, "idle")
            if flow.is_closing:
                continue  # it was told why; what else it says is of no interest
            if isinstance(frame, bytes):
                self._reject(flow, "binary frame", code=1003)
            elif frame == _KEEPALIVE:
                flow.send("\r\n")  # RFC 5626 §3.5.1: only for who asks
            elif frame is not None:
                self._take(flow, frame)

    def _take(self, flow: Flow, frame: str) -> None:
        try:
            message = parse(frame)
        except SipError as exc:
            answer = refuse(frame, exc)
            if answer is not None:
                flow.send(answer.encode())
            self._reject(flow, exc.reason, code=None if answer is not None else 1002)
            return
        self._user.message_received(flow.name, message)

    def _reject(self, flow: Flow, reason: str, *, code: int | None) -> None:
        log.warning("flow.bad_frame", flow=flow.name, reason=reason)
        self._user.bad_frame(flow.name, reason)
        if code is not None:
            flow.close(code, reason[:100])


def _why(exc: ConnectionClosed) -> str:
    """Return in a few words how a connection ended."""
    if exc.rcvd is None and exc.sent is None:
        return "connection lost"
    close = exc.rcvd if exc.rcvd_then_sent or exc.sent is None else exc.sent
    if close is None:
        return "connection lost"
    return f"closed {close.code} {close.reason}".strip()


def _connection_class(user: FlowUser) -> type[ServerConnection]:
    """Return connections that tell ``user`` of a failed handshake, which the library does not."""

    class Connection(ServerConnection):
        async def handshake(self, *args: Any, **kwargs: Any) -> None:
            try:
                await super().handshake(*args, **kwargs)
            finally:
                if self.state is not State.OPEN:
                    reason = _why_refused(self)
                    log.warning("flow.refused", reason=reason)
                    user.flow_refused(reason)

    return Connection


def _why_refused(connection: ServerConnection) -> str:
    error: BaseException | None = connection.protocol.handshake_exc
    while error is not None and error.__cause__ is not None:
        error = error.__cause__
    if connection.response is not None:
        return f"HTTP {connection.response.status_code}: {error or connection.response.reason_phrase}"
    return f"no WebSocket request: {error}" if error is not None else "no WebSocket request in time"


class _OneLine(logging.Handler):
    """Turns an error that the library reports into one log line."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        log.error("flow.failed", reason=f"{record.getMessage()}: {error}", kind=type(error).__name__)


def _quiet_logger() -> logging.Logger:
    # Not the registry's, whose handlers belong to the program.
    logger = logging.Logger("agents.pbx.server", logging.ERROR)  # noqa: LOG001
    logger.propagate = False
    logger.addHandler(_OneLine(logging.ERROR))
    return logger
