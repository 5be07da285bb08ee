"""One WebSocket of the service, from the end of TLS on: subprotocol ``sip``, text frames, no extensions.

What the peer has sent is read, handed on and answered in the same turn of the event loop, without a task. All
that a connection is to write in one turn leaves as one TLS record: an answer is often two frames, and sending
is what costs most. What the turn has to say to others leaves before the answer: the other end of a call has
waited longer already.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Protocol, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from shared.log import log

from .settings import SimulatorSettings

_CLOSE_TIME = 1.0
_UNREAD_BYTES = 32_768  # above it, frames wait with their owner
_MOST_UNREAD_BYTES = 262_144  # answers to pings do not wait: who sends those and reads nothing is cut off
#: Protocol error, no UTF-8, too long (RFC 6455 §7.4.1).
_BROKEN = frozenset({1002, 1007, 1009})


class Listener(Protocol):
    """Who is told what a WebSocket hears. All are called on the event loop, one at a time."""

    def heard(self, text: str | None) -> None:
        """A message came; None: a binary one."""

    def drained(self) -> None:
        """The peer has read what it was sent, and may be sent more."""

    def closed(self, reason: str, *, is_broken: bool) -> None:
        """It is over. ``is_broken``: the peer sent what no WebSocket may, and was cut off for that."""


class House:
    """What all connections have in common.

    Args:
        settings: Times and sizes.
        opened: Called with each that has become a WebSocket; returns who listens to it.
        refused: Told why a connection has not become a WebSocket.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        opened: "Callable[[Connection], Listener | None]",
        refused: Callable[[str], None],
    ) -> None:
        self.settings, self.opened, self.refused = settings, opened, refused
        self.logger = _quiet_logger()
        self.is_closing = False
        self._inside: set[Connection] = set()
        self._speaking: dict[Connection, None] = {}  # who has something to write
        self._is_turn_due = self._is_turn_ours = False
        self._empty = asyncio.Event()
        self._empty.set()

    def enter(self, connection: "Connection") -> None:
        """Count a connection."""
        self._inside.add(connection)
        self._empty.clear()

    def leave(self, connection: "Connection") -> None:
        """Count it no more; harmless twice."""
        self._inside.discard(connection)
        if not self._inside:
            self._empty.set()

    async def empty(self) -> None:
        """Return when no connection is left."""
        await self._empty.wait()

    def speaks(self, connection: "Connection") -> None:
        """Write what a connection says at the end of this turn."""
        self._speaking[connection] = None
        if not (self._is_turn_ours or self._is_turn_due):
            self._is_turn_due = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    @contextlib.contextmanager
    def turn(self, reader: "Connection") -> Iterator[None]:
        """Write at the end of the block, and what ``reader`` says after all others."""
        self._is_turn_ours = True
        try:
            yield
        finally:
            self._is_turn_ours = False
            self._speaking.pop(reader, None)
            self._end_turn()
            reader.flush()

    def _end_turn(self) -> None:
        self._is_turn_due = False
        speaking, self._speaking = self._speaking, {}
        for connection in speaking:
            connection.flush()


