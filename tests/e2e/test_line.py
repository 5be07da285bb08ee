"""The leader's line, against servers that refuse, hang up, fall silent, or come back."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

import agents.real.line
from agents.real.line import SipLine
from agents.real.surroundings import Surroundings
from agents.sip import recovery, transport
from shared.config import Account
from shared.messages import Problem

from .certificates import make_certificate

PATIENCE = 20.0


@dataclass
class Proxy:
    """A WebSocket server that counts its connections; it can stop, refuse, and fall silent."""

    certificate: tuple[Path, Path]
    port: int = 0
    refuses: int = 0
    connections: asyncio.Queue[ServerConnection] = field(default_factory=asyncio.Queue)
    _server: Server | None = None

    async def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate)
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            ssl=context,
            subprotocols=[Subprotocol("sip")],
            process_request=self._judge,
            close_timeout=0.1,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _judge(self, connection: ServerConnection, _request: Request) -> Response | None:
        if not self.refuses:
            return None
        self.refuses -= 1
        response = connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "later")
        response.headers["Retry-After"] = "2"
        return response

    async def _serve(self, connection: ServerConnection) -> None:
        self.connections.put_nowait(connection)
        await connection.wait_closed()


class Owner:
    """Whoever has the line: ``news`` is what it was told, in order."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[str] = asyncio.Queue()
        self.details: list[str] = []
        self.retries: list[float | None] = []
        self.is_idle = True

    def line_down(self, problem: Problem, detail: str, retry_in: float | None) -> None:
        self.details.append(detail)
        self.retries.append(retry_in)
        self.news.put_nowait(f"down {problem}")

    def line_up(self) -> None:
        self.news.put_nowait("up")

    def line_received(self, frame: str) -> None:
        self.news.put_nowait(frame)

    def line_is_idle(self) -> bool:
        return self.is_idle

    async def hears(self, *expected: str) -> None:
        for one in expected:
            assert await self.news.get() == one


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@contextlib.asynccontextmanager
async def proxies(certificate: tuple[Path, Path]) -> AsyncIterator[tuple[Proxy, Proxy, Account]]:
    """Run two proxies and yield them with the account of a phone that has both."""
    async with asyncio.timeout(PATIENCE):
        first, second = Proxy(certificate), Proxy(certificate)
        await first.start()
        await second.start()
        account = Account(
            authorization_id="1",
            domain="sip.test",
            outbound_proxy=f"127.0.0.1:{first.port}",
            outbound_proxy_backup=f"127.0.0.1:{second.port}",
            username="1",
            password="p",
            ca_file=certificate[0],
        )
        try:
            yield first, second, account
        finally:
            await first.stop()
            await second.stop()


@contextlib.asynccontextmanager
async def line(account: Account) -> AsyncIterator[tuple[SipLine, Owner]]:
    """Run a line."""
    owner = Owner()
    made = SipLine(account, owner, lambda: True)
    try:
        yield made, owner
    finally:
        await made.close()


def test_a_service_that_does_not_read_loses_its_connection_before_the_memory_is_full(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.real.line, "_MOST_UNSENT", 10)

    async def main() -> None:
        async with proxies(certificate) as (first, _, account), line(account) as (made, owner):
            await owner.hears("down none", "up")
            made.settled()
            await first.connections.get()
            for _ in range(11):  # in one turn of the loop, as if none of them could leave
                made.send("x")
            await owner.hears("down unreachable", "up")
            assert "does not read" in owner.details[-1]

    asyncio.run(main())


def test_the_connection_shows_life_as_often_as_the_service_wants(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_LEAST_INTERVAL", 0.02)

    async def main() -> None:
        async with proxies(certificate) as (first, _, account), line(account) as (made, owner):
            await owner.hears("down none", "up")
            connection = await first.connections.get()
            pings = _count_pings(connection)
            made.keep_alive(0.02)
            for _ in range(3):
                await pings.get()
            made.keep_alive(3600.0)  # more seldom than it is done anyhow
            made.send("behind the last ping")
            assert await connection.recv() == "behind the last ping"
            while not pings.empty():
                pings.get_nowait()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pings.get(), 0.2)

    asyncio.run(main())


def _count_pings(connection: ServerConnection) -> asyncio.Queue[None]:
    """Return a queue that gets an item for each ping."""
    pings: asyncio.Queue[None] = asyncio.Queue()
    receive = connection.protocol.recv_frame

    def count(frame: Frame) -> None:
        if frame.opcode is Opcode.PING:
            pings.put_nowait(None)
        receive(frame)

    connection.protocol.recv_frame = count  # type: ignore[method-assign]
    return pings


def test_a_good_connection_that_is_lost_is_made_anew_at_once(certificate: tuple[Path, Path]) -> None:
    async def main() -> None:
        async with proxies(certificate) as (first, _, account), line(account) as (made, owner):
            await owner.hears("down none", "up")
            made.settled()
            await (await first.connections.get()).close(1001, "restart")
            await owner.hears("down unreachable", "up")
            assert "restart" in owner.details[-1]
            assert owner.retries[-1] == pytest.approx(0.0)
            await first.connections.get()

    asyncio.run(main())


