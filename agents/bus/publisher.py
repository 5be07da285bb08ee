"""The leader's newest state to whoever subscribes: XPUB, which is PUB that hears of each subscription."""

import asyncio
from collections.abc import Callable

import zmq

from .socket import DrainedSocket, Frames, bind, open_socket

#: Seconds between repetitions for new subscribers. Each goes to all: fifty windows that come at once, after a
#: promotion, would otherwise be told fifty times each.
_WELCOME_PAUSE = 0.01


class Publisher:
    """Publish the newest state, and repeat it as heartbeat and to each new subscriber.

    Must be made inside its owner's running loop. ``may_send`` is asked before what nobody asked for leaves.

    Raises:
        zmq.ZMQError: If ``endpoint`` cannot be bound.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        socket = open_socket(context, zmq.XPUB)
        # Without VERBOSE only the first subscription ever is reported, and a late window would wait.
        socket.set(zmq.XPUB_VERBOSE, 1)
        # A window that stopped reading must not grow the leader: past this, it misses snapshots.
        socket.set(zmq.SNDHWM, 64)
        bind(socket, endpoint)
        self._may_send = may_send
        self._newest: bytes | None = None
        self._loop = asyncio.get_running_loop()
        self._is_awaited = False
        self._welcome_timer: asyncio.Handle | None = None
        self._socket = DrainedSocket(socket, self._subscription, is_single=True)

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
        if self._welcome_timer is not None:
            self._welcome_timer.cancel()
        self._socket.close()

    def _subscription(self, frames: Frames) -> None:
        if frames[0][:1] == b"\x01":
            self._is_awaited = True
            if self._welcome_timer is None:
                self._welcome_timer = self._loop.call_soon(self._welcome)

    def _welcome(self) -> None:
        self._welcome_timer = None
        if self._is_awaited:
            self._is_awaited = False
            if self._may_send():
                self.repeat()
            self._welcome_timer = self._loop.call_later(_WELCOME_PAUSE, self._welcome)
