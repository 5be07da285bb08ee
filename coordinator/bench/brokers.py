"""NATS and Redis: the same state by a server of theirs and the client that Python programs use.

The servers are started here, on a free port of the loopback interface, and keep nothing. The clients are
the extra ``bench``.
"""

import asyncio
import contextlib
import secrets
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec

from .crew import PATIENCE, Crew
from .roles import SEQUENCE, SUBJECT, AnyRole, NatsListenerRole, RedisListenerRole
from .stage import Stage
from .voices import BLOCK, Voice, payload

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Broker:
    """What it takes, and :attr:`open`, which starts it and yields a voice."""

    server: str
    module: str
    open: Callable[[Stage], AbstractAsyncContextManager[Voice]]


def missing(broker: Broker) -> str:
    """Return what this machine lacks of it; "" if nothing."""
    if shutil.which(broker.server) is None:
        return f"{broker.server} is not installed"
    if find_spec(broker.module) is None:
        return f"the Python package {broker.module} is not installed: pip install 'sharedline[bench]'"
    return ""


class _Nats(Voice):
    """Publishes by nats-py; its listeners are asyncio programs on the same event loop as ours."""

    def __init__(self, crew: Crew, port: int) -> None:
        super().__init__("nats", crew)
        self._port, self._state = port, payload()

    async def __aenter__(self) -> "_Nats":
        import nats

        self._client = await nats.connect(nats_url(self._port))
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self._client.close()

    async def _publish(self) -> None:
        await self._client.publish(SUBJECT, SEQUENCE.pack(self.sequence) + self._state)

    def _role(self, name: str) -> AnyRole:
        return NatsListenerRole(name=name, url=nats_url(self._port), count=BLOCK)


class _Redis(Voice):
    """Publishes by redis-py; its listeners block, which is its fastest way."""

    def __init__(self, crew: Crew, port: int, password: str) -> None:
        import redis

        super().__init__("redis", crew)
        self._port, self._password, self._state = port, password, payload()
        self._client = redis.Redis(_HOST, port, password=password)

    def close(self) -> None:
        """Fall silent, and end the listeners."""
        super().close()
        self._client.close()

    async def _publish(self) -> None:
        self._client.publish(SUBJECT, SEQUENCE.pack(self.sequence) + self._state)

    def _role(self, name: str) -> AnyRole:
        return RedisListenerRole(name=name, port=self._port, password=self._password, count=BLOCK)


def nats_url(port: int) -> str:
    """Return where a NATS server of this machine is."""
    return f"nats://{_HOST}:{port}"


@asynccontextmanager
async def _open_nats(stage: Stage) -> AsyncIterator[Voice]:
    port = _free_port()
    async with (
        _server(port, "nats-server", "--addr", _HOST, "--port", str(port)),
        Crew(stage.environment, "nats") as crew,
        _Nats(crew, port) as voice,
    ):
        yield voice


@asynccontextmanager
async def _open_redis(stage: Stage) -> AsyncIterator[Voice]:
    port, password = _free_port(), secrets.token_hex(16)
    # Nothing is kept, so nothing is written; and no other user of this machine may command it.
    settings = (f"bind {_HOST}", f"port {port}", 'save ""', "appendonly no", f"requirepass {password}")
    async with (
        _server(port, "redis-server", "-", settings="\n".join(settings)),
        Crew(stage.environment, "redis") as crew,
    ):
        yield _Redis(crew, port, password)


BROKERS = {
    "nats": Broker("nats-server", "nats", _open_nats),
    "redis": Broker("redis-server", "redis", _open_redis),
}


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as free:
        port: int = free.getsockname()[1]
    return port


@asynccontextmanager
async def _server(port: int, *command: str, settings: str = "") -> AsyncIterator[None]:
    """Run a server that reads ``settings`` from its standard input, in a directory that goes with it.

    Raises:
        OSError: It ended at once.
        TimeoutError: It does not listen.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=directory,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdin is not None
        process.stdin.write(settings.encode())
        process.stdin.close()
        try:
            await _listening(process, port)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _listening(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while process.returncode is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(_HOST, port)
                writer.close()
                return
            await asyncio.sleep(0.02)
    raise OSError(f"a server of the benchmark ended at once, with status {process.returncode}")
