"""A transport that writes once for all that is written in one turn of the event loop.

An answer is often two frames, 100 and the final one. As one TLS record and one packet they cost half: sending
is the most expensive step of an answer.
"""

import asyncio
from typing import Any


class GatheringTransport(asyncio.Transport):
    """Stands in front of ``transport``, whose protocol it is not."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._held: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hold the data until the end of this turn."""
        if not self._held:
            asyncio.get_running_loop().call_soon(self._flush)
        self._held.append(bytes(data))

    def write_eof(self) -> None:
        """Write what is held, and no more."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Write what is held, and close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Drop what is held, and close at once."""
        self._held.clear()
        self._transport.abort()

    def can_write_eof(self) -> bool:
        """Return whether the transport can be closed in one direction; TLS cannot."""
        return self._transport.can_write_eof()

    def is_closing(self) -> bool:
        """Return whether it closes or is closed."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Read nothing for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a fact about the connection."""
        return self._transport.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol is told to pause."""
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how much is not written yet."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._held))

    def _flush(self) -> None:
        held, self._held = self._held, []
        if held:
            self._transport.write(b"".join(held))
