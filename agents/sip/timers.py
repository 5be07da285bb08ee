"""[core] Deadlines by name: set, cancel, ask for the next, take what is due."""

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

#: Round-trip estimate and its multiples (RFC 3261 §17.1.1.1, table 4), in seconds.
T1 = 0.5
T2 = 4.0
TIMEOUT = 64 * T1
"""Timers B, F and H, and how long a 2xx waits for its ACK."""


class Timers(Generic[K]):
    """At most one deadline a key. Setting one again moves it."""

    def __init__(self) -> None:
        self._deadlines: dict[K, float] = {}
        # Entries of the heap are believed only while the dictionary says the same; order breaks ties.
        self._heap: list[tuple[float, int, K]] = []
        self._order = 0

    def set(self, key: K, at: float) -> None:
        """Make ``key`` due at ``at``."""
        self._deadlines[key] = at
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, key))

    def cancel(self, key: K) -> None:
        """Forget ``key``; harmless if it has no deadline."""
        self._deadlines.pop(key, None)

    def next_deadline(self) -> float | None:
        """Return the earliest deadline, or None."""
        self._drop_outdated()
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[K]:
        """Remove and return the keys whose deadline has come, earliest first."""
        keys: list[K] = []
        while (at := self.next_deadline()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self._deadlines[key]
            keys.append(key)
        return keys

    def _drop_outdated(self) -> None:
        heap = self._heap
        while heap and self._deadlines.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        if len(heap) > 64 and len(heap) > 2 * len(self._deadlines):
            # Timers that are moved far more often than they fire must not pile up.
            self._heap = [entry for entry in heap if self._deadlines.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
