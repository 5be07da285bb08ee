"""One ZeroMQ socket, drained by the event loop that owns it.

``ZMQ_FD`` is edge-triggered: it tells only that something changed, once. So the socket is drained until it
would block after every wake-up *and* after every send, because a send may consume the edge of an arrival.
This is a third of the cost of ``zmq.asyncio``, which makes a future for each message.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import structlog
import zmq

from shared.messages import MAX_FRAME_BYTES

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

Frames = Sequence[bytes]

#: As plain numbers: an ``&`` with pyzmq's enumerations takes 2 µs, and there are many in each exchange.
_DONTWAIT, _POLLIN, _POLLOUT = int(zmq.DONTWAIT), int(zmq.POLLIN), int(zmq.POLLOUT)
_EVENTS = int(zmq.EVENTS)

#: Messages read in one go before other tasks get their turn.
_BATCH = 256
#: An edge that was missed all the same costs at most this many seconds.
_WATCHDOG = 0.5


def open_socket(context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
    """Return a socket of ``kind`` with the limits that every socket of a group has."""
    socket = context.socket(kind)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
    socket.set(zmq.HANDSHAKE_IVL, 2_000)
    # The default of 100 ms would be nearly all of the failover time; the cap keeps a lost peer cheap.
    socket.set(zmq.RECONNECT_IVL, 1)
    socket.set(zmq.RECONNECT_IVL_MAX, 50)
    return socket


def bind(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Bind ``socket``, or close it and raise :exc:`zmq.ZMQError`: an open one would keep its context."""
    try:
        socket.bind(endpoint)
    except zmq.ZMQError:
        socket.close()
        raise


class DrainedSocket:
    """Owns ``socket``: calls ``receive`` for each message, and sends without blocking.

    Must be made inside the running loop that shall own it. What cannot be sent yet waits in an outbox of
    ``outbox_limit`` messages; 0 means that it is dropped. With ``is_single`` each frame counts as a message:
    nothing asks whether more of it follows.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        receive: Callable[[list[bytes]], None],
        *,
        outbox_limit: int = 0,
        is_single: bool = False,
    ) -> None:
        self._socket, self._receive = socket, receive
        self._is_single = is_single
        # A partial and no method of ours: asked twice a message.
        self._events: Callable[[], int] = partial(cast("Callable[[int], int]", socket.get), _EVENTS)
        self._outbox: deque[Frames] = deque()
        self._outbox_limit = outbox_limit
        self._loop = asyncio.get_running_loop()
        self._drain_is_due = self._is_draining = False
        self._fd = int(socket.get(zmq.FD))
        self._loop.add_reader(self._fd, self._drain)
        self._watchdog = self._loop.call_later(_WATCHDOG, self._watch)
        self._drain_soon()

    @property
    def unsent(self) -> list[Frames]:
        """Messages that never left this process: nobody can have read them."""
        return list(self._outbox)

    def send(self, frames: Frames) -> bool:
        """Send ``frames`` now, or keep them until the peer is there. False: they were dropped.

        Raises:
            zmq.ZMQError: EHOSTUNREACH, from a ROUTER whose peer is gone.
        """
        if self._socket.closed:
            return False
        if not self._outbox and self._try_send(frames):
            return True
        if len(self._outbox) >= self._outbox_limit:
            return False
        self._outbox.append(frames)
        self._drain_soon()
        return True

    def withdraw(self, frames: Frames) -> None:
        """Take back one of :attr:`unsent`."""
        self._outbox.remove(frames)

    def close(self, linger_ms: int = 0) -> None:
        """Close the socket. What it had sent has ``linger_ms`` more to leave; the outbox is dropped."""
        if not self._socket.closed:
            self._loop.remove_reader(self._fd)
            self._watchdog.cancel()
            self._socket.close(linger=linger_ms)

    def _try_send(self, frames: Frames) -> bool:
        try:
            self._send_now(frames)
        except zmq.Again:
            return False
        # What was sent may have consumed the edge of an arrival. A drain under way looks again by itself.
        if not self._is_draining and self._events() & _POLLIN:
            self._drain_soon()
        return True

    def _send_now(self, frames: Frames) -> None:
        if len(frames) == 1:
            self._socket.send(frames[0], _DONTWAIT)
        else:
            self._socket.send_multipart(frames, _DONTWAIT)

    def _drain_soon(self) -> None:
        if not self._drain_is_due:
            self._drain_is_due = True
            self._loop.call_soon(self._drain)

    def _watch(self) -> None:
        self._watchdog = self._loop.call_later(_WATCHDOG, self._watch)
        self._drain()

    def _drain(self) -> None:
        self._drain_is_due, self._is_draining = False, True
        try:
            received = self._read_batch()
        finally:
            self._is_draining = False
        if received == _BATCH:
            self._drain_soon()

    def _read_batch(self) -> int:
        """Hand on what has arrived, a batch at most; return how many messages it was."""
        socket, receive = self._socket, self._receive
        for received in range(_BATCH):
            if socket.closed:
                return received
            events = self._events()
            if self._outbox and events & _POLLOUT:
                self._flush()
            if not events & _POLLIN:
                return received
            try:
                frames = [socket.recv(_DONTWAIT)] if self._is_single else socket.recv_multipart(_DONTWAIT)
            except zmq.Again:
                continue
            receive(frames)
        return _BATCH

    def _flush(self) -> None:
        while self._outbox:
            try:
                self._send_now(self._outbox[0])
            except zmq.Again:
                return
            self._outbox.popleft()
