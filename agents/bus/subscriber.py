"""The newest state that one leader publishes: a window's ear, and a candidate's."""

from collections.abc import Callable
from typing import Generic, TypeVar

import zmq

from shared.errors import MessageError
from shared.log import log

from .socket import DrainedSocket, Frames, open_socket

T = TypeVar("T")


class Subscriber(Generic[T]):
    """Call ``receive`` with each state that arrives, decoded; skipped ones are never seen (CONFLATE)."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        decode: Callable[[bytes], T],
        receive: Callable[[T], None],
    ) -> None:
        socket = open_socket(context, zmq.SUB)
        # CONFLATE keeps the last *frame*, so a state is always a single one.
        socket.set(zmq.CONFLATE, 1)
        socket.set(zmq.SUBSCRIBE, b"")
        socket.connect(endpoint)
        self._decode, self._receive = decode, receive
        self._last = b""
        self._state: T | None = None
        self._socket = DrainedSocket(socket, self._arrived, is_single=True)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _arrived(self, frames: Frames) -> None:
        # Most frames are the heartbeat: the same bytes again, which need no decoding.
        if self._state is None or frames[0] != self._last:
            try:
                self._state = self._decode(frames[0])
            except MessageError as exc:
                log.warning("state.undecodable", error=str(exc))
                return
            self._last = frames[0]
        self._receive(self._state)
