"""The connection to the phone service, against real servers on loopback."""

import asyncio
import contextlib
import socket as sockets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from agents.sip import transport
from agents.sip.message import MAX_FRAME_CHARS
from agents.sip.transport import SipSocket
from shared.config import Account
from shared.errors import AccountError, CertificateUntrusted, ServiceUnreachable

from .certificates import make_certificate

PATIENCE = 20.0
Handler = Callable[[ServerConnection], Awaitable[None]]


def account(port: int, ca_file: Path | None = None, host: str = "127.0.0.1") -> Account:
    return Account(
        authorization_id="1",
        domain="sip.test",
        outbound_proxy=f"{host}:{port}",
        username="1",
        password="p",
        ca_file=ca_file,
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@contextlib.asynccontextmanager
async def server(
    handler: Handler, certificate: tuple[Path, Path], protocol: str = "sip"
) -> AsyncIterator[int]:
    """Serve WSS on a free port and yield that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    async with serve(
        handler, "127.0.0.1", 0, ssl=context, subprotocols=[Subprotocol(protocol)], select_subprotocol=None
    ) as running:
        yield next(iter(running.sockets)).getsockname()[1]


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(PATIENCE):
            await main()

    asyncio.run(within())


async def echo(connection: ServerConnection) -> None:
    async for frame in connection:
        await connection.send(frame)


def test_frames_go_to_and_fro_over_verified_tls_and_the_subprotocol_sip(
    certificate: tuple[Path, Path],
) -> None:
    seen: list[str | None] = []

    async def handler(connection: ServerConnection) -> None:
        seen.append(connection.subprotocol)
        assert connection.request is not None
        seen.append(connection.request.path)
        await echo(connection)

    async def main() -> None:
        async with server(handler, certificate) as port:
            async with await SipSocket.connect(account(port, certificate[0])) as socket:
                assert socket.closed_because == ""
                await socket.send("OPTIONS\r\n\r\nZo\u00eb")
                async for frame in socket:
                    assert frame == "OPTIONS\r\n\r\nZo\u00eb"
                    break
            with pytest.raises(ServiceUnreachable, match="lost"):
                await socket.send("late")
            await socket.close()

    run(main)
    assert seen == ["sip", "/"]


def test_binary_frames_are_text_too(certificate: tuple[Path, Path]) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(b"Zo\xc3\xab \xff")

    async def main() -> None:
        async with (
            server(handler, certificate) as port,
            await SipSocket.connect(account(port, certificate[0])) as socket,
        ):
            assert [frame async for frame in socket] == ["Zo\u00eb \ufffd"]

    run(main)


def test_a_connection_that_the_server_closes_ends_the_iteration_and_says_why(
    certificate: tuple[Path, Path],
) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.close(1001, "\x1b[2Jmaintenance\u202e")

    async def main() -> None:
        async with (
            server(handler, certificate) as port,
            await SipSocket.connect(account(port, certificate[0])) as socket,
        ):
            assert [frame async for frame in socket] == []
            assert socket.closed_because == "[2Jmaintenance"

    run(main)


def test_a_frame_that_is_too_long_ends_the_connection_not_the_program(certificate: tuple[Path, Path]) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("x" * (4 * MAX_FRAME_CHARS + 1))
        await connection.wait_closed()

    async def main() -> None:
        async with (
            server(handler, certificate) as port,
            await SipSocket.connect(account(port, certificate[0])) as socket,
        ):
            assert [frame async for frame in socket] == []
            assert socket.closed_because != ""

    run(main)


def test_a_peer_that_vanished_is_noticed_by_keep_alive(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "PING_INTERVAL", 0.05)
    monkeypatch.setattr(transport, "PING_TIME", 0.05)

    noticed = asyncio.Event()

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await noticed.wait()
        connection.transport.resume_reading()

    async def main() -> None:
        async with (
            server(deaf, certificate) as port,
            await SipSocket.connect(account(port, certificate[0])) as socket,
        ):
            assert [frame async for frame in socket] == []
            assert "keep-alive" in socket.closed_because
            noticed.set()

    run(main)


def test_a_certificate_of_an_unknown_authority_is_refused_with_the_remedy(
    certificate: tuple[Path, Path],
) -> None:
    async def main() -> None:
        async with server(echo, certificate) as port:
            with pytest.raises(CertificateUntrusted, match=r"not trusted .*caFile"):
                await SipSocket.connect(account(port))

    run(main)


def test_a_certificate_for_another_name_is_refused(certificate: tuple[Path, Path]) -> None:
    async def main() -> None:
        async with server(echo, certificate) as port:
            with pytest.raises(CertificateUntrusted, match="localhost"):
                await SipSocket.connect(account(port, certificate[0], host="localhost"))

    run(main)


def test_a_server_of_another_subprotocol_is_refused(certificate: tuple[Path, Path]) -> None:
    async def main() -> None:
        async with server(echo, certificate, protocol="mqtt") as port:
            with pytest.raises(ServiceUnreachable, match="outboundProxy"):
                await SipSocket.connect(account(port, certificate[0]))

    run(main)


def test_nothing_that_listens_is_told_in_one_line() -> None:
    async def main() -> None:
        listener = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        listener.close()
        await listener.wait_closed()
        with pytest.raises(ServiceUnreachable, match="is the service running") as refused:
            await SipSocket.connect(account(port))
        assert "\n" not in str(refused.value)

    run(main)


@pytest.mark.parametrize(
    ("greeting", "told"),
    [(b"220 smtp.test\r\n", "does not speak TLS"), (b"", "cannot be reached|did not answer")],
)
def test_a_server_that_is_something_else_is_told(
    greeting: bytes, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "OPEN_TIME", 0.5)
    gone = asyncio.Event()

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        with contextlib.suppress(ConnectionError):
            await reader.read()  # until the phone gives up
            writer.close()
            await writer.wait_closed()
        gone.set()

    async def main() -> None:
        async with await asyncio.start_server(other, "127.0.0.1", 0) as listener:
            with pytest.raises(ServiceUnreachable, match=told):
                await SipSocket.connect(account(listener.sockets[0].getsockname()[1]))
            await gone.wait()

    run(main)


def test_a_host_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # No name server is asked: ".invalid" never exists, but a test must not depend on the network for that.
    async def unknown(*args: object, **kwargs: object) -> None:
        raise sockets.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", unknown)

    async def main() -> None:
        with pytest.raises(ServiceUnreachable, match=r"sip\.invalid is not known"):
            await SipSocket.connect(account(5061, host="sip.invalid"))

    run(main)


def test_the_backup_is_used_when_asked_for(certificate: tuple[Path, Path]) -> None:
    async def main() -> None:
        async with server(echo, certificate) as port:
            spare = replace(account(1, certificate[0]), outbound_proxy_backup=f"127.0.0.1:{port}")
            async with await SipSocket.connect(spare, backup=True) as socket:
                assert socket.closed_because == ""
        with pytest.raises(AccountError, match="outboundProxyBackup"):
            await SipSocket.connect(account(1), backup=True)

    run(main)


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_ca_file_that_cannot_be_used_is_the_accounts_fault(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)

    async def main() -> None:
        with pytest.raises(AccountError, match="caFile"):
            await SipSocket.connect(account(1, path))

    run(main)
