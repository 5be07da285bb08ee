"""A window's or media host's line to the leader of one epoch."""

from collections.abc import Callable

import zmq

from shared.errors import MessageError
from shared.log import log
from shared.messages import FromLeader, Request, ToLeader, decode_from_leader, decode_to_leader, encode

from .socket import DrainedSocket, Frames, open_socket

#: A window that has so much unsent has no leader; more would only get old.
_OUTBOX_LIMIT = 256


class ActionClient:
    """Send messages to the leader, and call ``receive`` with what it answers, ``lost`` when it is gone."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        receive: Callable[[FromLeader], None],
        lost: Callable[[], None] | None = None,
    ) -> None:
        socket = open_socket(context, zmq.DEALER)
        # By default a DEALER queues for a peer that it never met, and whoever comes next reads it.
        socket.set(zmq.IMMEDIATE, 1)
        socket.connect(endpoint)
        self._receive = receive
        self._socket = DrainedSocket(
            socket, self._arrived, lost=lost, outbox_limit=_OUTBOX_LIMIT, is_single=True
        )

    def send(self, message: ToLeader) -> bool:
        """Send ``message``, as soon as the leader is connected. False: dropped, too much waits already."""
        return self._socket.send([encode(message)])

    def unsent(self) -> list[ToLeader]:
        """Return what never left this process, so that it is safe to address it to another leader."""
        return [decode_to_leader(frames[0]) for frames in self._socket.unsent]

    def withdraw(self, action_id: str) -> bool:
        """Take back an action that never left this process. False: it has left, or was never sent here."""
        for frames in self._socket.unsent:
            message = decode_to_leader(frames[0])
            if isinstance(message, Request) and message.action_id == action_id:
                self._socket.withdraw(frames)
                return True
        return False

    def close(self) -> None:
        """Hang up the line; a last message that was just sent still leaves."""
        self._socket.close(linger_ms=200)

    def _arrived(self, frames: Frames) -> None:
        try:
            message = decode_from_leader(frames[-1])
        except MessageError as exc:
            log.warning("reply.undecodable", error=str(exc))
            return
        self._receive(message)
