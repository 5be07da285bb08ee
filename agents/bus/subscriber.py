"""A window's ear: the newest snapshot of one leader."""

from collections.abc import Callable

import structlog
import zmq

from shared.errors import MessageError
from shared.messages import Snapshot, decode_snapshot

from .socket import DrainedSocket, open_socket

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Subscriber:
    """Call ``receive`` with each snapshot that arrives; skipped ones are never seen (CONFLATE)."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, receive: Callable[[Snapshot], None]
    ) -> None:
        socket = open_socket(context, zmq.SUB)
        # CONFLATE keeps the last *frame*, so a snapshot is always a single one.
        socket.set(zmq.CONFLATE, 1)
        socket.set(zmq.SUBSCRIBE, b"")
        socket.connect(endpoint)
        self._receive = receive
        self._last = b""
        self._snapshot: Snapshot | None = None
        self._socket = DrainedSocket(socket, self._arrived)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _arrived(self, frames: list[bytes]) -> None:
        # Most frames are the heartbeat: the same bytes again, which need no decoding.
        if self._snapshot is None or frames[0] != self._last:
            try:
                self._snapshot = decode_snapshot(frames[0])
            except MessageError as exc:
                log.warning("snapshot.undecodable", error=str(exc))
                return
            self._last = frames[0]
        self._receive(self._snapshot)
