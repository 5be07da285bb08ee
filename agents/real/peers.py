"""How a leader reaches each window and each media host: by ROUTER's id of its connection."""

from agents.bus.action_server import Peer

#: Whoever was not heard for longest is forgotten past this: names cost a stranger nothing.
_LIMIT = 2_000


class Peers:
    """Connections by instance id, those of windows and of hosts apart: a host has a thread of its own."""

    def __init__(self) -> None:
        self.windows: dict[str, Peer] = {}
        self.hosts: dict[str, Peer] = {}
        self._newcomers: list[Peer] = []

    def asked(self, instance: str, peer: Peer) -> None:
        """Note where a window's request came from: its answer goes there."""
        if self.windows.get(instance) != peer:
            _keep(self.windows, instance, peer)

    def attached(self, instance: str, peer: Peer) -> None:
        """Note that a window is here; one that is new is to be told the state, whatever XPUB does."""
        if self.windows.get(instance) != peer:
            self._newcomers.append(peer)
            _keep(self.windows, instance, peer)

    def host_attached(self, instance: str, peer: Peer) -> None:
        """Note where the media host of ``instance`` takes commands."""
        _keep(self.hosts, instance, peer)

    def forget(self, instance: str) -> None:
        """Forget a process."""
        self.windows.pop(instance, None)
        self.hosts.pop(instance, None)

    def take_newcomers(self) -> list[Peer]:
        """Return the windows that are new since the last call."""
        newcomers, self._newcomers = self._newcomers, []
        return newcomers


def _keep(table: dict[str, Peer], instance: str, peer: Peer) -> None:
    table.pop(instance, None)  # so that it is the newest
    table[instance] = peer
    if len(table) > _LIMIT:
        del table[next(iter(table))]
