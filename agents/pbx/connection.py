"""One WebSocket of the service, from the end of TLS on: subprotocol ``sip``, text frames, no extensions."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import cast

import structlog
from websockets.asyncio.server import Server, ServerConnection
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from .gathering import GatheringTransport
from .settings import SimulatorSettings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_QUEUE_FRAMES = 16
_CLOSE_TIME = 1.0
_SAY_BYTES = 32_768


class House:
    """What all connections have in common.

    Args:
        settings: Times and sizes.
        serve: Awaited for each that has become a WebSocket; when it returns, the WebSocket is closed.
        refused: Told why a connection has not become a WebSocket.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        serve: Callable[["Connection"], Awaitable[None]],
        refused: Callable[[str], None],
    ) -> None:
        self.settings, self.serve, self.refused = settings, serve, refused
        self.logger = _quiet_logger()
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_closing = False

    def is_serving(self) -> bool:
        """Return whether new WebSockets are wanted: the library asks."""
        return not self.is_closing


class Connection(ServerConnection):
    """A connection that looks after itself. ``lost`` is called when it is over."""

    def __init__(self, house: House, lost: Callable[[], None]) -> None:
        settings = house.settings
        protocol = ServerProtocol(
            subprotocols=[Subprotocol("sip")], max_size=settings.max_message_bytes, logger=house.logger
        )
        super().__init__(
            protocol,
            # The library's server would accept by itself; of it, a connection only asks whether it serves.
            cast("Server", house),
            ping_interval=settings.ping_time,
            ping_timeout=settings.ping_time,
            close_timeout=_CLOSE_TIME,
            max_queue=_QUEUE_FRAMES,
        )
        self._house, self._lost = house, lost
        self.is_known = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the opening handshake."""
        gathering = GatheringTransport(cast("asyncio.Transport", transport))
        super(ServerConnection, self).connection_made(gathering)
        task = self.loop.create_task(self._run(), name="websocket")
        self._house.tasks.add(task)
        task.add_done_callback(self._house.tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that it is over."""
        super().connection_lost(exc)
        self._lost()

    @property
    def can_say(self) -> bool:
        """Whether :meth:`say` may be used now: the peer reads what it is sent."""
        return self.state is State.OPEN and self.transport.get_write_buffer_size() < _SAY_BYTES

    def say(self, text: str) -> None:
        """Send a text frame at once, without a turn of the event loop."""
        self.protocol.send_text(text.encode())
        self.send_data()

    async def _run(self) -> None:
        try:
            if await self._opens():
                self.start_keepalive()
                async with self:
                    await self._house.serve(self)
        except Exception as exc:
            log.error("flow.failed", reason=str(exc), kind=type(exc).__name__)
        finally:
            if self.state is not State.CLOSED:
                self.transport.abort()

    async def _opens(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._house.settings.handshake_time):
                await self.handshake(server_header=None)
        if self.state is State.OPEN:
            return True
        self._house.refused(_why_refused(self))
        return False


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
    logger = logging.Logger("agents.pbx.connection", logging.ERROR)  # noqa: LOG001
    logger.propagate = False
    logger.addHandler(_OneLine(logging.ERROR))
    return logger
