"""A relay between a phone and its service: it sees what passes, and can fall silent like a broken path."""

import asyncio
import contextlib
import struct
from types import TracebackType
from typing import Self

from shared.clock import monotonic

_TLS_DATA = 23


class Relay:
    """Passes TCP connections on to ``target``, an ``host:port``. ``address`` is its own, while it runs.

    ``said`` is when each of the phone's TLS records of application data passed (RFC 8446 §5.1): one WebSocket
    frame each, all but the handshake's.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self.connections = 0
        self.said: list[float] = []
        self._new_record = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        self.fall_silent()
        for writer in self._writers:
            writer.close()

    def fall_silent(self) -> None:
        """Pass on nothing more of the connections that there are, and close none; new ones work."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    async def until_said(self, records: int) -> None:
        """Return once so many records have passed."""
        while len(self.said) < records:
            self._new_record.clear()
            await self._new_record.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._target.rpartition(":")
        there, onwards = await asyncio.open_connection(host, int(port))
        self.connections += 1
        self._writers += [writer, onwards]
        self._tasks += [
            asyncio.create_task(self._pass_records(reader, onwards)),
            asyncio.create_task(self._pass(there, writer)),
        ]

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def _pass_records(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(5)
                kind, _version, size = struct.unpack("!BHH", head)
                writer.write(head + await reader.readexactly(size))
                if kind == _TLS_DATA:
                    self.said.append(monotonic())
                    self._new_record.set()
        writer.close()
