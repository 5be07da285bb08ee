"""The connection to the phone service: SIP over a secure WebSocket (RFC 7118). The only I/O of this package.

A connection is used once: when it ends, make another one. Nothing is retried here.
"""

import asyncio
import contextlib
import ipaddress
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from shared.config import Account
from shared.errors import AccountError, CertificateUntrusted, ServiceUnreachable
from shared.text import readable

from .message import MAX_FRAME_CHARS

#: TCP, TLS and WebSocket handshakes together, in seconds.
OPEN_TIME = 5.0
#: A connection whose peer vanished without a word is noticed after at most the sum of the three, in seconds:
#: the last is how long its closing handshake may take, polite or not.
PING_INTERVAL, PING_TIME, CLOSE_TIME = 5.0, 5.0, 1.0
_LEAST_INTERVAL = 0.5
_SIP = Subprotocol("sip")


class SipSocket:
    """An open connection: iterate to receive, ``send`` to send. Made by :meth:`connect`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._pings: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, account: Account, *, backup: bool = False) -> "SipSocket":
        """Connect to the account's outbound proxy, or its backup.

        The server's certificate is checked against ``account.ca_file`` if there is one, else against the
        system's authorities.

        Raises:
            CertificateUntrusted: If nobody whom we trust vouches for the server.
            ServiceUnreachable: If it cannot be reached for any other cause; the text is one line.
            AccountError: If ``ca_file`` cannot be read, or there is no backup.
        """
        proxy = account.outbound_proxy_backup if backup else account.outbound_proxy
        if proxy is None:
            raise AccountError("the account has no outboundProxyBackup")
        context = await asyncio.to_thread(tls_context, account)
        try:
            connection = await connect(
                f"wss://{proxy}",
                ssl=context,
                subprotocols=[_SIP],
                compression=None,  # small messages, and a secret next to text of others (CRIME)
                open_timeout=OPEN_TIME,
                ping_interval=PING_INTERVAL,
                ping_timeout=PING_TIME,
                close_timeout=CLOSE_TIME,
                max_size=4 * MAX_FRAME_CHARS,  # UTF-8 takes up to four bytes a character
                proxy=None if _is_loopback(proxy) else True,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, EOFError, ValueError) as exc:
            raise _explain(proxy, exc) from exc
        if connection.subprotocol != _SIP:
            await connection.close()
            raise ServiceUnreachable(f"{proxy} does not speak SIP over WebSocket; check outboundProxy")
        return cls(connection)

    def __aiter__(self) -> AsyncIterator[str]:
        return self._frames()

    async def _frames(self) -> AsyncIterator[str]:
        """Yield each frame until the connection ends, for whatever cause; then see :attr:`closed_because`."""
        try:
            async for frame in self._connection:
                # RFC 7118 allows binary frames too. What is not UTF-8 the parser refuses or shows as U+FFFD.
                yield frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        except ConnectionClosed:
            return

    async def send(self, text: str) -> None:
        """Send one message; raises :exc:`ServiceUnreachable` once the connection has ended."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as exc:
            raise ServiceUnreachable(f"the connection was lost: {self.closed_because}") from exc

    def ping_every(self, interval: float) -> None:
        """Ping so often from now on, if that is more often than :data:`PING_INTERVAL`; until it is closed."""
        if self._pings is not None:
            self._pings.cancel()
            self._pings = None
        if interval < PING_INTERVAL:
            self._pings = asyncio.create_task(self._ping(max(interval, _LEAST_INTERVAL)), name="sip-pings")

    async def _ping(self, interval: float) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._connection.ping()  # whether it is answered, the connection's own pings see to
                await asyncio.sleep(interval)

    async def close(self) -> None:
        """Close politely; harmless to call again. Takes at most :data:`CLOSE_TIME`."""
        if self._pings is not None:
            self._pings.cancel()
        # In a task of its own: whoever closes may be being cancelled, and this uses timeouts.
        await asyncio.wait({asyncio.create_task(self._connection.close())})

    @property
    def peer(self) -> tuple[str, int]:
        """Where the connection leads to: address and port, of the service or of a proxy on the way."""
        host, port, *_ = self._connection.remote_address
        return str(host), int(port)

    @property
    def closed_because(self) -> str:
        """Why the connection ended, in a few words; "" while it is open."""
        code = self._connection.close_code
        if code is None:
            return ""
        if code == 1006:
            return "no answer to keep-alive, or cut off"
        return readable(self._connection.close_reason or "") or f"closed with code {code}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def tls_context(account: Account) -> ssl.SSLContext:
    """Return whom a connection of ``account`` trusts.

    Reading the system's authorities takes some 50 ms the first time, so whoever may have to connect in a
    hurry calls this before.

    Raises:
        AccountError: If ``ca_file`` cannot be read, or holds no certificate.
    """
    ca_file = account.ca_file
    try:
        changed_at = os.stat(ca_file).st_mtime_ns if ca_file is not None else 0
        return _make_context(None if ca_file is None else os.fspath(ca_file), changed_at)
    except OSError as exc:  # also ssl.SSLError: not a certificate
        raise AccountError(f"the account's caFile {ca_file} cannot be used: {exc}") from exc


@lru_cache(maxsize=4)
def _make_context(ca_file: str | None, _changed_at: int) -> ssl.SSLContext:
    # A service that names its own authority is vouched for by that one alone.
    return ssl.create_default_context(cafile=ca_file)


def _is_loopback(proxy: str) -> bool:
    host = proxy.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch("[0-9]{1,6}", text.strip()) else None


def _explain(proxy: str, exc: Exception) -> ServiceUnreachable:
    """Return the error with its cause and remedy in one line."""
    host = proxy.rpartition(":")[0]
    if isinstance(exc, ssl.SSLCertVerificationError):
        return CertificateUntrusted(
            f"the certificate of {proxy} is not trusted ({exc.verify_message}); "
            "if the service has an authority of its own, name its file as caFile in the account file"
        )
    if isinstance(exc, ssl.SSLError):
        return ServiceUnreachable(
            f"{proxy} does not speak TLS ({exc.reason}); check the port in outboundProxy"
        )
    if isinstance(exc, socket.gaierror):
        return ServiceUnreachable(f"the host {host} is not known; check outboundProxy and the network")
    if isinstance(exc, TimeoutError):
        return ServiceUnreachable(
            f"{proxy} did not answer within {OPEN_TIME:g} s; check the network or firewall"
        )
    if isinstance(exc, ConnectionRefusedError):
        return ServiceUnreachable(f"nothing listens at {proxy}; is the service running?")
    if isinstance(exc, InvalidStatus) and exc.response.status_code >= 500:
        retry_after = _seconds(exc.response.headers.get("Retry-After", ""))
        return ServiceUnreachable(
            f"{proxy} cannot serve now (HTTP {exc.response.status_code})", retry_after=retry_after
        )
    if isinstance(exc, InvalidHandshake | InvalidURI):
        return ServiceUnreachable(
            f"{proxy} is no SIP WebSocket server ({readable(str(exc))}); check outboundProxy"
        )
    if isinstance(exc, ValueError):  # a port above 65535, a host that no name can be (IDNA)
        return ServiceUnreachable(f"{proxy!a} is no host:port ({readable(str(exc))}); check outboundProxy")
    return ServiceUnreachable(f"{proxy} cannot be reached ({readable(str(exc))})")
