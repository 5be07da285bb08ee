"""The leader's desk: requests come in from windows and media hosts, replies and commands go out."""

from collections.abc import Callable

import zmq

from shared.errors import MessageError
from shared.log import log
from shared.messages import FromLeader, ToLeader, decode_to_leader, encode

from .socket import DrainedSocket, Frames, bind, open_socket

#: A peer is ROUTER's own id of a connection: opaque, and never chosen by the other side.
Peer = bytes


class ActionServer:
    """Call ``receive`` with each message and the peer that sent it; :meth:`send` to a peer.

    ``drained`` is called when all that had arrived was handed over. A frame that does not decode is dropped;
    the first of each peer is logged.

    Raises:
        zmq.ZMQError: If ``endpoint`` cannot be bound.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        receive: Callable[[Peer, ToLeader], None],
        drained: Callable[[], None] | None = None,
    ) -> None:
        socket = open_socket(context, zmq.ROUTER)
        # By default a ROUTER drops silently what it cannot deliver.
        socket.set(zmq.ROUTER_MANDATORY, 1)
        bind(socket, endpoint)
        self._receive = receive
        self._bad_peers: set[Peer] = set()
        self._socket = DrainedSocket(socket, self._arrived, drained=drained)

    def send(self, peer: Peer, message: FromLeader) -> bool:
        """Send ``message`` to ``peer``. False: it is gone, or has stopped reading."""
        try:
            return self._socket.send([peer, encode(message)])
        except zmq.ZMQError as exc:
            if exc.errno != zmq.EHOSTUNREACH:
                raise
            return False

    def close(self) -> None:
        """Close the desk."""
        self._socket.close()

    def _arrived(self, frames: Frames) -> None:
        peer, body = frames[0], frames[-1]
        try:
            message = decode_to_leader(body)
        except MessageError as exc:
            self._complain(peer, exc)
            return
        self._receive(peer, message)

    def _complain(self, peer: Peer, exc: MessageError) -> None:
        if peer in self._bad_peers:
            return
        if len(self._bad_peers) >= 1_000:
            self._bad_peers.clear()
        self._bad_peers.add(peer)
        log.warning("request.undecodable", peer=peer.hex(), error=str(exc))
