"""An HTTP port of the service: it listens from the moment that it is made, and serves an ASGI application."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from .listening import listen

LONGEST_BODY = 65_536
SILENCE = 10.0
"""How long a connection may take for the head of a request, in seconds."""

_BODY_TIME = 10.0
_MOST_CONNECTIONS = 1000
_BACKLOG = 128


class BadBody(Exception):
    """A body that is longer than :data:`LONGEST_BODY` bytes (status 413), or does not come (408)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class _Impatient(H11Protocol):
    """Cuts a connection that does not say what it wants in time, or is one too many."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as theirs
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._seen: object = None
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        else:
            self._look_later()

    def _look_later(self) -> None:
        self.loop.call_later(SILENCE, self._look)

    def _look(self) -> None:
        waits = getattr(self.cycle, "response_complete", True)  # there is no cycle before the first request
        if self.transport.is_closing():
            return
        if waits and self.cycle is self._seen:
            self.transport.abort()
        else:
            self._seen = self.cycle
            self._look_later()


class _Server(uvicorn.Server):
    """Leaves signals to the program that it is a part of, and a peer little time to begin TLS."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        config, loop = self.config, asyncio.get_running_loop()

        def make() -> H11Protocol:
            return _Impatient(config, self.server_state, self.lifespan.state)

        await self.lifespan.startup()
        has_tls = config.ssl is not None
        self.servers = [
            await loop.create_server(
                make,
                sock=listener,
                ssl=config.ssl,
                ssl_handshake_timeout=SILENCE if has_tls else None,
                backlog=config.backlog,
            )
            for listener in sockets or ()
        ]
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpPort:
    """Connections wait until :meth:`start`.

    ``certificate``: chain and key, for TLS. ``most``: connections at a time; more are answered 503.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        purpose: str,
        certificate: tuple[Path, Path] | None = None,
        most: int | None = None,
    ) -> None:
        self._purpose, self._certificate, self._most = purpose, certificate, most
        self._socket = listen(host, port, backlog=_BACKLOG, remedy=f"choose another {purpose} port")
        self.port = int(self._socket.getsockname()[1])
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, app: ASGIApp) -> None:
        """Serve ``app`` from now on."""
        chain, key = self._certificate or (None, None)
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            limit_concurrency=self._most,
            ws="none",
            ssl_certfile=chain,
            ssl_keyfile=key,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name=self._purpose)

    async def close(self) -> None:
        """Stop, and wait for it; harmless twice."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
        self._socket.close()


async def read_body(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        BadBody: If it is too long, or does not come within ten seconds.
    """
    body = b""
    try:
        async with asyncio.timeout(_BODY_TIME):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LONGEST_BODY:
                    raise BadBody(413, f"the body is longer than {LONGEST_BODY} bytes")
    except TimeoutError as exc:
        raise BadBody(408, f"the body did not come within {_BODY_TIME:g} seconds") from exc
    return body


def json_answer(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return ``content`` as JSON."""
    body = msgspec.json.encode(content)
    return Response(body, status_code=status, headers=headers, media_type="application/json")
