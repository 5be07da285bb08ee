"""[core] Who can be heard, and who listens."""

from typing import Protocol


class Voice(Protocol):
    """Whoever can be heard."""

    def frame(self, tick: int) -> bytes:
        """Return what it says in the 20 ms of this tick: the same to all who ask; ``b""`` is silence."""


class Listener(Protocol):
    """Whoever does something every 20 ms."""

    def step(self, tick: int) -> None:
        """Take the frame of this tick from whom it hears."""
