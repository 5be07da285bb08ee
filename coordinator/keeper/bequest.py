"""What a leader would leave behind, at hand in those who may succeed it: see ``agents/phone/estate.py``."""

import zmq

from agents.bus import Subscriber


class Bequest:
    """The newest ``estate`` of the leader that is listened to. Belongs to the loop that calls it."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.estate = b""
        self._context = context
        self._endpoint = ""
        self._subscriber: Subscriber[bytes] | None = None

    def expect(self, endpoint: str) -> None:
        """Listen there, and nowhere else. What was left before is kept until there is something newer."""
        if endpoint != self._endpoint:
            self.stop()
            self._endpoint = endpoint
            self._subscriber = Subscriber(self._context, endpoint, bytes, self._take)

    def stop(self) -> None:
        """Listen to nobody."""
        if self._subscriber is not None:
            self._subscriber.close()
        self._endpoint, self._subscriber = "", None

    def renounce(self) -> None:
        """Listen to nobody, and forget what was left: it would get old."""
        if self._subscriber is not None:
            self.estate = b""
        self.stop()

    def _take(self, estate: bytes) -> None:
        self.estate = estate
