"""How long a registration and a call take, in turns at our service and at Kamailio."""

import os
from collections.abc import Callable

from shared.clock import monotonic

from ..bench.report import Row, timed
from ..bench.stage import pinned
from .servers import Server
from .wire import LeanPhone

_BLOCK = 20


class _Pair:
    """A caller and a callee, registered at one server."""

    def __init__(self, server: Server) -> None:
        accounts = zip(server.accounts[:2], ("caller", "callee"), strict=True)
        self.caller, self.callee = (LeanPhone(account, name).connect() for account, name in accounts)
        self._number = server.numbers[1]
        for phone in (self.caller, self.callee):
            phone.register()

    def register(self) -> float:
        """Return from REGISTER to its 200, digest included, of a phone that is not registered."""
        self.caller.register(0)
        began = monotonic()
        self.caller.register()
        return monotonic() - began

    def call(self) -> float:
        """Return from INVITE to its 200, digest and the other phone's answer included."""
        began = monotonic()
        answered = self.caller.invite(self._number, self.callee)
        took = monotonic() - began
        self.caller.hang_up(answered, self.callee)
        return took

    def close(self) -> None:
        """Be gone."""
        self.caller.close()
        self.callee.close()


def measure_times(ours: Server, other: Server | None, blocks: int) -> list[Row]:
    """Return ``register_digest`` and ``invite_to_200``; without ``other`` they have no ratio."""
    servers = [server for server in (ours, other) if server is not None]
    with pinned({pid for server in servers for pid in server.pids()}, {os.getpid()}):
        pairs = [_Pair(server) for server in servers]
        rows = [
            _row("register_digest", [pair.register for pair in pairs], blocks),
            _row("invite_to_200", [pair.call for pair in pairs], blocks),
        ]
        for pair in pairs:
            pair.close()
    return rows


def _row(name: str, measures: list[Callable[[], float]], blocks: int) -> Row:
    times: list[list[float]] = [[] for _ in measures]
    for measure in measures:
        measure()  # what is made once is made now
    for _ in range(blocks):
        for measure, found in zip(measures, times, strict=True):
            found += [measure() for _ in range(_BLOCK)]
    return timed(name, times[0], times[1] if len(times) > 1 else None, "Kamailio")
