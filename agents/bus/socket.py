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

import zmq

from shared import ids
from shared.messages import MAX_FRAME_BYTES

Frames = Sequence[bytes]

#: As plain numbers: an ``&`` or ``|`` with pyzmq's enumerations takes 2 µs, and there are many in each
#: exchange.
_DONTWAIT, _SNDMORE, _POLLIN, _POLLOUT = map(int, (zmq.DONTWAIT, zmq.SNDMORE, zmq.POLLIN, zmq.POLLOUT))
_EVENTS, _RCVMORE = int(zmq.EVENTS), int(zmq.RCVMORE)

#: Messages read in one go before other tasks get their turn.
_BATCH = 256
#: How long a socket waits at least before it connects again, and at most three times as long.
_RECONNECT_MS = 10
#: An edge that was missed all the same costs at most this many seconds.
_WATCHDOG = 0.5


def open_socket(context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
    """Return a socket of ``kind`` with the limits that every socket of a group has."""
    socket = context.socket(kind)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
    socket.set(zmq.HANDSHAKE_IVL, 2_000)
    # Not at once: after a leader's death fifty windows would knock at a dead door while its heir speaks.
    # Not all at a time, either; and seldom in the end, which keeps a lost peer cheap.
    socket.set(zmq.RECONNECT_IVL, int(_RECONNECT_MS * (1.0 + 2.0 * ids.chance())))
    socket.set(zmq.RECONNECT_IVL_MAX, 10 * _RECONNECT_MS)
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

    Must be made inside the running loop that shall own it. ``drained`` is called when what had arrived is
    read, in the same turn of the loop. What cannot be sent yet waits in an outbox of ``outbox_limit``
    messages; 0 means that it is dropped. With ``is_single`` each frame counts as a message: nothing asks
    whether more of it follows. ``lost`` is called when nothing can be sent any more: the peer is gone.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        receive: Callable[[Frames], None],
        *,
        drained: Callable[[], None] | None = None,
        lost: Callable[[], None] | None = None,
        outbox_limit: int = 0,
        is_single: bool = False,
    ) -> None:
        self._socket, self._receive, self._drained = socket, receive, drained
        self._lost, self._is_single = lost, is_single
        self._could_send = 0
        # Partials and no methods of ours: asked several times a message.
        get = cast("Callable[[int], int]", socket.get)
        self._events: Callable[[], int] = partial(get, _EVENTS)
        self._has_more: Callable[[], int] = partial(get, _RCVMORE)
        self._outbox: deque[Frames] = deque()
        self._outbox_limit = outbox_limit
        self._loop = asyncio.get_running_loop()
        self._drain_is_due = self._is_draining = self._is_closed = False
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
        if self._is_closed:
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
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._fd)
            self._watchdog.cancel()
            self._socket.close(linger=linger_ms)

    def _try_send(self, frames: Frames) -> bool:
        try:
            self._send_now(frames)
        except zmq.Again:
            return False
        # What was sent may have consumed the edge of an arrival. A drain under way looks again by itself;
        # else we look when all is sent that is to be sent now: the peer need not wait for that.
        if not self._is_draining:
            self._drain_soon()
        return True

    def _send_now(self, frames: Frames) -> None:
        # Not pyzmq's send_multipart, which looks at each frame before.
        send = self._socket.send
        for frame in frames[:-1]:
            send(frame, _DONTWAIT | _SNDMORE)
        send(frames[-1], _DONTWAIT)

    def _drain_soon(self) -> None:
        if not self._drain_is_due:
            self._drain_is_due = True
            self._loop.call_soon(self._drain)

    def _watch(self) -> None:
        self._watchdog = self._loop.call_later(_WATCHDOG, self._watch)
        self._drain()

    def _drain(self) -> None:
        self._drain_is_due, self._is_draining = False, True
        is_empty = False
        try:
            is_empty = self._read_batch()
        finally:
            self._is_draining = False
            if not is_empty:
                self._drain_soon()

    def _read_batch(self) -> bool:
        """Hand on what has arrived, a batch at most; return whether that was all."""
        is_news = False
        for _ in range(_BATCH):
            if self._is_closed:
                return True
            events = self._events()
            if self._lost is not None:
                self._notice_loss(events & _POLLOUT)
            if self._outbox and events & _POLLOUT:
                self._flush()
            if events & _POLLIN:
                is_news = self._read_one() or is_news
            elif is_news and self._drained is not None:
                is_news = False
                self._drained()  # and once more: what it sent may have consumed an edge
            else:
                return True
        if is_news and self._drained is not None:
            self._drained()
        return False

    def _notice_loss(self, can_send: int) -> None:
        could_send, self._could_send = self._could_send, can_send
        if could_send and not can_send and self._lost is not None:
            self._lost()

    def _read_one(self) -> bool:
        receive = self._socket.recv
        try:
            frames = [receive(_DONTWAIT)]
        except zmq.Again:
            return False
        while not self._is_single and self._has_more():
            frames.append(receive(_DONTWAIT))
        self._receive(frames)
        return True

    def _flush(self) -> None:
        while self._outbox:
            try:
                self._send_now(self._outbox[0])
            except zmq.Again:
                return
            self._outbox.popleft()
