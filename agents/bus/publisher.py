"""The leader's newest state to whoever subscribes: XPUB, which is PUB that hears of each subscription."""

import asyncio

import zmq

from .socket import DrainedSocket, open_socket


class Publisher:
    """Publish the newest state, and repeat it as heartbeat and to each new subscriber.

    Must be made inside its owner's running loop.

    Raises:
        zmq.ZMQError: If ``endpoint`` cannot be bound.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> None:
        socket = open_socket(context, zmq.XPUB)
        # Without VERBOSE only the first subscription ever is reported, and a late window would wait.
        socket.set(zmq.XPUB_VERBOSE, 1)
        # A window that stopped reading must not grow the leader: past this, it misses snapshots.
        socket.set(zmq.SNDHWM, 64)
        socket.bind(endpoint)
        self._newest: bytes | None = None
        self._loop = asyncio.get_running_loop()
        self._is_due = False
        self._socket = DrainedSocket(socket, self._subscription)

    def publish(self, snapshot: bytes) -> None:
        """Send ``snapshot``, one encoded frame, to every subscriber."""
        self._newest = snapshot
        self._socket.send([snapshot])

    def repeat(self) -> None:
        """Send the newest snapshot again."""
        if self._newest is not None:
            self._socket.send([self._newest])

    def close(self) -> None:
        """Stop publishing."""
        self._socket.close()

    def _subscription(self, frames: list[bytes]) -> None:
        # After a promotion all windows subscribe at once, and each repetition goes to all of them.
        if frames[0][:1] == b"\x01" and not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._welcome)

    def _welcome(self) -> None:
        self._is_due = False
        self.repeat()