def test_a_connection_that_a_bug_ends_is_followed_by_another_and_the_line_can_be_closed(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with proxies(certificate) as (_, _, account), line(account) as (_, owner):
            with monkeypatch.context() as bug:
                bug.setattr(owner, "line_up", lambda: dict[str, None]()["a secret"])
                await owner.hears("down none", "down unreachable")
            await owner.hears("up")
            assert "KeyError" in owner.details[-1]
            assert "a secret" not in owner.details[-1]

    asyncio.run(main())


def test_the_backup_takes_over_and_the_first_proxy_is_gone_back_to_between_calls(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "AWAY_TIME", 0.05)

    async def main() -> None:
        async with proxies(certificate) as (first, second, account), line(account) as (made, owner):
            owner.is_idle = False
            await owner.hears("down none", "up")
            made.settled()
            await first.stop()
            await owner.hears("down unreachable", "down unreachable", "up")
            made.settled()
            held = await second.connections.get()
            await first.start()
            while not first.connections.empty():
                first.connections.get_nowait()
            made.send("still here, there is a call")
            assert await held.recv() == "still here, there is a call"
            owner.is_idle = True
            await owner.hears("down unreachable", "up")
            assert "first proxy" in owner.details[-1]
            await first.connections.get()
            await held.wait_closed()

    asyncio.run(main())


def test_a_registrar_that_cannot_serve_is_left_for_the_backup(certificate: tuple[Path, Path]) -> None:
    async def main() -> None:
        async with proxies(certificate) as (_, second, account), line(account) as (made, owner):
            await owner.hears("down none", "up")
            made.refused("the registrar says 503", 30.0)
            await owner.hears("down unreachable", "up")
            await second.connections.get()
            made.refused("so does this one", 30.0)
            made.send("which is kept")
            await second.stop()
            await owner.hears("down unreachable")

    asyncio.run(main())


def test_a_server_that_says_when_is_asked_then(certificate: tuple[Path, Path]) -> None:
    async def main() -> None:
        async with proxies(certificate) as (first, _, account):
            first.refuses = 1
            async with line(replace(account, outbound_proxy_backup=None)) as (_made, owner):
                await owner.hears("down none", "down unreachable")
                assert "503" in owner.details[-1]
                retry_in = owner.retries[-1]
                assert retry_in == pytest.approx(2.0, abs=0.2)
                await owner.hears("up")

    asyncio.run(main())


def test_a_peer_that_vanished_is_noticed_and_keeps_nobody(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "PING_INTERVAL", 0.05)
    monkeypatch.setattr(transport, "PING_TIME", 0.05)

    async def main() -> None:
        async with proxies(certificate) as (first, _, account), line(account) as (made, owner):
            await owner.hears("down none", "up")
            made.settled()
            silent = await first.connections.get()
            silent.transport.pause_reading()
            await owner.hears("down unreachable", "up")
            assert "keep-alive" in owner.details[-1]
            await first.connections.get()
            silent.transport.abort()

    asyncio.run(main())


def test_leaving_takes_no_longer_than_closing_may_when_the_peer_is_dead(
    certificate: tuple[Path, Path],
) -> None:
    async def main() -> None:
        async with proxies(certificate) as (first, _, account):
            owner = Owner()
            made = SipLine(account, owner, lambda: True)
            await owner.hears("down none", "up")
            silent = await first.connections.get()
            silent.transport.pause_reading()
            for _ in range(200):
                made.send("x" * 60_000)  # more than the sockets between take
            async with asyncio.timeout(3 * transport.CLOSE_TIME):
                await made.close()
            silent.transport.abort()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("cause", "words"), [("slept", "the computer slept for 90 s"), ("moved", "the network has changed")]
)
def test_what_happens_to_the_computer_makes_a_new_connection_at_once(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, cause: str, words: str
) -> None:
    watchers: list[Surroundings] = []

    class Told(Surroundings):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            watchers.append(self)

    monkeypatch.setattr(agents.real.line, "Surroundings", Told)

    async def main() -> None:
        async with proxies(certificate) as (first, _, account), line(account) as (_made, owner):
            await owner.hears("down none", "up")
            before = await first.connections.get()
            before.transport.pause_reading()  # as it is after a sleep: nobody answers
            if cause == "slept":
                watchers[0]._slept(90.0)
            else:
                watchers[0]._moved(True)
            await owner.hears("down unreachable", "up")
            assert words in owner.details[-1]
            assert owner.retries[-1] == 0.0
            await first.connections.get()
            before.transport.abort()

    asyncio.run(main())


def test_an_attempt_that_hangs_is_given_up_when_the_network_has_changed(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "OPEN_TIME", 600.0)

    async def main() -> None:
        callers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

        def greeted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            callers.put_nowait(writer)  # and is told nothing: its TLS never begins

        silent = await asyncio.start_server(greeted, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        async with silent, proxies(certificate) as (_, _, account):
            hanging = replace(account, outbound_proxy=f"127.0.0.1:{port}", outbound_proxy_backup=None)
            async with line(hanging) as (made, owner):
                await owner.hears("down none")
                hung = [await callers.get()]
                for _ in range(2):
                    made._moved(True)
                    made._moved(True)
                    hung.append(await callers.get())
            for writer in hung:
                writer.close()

    asyncio.run(main())


def test_a_way_that_is_back_ends_the_waiting(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "FIRST_PAUSE", 600.0)

    async def main() -> None:
        async with proxies(certificate) as (first, _, account):
            await first.stop()
            async with line(replace(account, outbound_proxy_backup=None)) as (made, owner):
                await owner.hears("down none", "down unreachable")
                assert (owner.retries[-1] or 0.0) > 10.0
                await first.start()
                made._moved(False)
                await owner.hears("up")

    asyncio.run(main())
