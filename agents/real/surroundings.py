"""What happens to the computer under a connection: it sleeps, or gets another address.

A TCP connection notices neither for a long time. Sleep shows as a jump of CLOCK_BOOTTIME against the clock of
the event loop, which stands still meanwhile. A change of network shows as another local address for packets
to the service; on Linux the kernel tells at once that something changed (rtnetlink(7)), elsewhere we look
once a second.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable

from shared.clock import boottime, monotonic

_PERIOD = 1.0
#: A jump of less is no sleep, only a slow computer.
_SLEPT = 2.0
#: An address comes before its routes, and several at a time.
_SETTLING = 0.2
#: RTMGRP_LINK, and the groups of IPv4 and IPv6 addresses and routes (linux/rtnetlink.h).
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
#: Where the way to the service is asked for before a connection has shown its address (RFC 5737).
_ANYWHERE = ("192.0.2.1", 9)

Peer = tuple[str, int]


def local_address(peer: Peer) -> str | None:
    """Return the address that packets to ``peer`` leave from, None if there is no way. Sends nothing."""
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(peer)
            return str(probe.getsockname()[0])
    except OSError:
        return None


class Surroundings:
    """Watch the computer, in the running loop.

    ``slept`` is called after a sleep with its length; ``moved`` when there is a way to the service again, or
    another one: with whether our address is another one than the connection was made from.
    """

    def __init__(
        self,
        slept: Callable[[float], None],
        moved: Callable[[bool], None],
        *,
        address: Callable[[Peer], str | None] = local_address,
        clocks: tuple[Callable[[], float], Callable[[], float]] = (boottime, monotonic),
        period: float = _PERIOD,
    ) -> None:
        self._slept, self._moved, self._address, self._clocks = slept, moved, address, clocks
        self._peer = _ANYWHERE
        self._seen = self._used = address(self._peer)
        self._period = period
        self._loop = asyncio.get_running_loop()
        self._kernel = _open_netlink()
        self._offset = self._read_offset()
        self._timer = self._loop.call_later(period, self._look)
        self._soon: asyncio.TimerHandle | None = None
        if self._kernel is not None:
            self._loop.add_reader(self._kernel, self._told)

    def connected(self, peer: Peer) -> None:
        """Take where the service is, and that the connection is made from the address that we have now."""
        self._peer = peer
        self._seen = self._used = self._address(peer)

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()
        if self._soon is not None:
            self._soon.cancel()
        if self._kernel is not None:
            self._loop.remove_reader(self._kernel)
            self._kernel.close()
            self._kernel = None

    def _look(self) -> None:
        self._timer = self._loop.call_later(self._period, self._look)
        offset = self._read_offset()
        slept, self._offset = offset - self._offset, offset
        if slept > _SLEPT:
            self._slept(slept)
        self._look_at_network()

    def _told(self) -> None:
        with contextlib.suppress(OSError):  # ENOBUFS: so many changes that some were lost
            while self._kernel is not None and self._kernel.recv(65_536):
                pass
        if self._soon is None:
            self._soon = self._loop.call_later(_SETTLING, self._settled)

    def _settled(self) -> None:
        self._soon = None
        self._look_at_network()

    def _look_at_network(self) -> None:
        before, self._seen = self._seen, self._address(self._peer)
        if self._seen is not None and self._seen != before:
            is_other, self._used = self._seen != self._used, self._seen
            self._moved(is_other)

    def _read_offset(self) -> float:
        with_sleep, without = self._clocks
        return with_sleep() - without()


def _open_netlink() -> socket.socket | None:
    """Return a socket that becomes readable when an address or route changes; None where there is none."""
    if sys.platform != "linux":
        return None
    kernel = None
    try:
        kernel = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        kernel.bind((0, _GROUPS))
    except OSError:  # a sandbox may forbid it: looking once a second is enough
        if kernel is not None:
            kernel.close()
        return None
    return kernel
