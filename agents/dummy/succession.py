"""Whom a window listens to besides the leader: the heir, whose first word shall wait for no connection."""

from collections.abc import Callable

from agents.bus import Subscriber
from shared.election import Endpoints, Holder
from shared.messages import Snapshot


class Succession:
    """The subscription to the one instance that leads next, if all goes as expected.

    Args:
        endpoints: Says where an instance would speak from as the leader of an epoch; None: nobody knows.
        subscribe: Makes the subscription to what a leader says.
    """

    def __init__(
        self,
        endpoints: Callable[[int, str], Endpoints] | None,
        subscribe: Callable[[Holder], Subscriber[Snapshot]],
    ) -> None:
        self._endpoints, self._subscribe = endpoints, subscribe
        self._heir: Holder | None = None
        self._subscriber: Subscriber[Snapshot] | None = None

    def expect(self, snapshot: Snapshot) -> None:
        """Listen to the heir of this state, and to nobody else."""
        instance, epoch = snapshot.heir(), snapshot.version.epoch + 1
        if self._endpoints is None:
            return
        if self._heir is not None and (self._heir.epoch, self._heir.instance) == (epoch, instance):
            return
        self.close()
        if instance:
            self._heir = Holder(epoch, float("inf"), instance, 0, self._endpoints(epoch, instance))
            self._subscriber = self._subscribe(self._heir)

    def speaker(self, snapshot: Snapshot) -> Holder | None:
        """Return the heir, if this is its word as the leader; else None."""
        heir = self._heir
        if heir is None or (heir.epoch, heir.instance) != (snapshot.version.epoch, snapshot.leader):
            return None
        return heir

    def subscription(self, holder: Holder) -> Subscriber[Snapshot]:
        """Hand over a subscription to ``holder``: the one that there is, if it was the heir."""
        if self._heir is None or self._subscriber is None or self._heir.endpoints != holder.endpoints:
            self.close()
            return self._subscribe(holder)
        subscriber, self._subscriber, self._heir = self._subscriber, None, None
        return subscriber

    def close(self) -> None:
        """Listen to nobody."""
        if self._subscriber is not None:
            self._subscriber.close()
        self._heir = self._subscriber = None
