"""The listening socket: who may come in, and how many at a time.

A connection that has not said a byte costs a socket and little more: TLS, with its buffers, begins with the
first byte of a ClientHello. From then on until somebody registers on it a connection belongs to a *stranger*.
There are limits for silent ones and for strangers, in all and for each peer address. Where silent ones are
too many, the one that has been silent longest goes. Where strangers are too many, one that has had its time
goes, or the new one waits until one has. Registered phones are never counted, and never make room.
"""

import asyncio
import contextlib
import errno
import itertools
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shared.clock import monotonic

from .connection import Connection
from .listening import listen
from .settings import SimulatorSettings

_AT_ONCE = 64
_BACKLOG = 1024
_LOOK_EVERY = 0.1
_REST = 0.2
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_HANDSHAKE = b"\x16"
#: A TLS alert (RFC 8446 §6): fatal, handshake_failure.
_ALERT = b"\x15\x03\x01\x00\x02\x02\x28"
#: For people who forgot the "s" of wss or https.
_NO_TLS = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 18\r\n\r\nThis port has TLS."


@dataclass(slots=True, eq=False)
class _Visitor:
    socket: socket.socket
    peer: str
    since: float
    guest: Connection | None = None
    dropped_because: str | None = None


class Door:
    """Accepts connections and begins TLS.

    ``make`` is given what to call when the connection is lost; ``refused`` is told why there will be none.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        context: ssl.SSLContext,
        make: Callable[[Callable[[], None]], Connection],
        refused: Callable[[str], None],
    ) -> None:
        self._settings, self._context, self._make, self._refused = settings, context, make, refused
        self._listener: socket.socket | None = None
        self._silent: dict[_Visitor, None] = {}
        self._waiting: dict[_Visitor, None] = {}  # began TLS, and there is no room
        self._strangers: dict[_Visitor, None] = {}
        self._peers: Counter[tuple[str, str]] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.port = 0
        self.refuses_tls = False

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._listener is not None

    def open(self, port: int) -> None:
        """Listen. Does nothing if it does already.

        Raises:
            ConfigError: If the port is taken or the address is not ours.
        """
        if self._listener is None:
            remedy = "choose another port with --wss"
            self._listener = listen(self._settings.host, port, backlog=_BACKLOG, remedy=remedy)
            self.port = int(self._listener.getsockname()[1])
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Listen no more, and send those away that have not begun TLS."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for visitor in [*self._silent, *self._waiting]:
            self._forget(visitor)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def drop_strangers(self) -> None:
        """Cut the connections that are between TLS and a registration, and return when none is in TLS."""
        for visitor in list(self._strangers):
            if visitor.guest is None or not visitor.guest.is_known:
                self._drop(visitor, "")
        if self._tasks:
            await asyncio.wait(self._tasks)

    # -- silent ones

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            if self._listener is None:
                return
            try:
                connection, address = self._listener.accept()
            except OSError as exc:
                if exc.errno in _EXHAUSTED:
                    self._make_room(exc)
                return
            connection.setblocking(False)
            # An answer is often two small frames: the second must not wait for the peer's ACK of the first.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._welcome(_Visitor(connection, str(address[0]), monotonic()))

    def _make_room(self, error: OSError) -> None:
        """Give up one connection, so that the next one finds a descriptor; without one, rest a moment."""
        self._refused(f"{error.strerror}: no descriptor is left")
        if self._silent:
            self._forget(next(iter(self._silent)))
        elif self._listener is not None:
            # Who waits to be accepted makes the listener ready all the time.
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._listener)
            loop.call_later(_REST, self._listen_again, self._listener)

    def _listen_again(self, listener: socket.socket) -> None:
        if listener is self._listener:
            asyncio.get_running_loop().add_reader(listener, self._accept)

    def _welcome(self, visitor: _Visitor) -> None:
        settings = self._settings
        if self._peers["silent", visitor.peer] >= settings.max_silent_per_peer:
            self._send_away(next(each for each in self._all_waiting() if each.peer == visitor.peer))
        elif len(self._silent) + len(self._waiting) >= settings.max_silent:
            self._send_away(next(self._all_waiting()))
        self._silent[visitor] = None
        self._peers["silent", visitor.peer] += 1
        asyncio.get_running_loop().add_reader(visitor.socket, self._speaks, visitor)
        self._set_timer()

    def _all_waiting(self) -> Iterator[_Visitor]:
        return itertools.chain(self._silent, self._waiting)

    def _send_away(self, visitor: _Visitor) -> None:
        self._refused("too many silent connections: the oldest makes room")
        self._forget(visitor)

    def _speaks(self, visitor: _Visitor) -> None:
        try:
            first = visitor.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            first = b""
        if first == _HANDSHAKE and not self.refuses_tls:
            asyncio.get_running_loop().remove_reader(visitor.socket)
            del self._silent[visitor]
            self._waiting[visitor] = None
            self._admit_waiting()
            return
        if first == _HANDSHAKE:
            _say(visitor.socket, _ALERT)
            self._refused("TLS refused: by a fault")
        elif first:
            _say(visitor.socket, _NO_TLS)
            self._refused("no TLS: another protocol")
        else:
            self._refused("no TLS: closed before it began")
        self._forget(visitor)

    def _forget(self, visitor: _Visitor) -> None:
        if visitor in self._silent:
            asyncio.get_running_loop().remove_reader(visitor.socket)
        self._leave(visitor)
        visitor.socket.close()

    def _leave(self, visitor: _Visitor) -> None:
        self._silent.pop(visitor, None)
        self._waiting.pop(visitor, None)
        self._uncount("silent", visitor.peer)

    def _uncount(self, kind: str, peer: str) -> None:
        self._peers[kind, peer] -= 1
        if not self._peers[kind, peer]:
            del self._peers[kind, peer]

    # -- strangers

    def _admit_waiting(self) -> None:
        """Let those in for whom there is room, in the order in which they came."""
        for visitor in list(self._waiting):
            if self._has_room(visitor.peer) or self._finds_room(visitor.peer):
                self._leave(visitor)
                self._admit(visitor)
        self._set_timer()

    def _has_room(self, peer: str) -> bool:
        settings = self._settings
        is_full = len(self._strangers) >= settings.max_strangers
        return not is_full and self._peers["stranger", peer] < settings.max_strangers_per_peer

    def _finds_room(self, peer: str) -> bool:
        """Count who has registered meanwhile no more; else send away who had its time and did not."""
        for visitor in [each for each in self._strangers if each.guest is not None and each.guest.is_known]:
            self._acquainted(visitor)
        if self._has_room(peer):
            return True
        of_all = self._peers["stranger", peer] < self._settings.max_strangers_per_peer
        oldest = next(each for each in self._strangers if of_all or each.peer == peer)
        if monotonic() - oldest.since < self._settings.stranger_time:
            return False
        self._acquainted(oldest)
        self._drop(oldest, "too many strangers: one that did not register makes room")
        return True

    def _admit(self, visitor: _Visitor) -> None:
        visitor.since = monotonic()
        self._strangers[visitor] = None
        self._peers["stranger", visitor.peer] += 1
        task = asyncio.create_task(self._begin(visitor), name="tls")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self, visitor: _Visitor) -> None:
        def lost() -> None:
            self._gone(visitor)

        def make() -> Connection:
            visitor.guest = self._make(lost)
            return visitor.guest

        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                make,
                visitor.socket,
                ssl=self._context,
                ssl_handshake_timeout=self._settings.handshake_time,
                ssl_shutdown_timeout=1.0,
            )
        except (OSError, EOFError) as exc:  # SSLError and ConnectionError are OSErrors
            self._gone(visitor)
            visitor.socket.close()
            if visitor.dropped_because is None:
                self._refused(f"TLS failed: {_brief(exc)}")
            elif visitor.dropped_because:
                self._refused(visitor.dropped_because)

    def _gone(self, visitor: _Visitor) -> None:
        self._acquainted(visitor)
        self._admit_waiting()

    def _acquainted(self, visitor: _Visitor) -> None:
        if visitor in self._strangers:
            del self._strangers[visitor]
            self._uncount("stranger", visitor.peer)

    def _drop(self, visitor: _Visitor, reason: str) -> None:
        """End a connection under its protocol, which notices as of any lost one."""
        visitor.dropped_because = reason
        with contextlib.suppress(OSError):
            visitor.socket.shutdown(socket.SHUT_RDWR)

    # -- time

    def _set_timer(self) -> None:
        """Look again when somebody's time is over; soon, if somebody waits for a place."""
        loop = asyncio.get_running_loop()
        oldest = next(self._all_waiting(), None)
        if oldest is None:
            return
        delay = max(oldest.since + self._settings.handshake_time - monotonic(), 0.01)
        at = loop.time() + (min(delay, _LOOK_EVERY) if self._waiting else delay)
        if self._timer is None or at < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(at, self._time_passes)

    def _time_passes(self) -> None:
        self._timer = None
        late = monotonic() - self._settings.handshake_time
        for visitor in [visitor for visitor in self._silent if visitor.since <= late]:
            self._refused("no TLS: said nothing in time")
            self._forget(visitor)
        for visitor in [visitor for visitor in self._waiting if visitor.since <= late]:
            self._refused("too many strangers: no room in time")
            self._forget(visitor)
        self._admit_waiting()


def _say(connection: socket.socket, last_word: bytes) -> None:
    """Send a last word, and read what is there: closing with something unread would take the word back."""
    with contextlib.suppress(OSError):
        connection.send(last_word)
        connection.recv(65_536)


def _brief(error: OSError | EOFError) -> str:
    if isinstance(error, ConnectionResetError | EOFError):
        return "the peer hung up"
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(reason or type(error).__name__).lower().replace("_", " ")
