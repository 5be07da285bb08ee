"""ICE as a phone needs it, on aioice's connection: which addresses it binds and asks, and what it lets in.

Whoever knows the address of a socket of ours can send to it, long before anything is encrypted. So what
aioice and aiortc would stumble over is left out here, and what waits for them is bounded.
"""

import asyncio
import contextlib
import ipaddress
import random
import socket
import struct
from collections.abc import Sequence
from typing import Any

from aioice import Candidate, Connection
from aioice.ice import StunProtocol
from aioice.stun import TransactionError
from aiortc import RTCIceCandidate, RTCIceGatherer
from aiortc.sdp import candidate_from_sdp

from shared.log import log

STUN_SECONDS = 1
CONSENT_SECONDS = 5.0
#: Five seconds of sound. More wait only where nobody reads: before DTLS begins, and after it failed.
MOST_WAITING = 256
#: What fits into a packet on Ethernet, and some more: aiortc's part for SRTP breaks on 2 KB.
MOST_BYTES = 1800
#: Far ends name some ten. Each is asked from each address of ours: RFC 8445 §6.1.2.5 wants a bound.
MOST_CANDIDATES = 32


class _Datagrams(asyncio.DatagramTransport):
    """A UDP transport that sends by itself what it can.

    uvloop keeps the last 2,048 addresses that it sent to, 0.4 KB each, and those of calls are all different.
    """

    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        super().__init__()
        self._transport = transport
        self._socket: socket.socket = transport.get_extra_info("socket").dup()

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send a datagram now; the other transport knows what to do when that is not possible."""
        try:
            self._socket.sendto(data, addr)
        except OSError:
            self._transport.sendto(data, addr)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the socket."""
        return self._transport.get_extra_info(name, default)

    def close(self) -> None:
        """Close both."""
        self._socket.close()
        self._transport.close()


class IceConnection(Connection):
    """ICE that binds where it is told to, and notices a dead far end in ``dead_after`` seconds."""

    def __init__(self, addresses: Sequence[str] | None, dead_after: float, **options: Any) -> None:
        super().__init__(ice_controlling=False, **options)
        self._addresses = addresses
        self._dead_after = dead_after
        self._heard_at = 0.0
        self.is_dead = False

    def let_go(self) -> None:
        """Forget the pairs and the task, which know us; aioice keeps them when it is closed."""
        self._check_list.clear()
        self._query_consent_task = None

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109 - aioice's signature
    ) -> list[Candidate]:
        """Gather on the addresses we were given; else on all, and on loopback where there is no other."""
        chosen = list(self._addresses) if self._addresses is not None else (addresses or ["127.0.0.1"])
        # A STUN server that does not answer must not hold up a call for aioice's 5 seconds.
        found = await super().get_component_candidates(component, chosen, timeout=STUN_SECONDS)
        for protocol in self._protocols:
            protocol.transport.set_protocol(_Guard(protocol))
            protocol.transport = _Datagrams(protocol.transport)
        return found

    def data_received(self, data: bytes, component: int) -> None:
        """Take a datagram that is not STUN: a sign of life, too."""
        self._heard_at = asyncio.get_running_loop().time()
        if self._queue.qsize() < MOST_WAITING:
            super().data_received(data, component)

    async def query_consent(self) -> None:
        """Ask for consent every 5 s (RFC 7675 §5.1); close once nothing came for ``dead_after`` seconds."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        every = min(CONSENT_SECONDS, self._dead_after / 3)
        while True:
            await asyncio.sleep(every * random.uniform(0.8, 1.2))
            if await self._consent_given():
                self._heard_at = loop.time()
            elif loop.time() - self._heard_at > self._dead_after:
                self.is_dead, self._query_consent_task = True, None
                await self.close()
                return

    async def _consent_given(self) -> bool:
        assert self.remote_password is not None
        key = self.remote_password.encode()
        for pair in list(self._nominated.values()):
            request = self.build_request(pair, nominate=False)
            with contextlib.suppress(TransactionError):
                await pair.protocol.request(request, pair.remote_addr, integrity_key=key, retransmissions=0)
                return True
        return False


class IceGatherer(RTCIceGatherer):
    """Opens the sockets; the first of ``stun_servers`` is asked for our public address."""

    def __init__(
        self, addresses: Sequence[str] | None, stun_servers: Sequence[str], dead_after: float
    ) -> None:
        super().__init__(iceServers=[])
        server = _stun_address(stun_servers[0]) if stun_servers and not _is_loopback(addresses) else None
        self.connection = self._connection = IceConnection(addresses, dead_after, stun_server=server)


class _Guard(asyncio.DatagramProtocol):
    """Lets through to aioice what it can read: an error in it, or an empty packet, would end the sound."""

    def __init__(self, inner: StunProtocol) -> None:
        self._inner = inner

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if not 0 < len(data) <= MOST_BYTES:
            return
        try:
            self._inner.datagram_received(data, addr)
        except (ValueError, KeyError, struct.error) as exc:  # not all lengths are checked there
            log.debug("media.datagram_unreadable", error=repr(exc))

    def error_received(self, exc: Exception) -> None:
        self._inner.error_received(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)


def usable_candidates(values: Sequence[str]) -> list[RTCIceCandidate]:
    """Return those of an SDP's candidates that we can send to, the best ones if there are many.

    Names are none of them: those in ``.local`` would be asked for by multicast, and the far end's own checks
    tell us its address.
    """
    found = [candidate for candidate in map(_read, values) if candidate is not None]
    found.sort(key=lambda candidate: -candidate.priority)
    return found[:MOST_CANDIDATES]


def _read(value: str) -> RTCIceCandidate | None:
    # Without what comes after the type: that is for people who look for faults.
    candidate = candidate_from_sdp(" ".join(value.split()[:8]))
    try:
        ipaddress.ip_address(candidate.ip)
    except ValueError:
        return None
    is_ours = candidate.component == 1 and candidate.protocol.lower() == "udp" and candidate.port > 0
    return candidate if is_ours else None


def _is_loopback(addresses: Sequence[str] | None) -> bool:
    return addresses is not None and all(ipaddress.ip_address(address).is_loopback for address in addresses)


def _stun_address(server: str) -> tuple[str, int]:
    host, _, port = server.removeprefix("stun:").rpartition(":")
    return (host, int(port)) if host and port.isdigit() else (server, 3478)