class Connection(asyncio.Protocol):
    """A connection that looks after itself. ``lost`` is called when it is over."""

    def __init__(self, house: House, lost: Callable[[], None]) -> None:
        settings = house.settings
        self.is_known = False
        self._house, self._lost = house, lost
        self._protocol = ServerProtocol(
            subprotocols=[Subprotocol("sip")], max_size=settings.max_message_bytes, logger=house.logger
        )
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._listener: Listener | None = None
        self._response: Response | None = None
        self._kind, self._parts = Opcode.TEXT, bytearray()  # of a message that comes in fragments
        self._is_peer_slow = self._is_paused = self._is_ending = self._is_late = False
        self._unread: list[bytes] = []  # what came while it was paused
        self._timer: asyncio.TimerHandle | None = None
        self._pings = itertools.count()
        self._awaited: bytes | None = None  # a ping that is not answered yet
        self.over = asyncio.Event()
        """Set when the connection is lost."""

    # -- what its owner does

    @property
    def can_say(self) -> bool:
        """Whether :meth:`say` may be used now: the peer reads what it is sent."""
        return self._protocol.state is State.OPEN and not self._is_peer_slow

    def say(self, text: str) -> None:
        """Send a text frame."""
        self._protocol.send_text(text.encode())
        self._house.speaks(self)

    def flush(self) -> None:
        """Write what was said."""
        writes, transport = self._protocol.data_to_send(), self._transport
        if transport is None or transport.is_closing():
            return
        if data := b"".join(writes):
            transport.write(data)
        if b"" in writes:  # the end: TLS cannot be closed in one direction
            transport.close()
        if self._protocol.close_expected() and not self._is_ending:
            self._is_ending = True
            self._set_timer(_CLOSE_TIME)
        if self._is_peer_slow and transport.get_write_buffer_size() > _MOST_UNREAD_BYTES:
            log.warning("flow.does_not_read", bytes=transport.get_write_buffer_size())
            self.abort()

    def close(self, code: int, reason: str) -> None:
        """Close with a status; at once if that does not go well within a second. Harmless twice."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self.flush()
        elif self._protocol.state is State.CONNECTING:
            self.abort()

    def abort(self) -> None:
        """Cut it, as a network does."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Read nothing for now, and send no pings."""
        if self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
            if not self._is_ending:
                self._set_timer(None)

    def resume(self) -> None:
        """Go on with what came meanwhile."""
        if self._transport is None or not self._is_paused:
            return
        self._is_paused, self._awaited = False, None
        unread, self._unread = self._unread, []
        for data in unread:
            self.data_received(data)
        if not self._transport.is_closing():
            self._transport.resume_reading()
            if not self._is_ending:
                self._set_timer(self._house.settings.ping_time)

    # -- what its transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request to become a WebSocket."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_UNREAD_BYTES)
        self._house.enter(self)
        self._set_timer(self._house.settings.handshake_time)

    def data_received(self, data: bytes) -> None:
        """Take what the peer has sent, and write what follows."""
        if self._is_paused:
            self._unread.append(data)
            return
        with self._house.turn(self):
            try:
                self._protocol.receive_data(data)
                for event in self._protocol.events_received():
                    self._take(event)
            except Exception as exc:  # the connection's failure, and nobody else's
                log.error("flow.failed", reason=str(exc), kind=type(exc).__name__)
                self.abort()

    def eof_received(self) -> None:
        """Take that the peer says no more: the transport closes by itself."""
        self._protocol.receive_eof()
        self.flush()

    def pause_writing(self) -> None:
        """Take that the peer does not read."""
        self._is_peer_slow = True

    def resume_writing(self) -> None:
        """Take that it does again."""
        self._is_peer_slow = False
        if self._listener is not None:
            self._listener.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that it is over."""
        self._set_timer(None)
        self._transport = None
        self._protocol.receive_eof()
        listener, self._listener = self._listener, None
        try:
            if self._response is None or self._response.status_code != 101:
                self._refuse()
            elif listener is not None:
                listener.closed(self._why(), is_broken=self._is_broken())
        finally:
            self._house.leave(self)
            self._lost()
            self.over.set()

    # -- the parts

    def _take(self, event: Request | Response | Frame) -> None:
        if isinstance(event, Request):
            self._open(event)
        elif isinstance(event, Frame):
            self._frame(event)

    def _open(self, request: Request) -> None:
        protocol = self._protocol
        if self._house.is_closing:
            self._response = protocol.reject(503, "The service stops.\n")
        else:
            self._response = protocol.accept(request)
        protocol.send_response(self._response)
        if protocol.state is State.OPEN:
            self._set_timer(self._house.settings.ping_time)
            self._listener = self._house.opened(self)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            if self._awaited is not None and bytes(frame.data) == self._awaited:
                self._awaited = None
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY) and frame.fin:
            self._message(frame.opcode, frame.data)
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._kind, self._parts = frame.opcode, bytearray(frame.data)
        elif frame.opcode is Opcode.CONT:
            self._parts += frame.data
            if frame.fin:
                parts, self._parts = self._parts, bytearray()
                self._message(self._kind, parts)

    def _message(self, kind: Opcode, data: bytes | bytearray | memoryview) -> None:
        if self._listener is None or self._is_ending or self._is_told_to_go():
            return  # what else it says is of no interest
        try:
            text = str(data, "utf-8") if kind is Opcode.TEXT else None
        except UnicodeDecodeError as exc:
            self._protocol.fail(1007, f"{exc.reason} at position {exc.start}")
            return
        self._listener.heard(text)

    # -- time

    def _set_timer(self, delay: float | None) -> None:
        """Look again in ``delay`` seconds: it has one timer, of whatever it waits for."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, self._time_over) if delay is not None else None

    def _time_over(self) -> None:
        if self._protocol.state is not State.OPEN:
            self._is_late = not self._is_ending
            self.abort()
        elif self._awaited is not None:
            self._protocol.fail(1011, "keepalive ping timeout")
            self.flush()
        else:
            self._awaited = next(self._pings).to_bytes(4, "big")
            self._protocol.send_ping(self._awaited)
            self.flush()
            self._set_timer(self._house.settings.ping_time)

    # -- reasons

    def _why(self) -> str:
        """Return in a few words how it ended."""
        protocol = self._protocol
        close = protocol.close_rcvd if protocol.close_rcvd_then_sent else protocol.close_sent
        close = close or protocol.close_rcvd
        return f"closed {close.code} {close.reason}".strip() if close is not None else "connection lost"

    def _is_told_to_go(self) -> bool:
        return self._protocol.close_sent is not None and not self._protocol.close_rcvd_then_sent

    def _is_broken(self) -> bool:
        sent = self._protocol.close_sent
        return sent is not None and self._is_told_to_go() and sent.code in _BROKEN

    def _refuse(self) -> None:
        error: BaseException | None = self._protocol.handshake_exc
        while error is not None and error.__cause__ is not None:
            error = error.__cause__
        if self._response is not None:
            status, phrase = self._response.status_code, self._response.reason_phrase
            self._house.refused(f"HTTP {status}: {error or phrase}")
        elif self._is_late:
            self._house.refused("no WebSocket request in time")
        else:
            self._house.refused(f"no WebSocket request: {error or 'the peer hung up'}")


class _OneLine(logging.Handler):
    """Turns an error that the library reports into one log line."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        log.error("flow.failed", reason=f"{record.getMessage()}: {error}", kind=type(error).__name__)


def _quiet_logger() -> logging.Logger:
    # Not the registry's, whose handlers belong to the program.
    logger = logging.Logger("agents.pbx.connection", logging.ERROR)  # noqa: LOG001
    logger.propagate = False
    logger.addHandler(_OneLine(logging.ERROR))
    return logger
