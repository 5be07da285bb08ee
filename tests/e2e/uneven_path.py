"""A path between the two ends of a call that stands still when it is told to, as Wi-Fi does."""

import asyncio
import re
from types import TracebackType
from typing import Any, Self

from agents.media.rtp import is_rtcp

_HOST = "127.0.0.1"
_CANDIDATE = re.compile(rf"({re.escape(_HOST)}) (\d+)(?= typ host)")
#: DTLS and STUN begin otherwise: RFC 7983.
_RTP = range(128, 192)


class UnevenPath:
    """Passes datagrams on, in order. Only what goes to the near end stands still, all of it."""

    def __init__(self) -> None:
        self._near, self._far = _Door(), _Door()
        self._near.take, self._far.take = self._far.give, self._keep
        self._held: list[bytes] | None = None
        self._passed, self._news = 0, asyncio.Event()

    async def __aenter__(self) -> Self:
        for door in (self._near, self._far):
            await door.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for door in (self._near, self._far):
            door.close()

    def as_near(self, sdp: str) -> str:
        """Return what the far end is to read of the near end: that it is where we are."""
        return self._near.instead_of(sdp, self._far)

    def as_far(self, sdp: str) -> str:
        """Return what the near end is to read of the far end."""
        return self._far.instead_of(sdp, self._near)

    async def pass_on(self, packets: int) -> None:
        """Return when so many packets of sound more have come to the near end."""
        await self._until(self._passed + packets)

    async def stand_still(self, packets: int) -> None:
        """Pass nothing on until so many packets of sound have come, and then all at once."""
        self._held, wanted = [], packets
        while sum(map(_is_sound, self._held)) < wanted:
            await self._next()
        held, self._held = self._held, None
        for datagram in held:
            self._pass(datagram)

    def _keep(self, datagram: bytes) -> None:
        if self._held is None:
            self._pass(datagram)
        else:
            self._held.append(datagram)
            self._news.set()

    def _pass(self, datagram: bytes) -> None:
        self._near.give(datagram)
        self._passed += _is_sound(datagram)
        self._news.set()

    async def _until(self, passed: int) -> None:
        while self._passed < passed:
            await self._next()

    async def _next(self) -> None:
        self._news.clear()
        await self._news.wait()


def _is_sound(datagram: bytes) -> bool:
    return datagram[:1] != b"" and datagram[0] in _RTP and not is_rtcp(datagram)


class _Door(asyncio.DatagramProtocol):
    """The socket that one end knows; ``take`` is called with what that end sends."""

    take: Any
    _transport: asyncio.DatagramTransport
    _end: tuple[Any, ...]

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(_HOST, 0))

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._end = addr
        self.take(data)

    def instead_of(self, sdp: str, other: "_Door") -> str:
        """Note where the end of ``sdp`` is, and return it with the address of ``other`` in that place."""
        found = _CANDIDATE.search(sdp)
        assert found is not None, sdp
        self._end = (_HOST, int(found[2]))
        port = other._transport.get_extra_info("sockname")[1]
        return _CANDIDATE.sub(rf"\1 {port}", sdp)

    def give(self, datagram: bytes) -> None:
        self._transport.sendto(datagram, self._end)

    def close(self) -> None:
        self._transport.close()
