"""The sockets that a leader speaks from, bound before it leads: windows connect to them while it does not."""

import contextlib
from collections.abc import Callable

import zmq

from shared.election import Endpoints
from shared.messages import ToLeader

from .action_server import ActionServer, Peer
from .publisher import Publisher


class Post:
    """The sockets of one epoch. Until :meth:`occupy` nothing leaves them, and what arrives is dropped.

    Must be made inside the loop that shall own them.

    Raises:
        zmq.ZMQError: If one of ``endpoints`` cannot be bound.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self._received: Callable[[Peer, ToLeader], None] | None = None
        self._drained: Callable[[], None] | None = None
        self._may_act: Callable[[], bool] | None = None
        with contextlib.ExitStack() as bound:  # all or none
            self.server = ActionServer(context, endpoints.actions, self._receive, self._all_read)
            bound.callback(self.server.close)
            self.publisher = Publisher(context, endpoints.state, self._may_send)
            bound.callback(self.publisher.close)
            self.own_publisher = Publisher(context, endpoints.own, self._may_send)
            bound.callback(self.own_publisher.close)
            self.estate = Publisher(context, endpoints.estate, self._may_send)
            bound.pop_all()

    def occupy(
        self,
        received: Callable[[Peer, ToLeader], None],
        drained: Callable[[], None],
        may_act: Callable[[], bool],
    ) -> None:
        """Speak and listen from now on: the lease is ours.

        Args:
            received, drained: See :class:`ActionServer`.
            may_act: Asked before what nobody asked for leaves.
        """
        self._received, self._drained, self._may_act = received, drained, may_act

    def close(self) -> None:
        """Close them all."""
        self.publisher.close()
        self.own_publisher.close()
        self.estate.close()
        self.server.close()

    def _receive(self, peer: Peer, message: ToLeader) -> None:
        if self._received is not None:
            self._received(peer, message)

    def _all_read(self) -> None:
        if self._drained is not None:
            self._drained()

    def _may_send(self) -> bool:
        return self._may_act is not None and self._may_act()
