"""ZeroMQ as the bus sees it: pipes between sockets, each with its own delays and losses."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import zmq

from .world import Machine, World

#: As plain numbers: an ``&`` or ``|`` with pyzmq's enumerations would take a tenth of all the time.
_POLLIN, _POLLOUT, _SNDMORE = map(int, (zmq.POLLIN, zmq.POLLOUT, zmq.SNDMORE))
_FD, _RCVMORE, _EVENTS = map(int, (zmq.FD, zmq.RCVMORE, zmq.EVENTS))


@dataclass(slots=True)
class Weather:
    """How bad the wires are. Chances are per message; delays are seconds."""

    loss: float = 0.0
    doubling: float = 0.0
    delay: float = 0.0005
    is_ordered: bool = True
    late: float = 0.0  # the chance of a message that takes a hundred times as long


class Wires:
    """All endpoints of the host."""

    def __init__(self, world: World, weather: Weather) -> None:
        self.world, self.weather = world, weather
        self.bound: dict[str, FakeSocket] = {}

    def context(self, machine: Machine) -> Any:
        """Return what stands for the process' ``zmq.Context``."""
        return _FakeContext(self, machine)


class _FakeContext:
    def __init__(self, wires: Wires, machine: Machine) -> None:
        self._wires, self._machine = wires, machine

    def socket(self, kind: int) -> "FakeSocket":
        return FakeSocket(self._wires, self._machine, kind)


class _Pipe:
    """One direction between two sockets."""

    def __init__(self, wires: Wires, source: "FakeSocket", sink: "FakeSocket") -> None:
        self.wires, self.source, self.sink = wires, source, sink
        self._free_at = 0.0

    def carry(self, frames: list[bytes]) -> None:
        world, weather = self.wires.world, self.wires.weather
        if world.random.random() < weather.loss:
            return
        copies = 2 if world.random.random() < weather.doubling else 1
        for _ in range(copies):
            delay = world.random.uniform(weather.delay / 5, weather.delay)
            if world.random.random() < weather.late:
                delay *= 100
            at = world.now + delay
            if weather.is_ordered:
                at = self._free_at = max(at, self._free_at)
            world.later(at - world.now, lambda: self.sink.take(self.source, frames))

    def end(self) -> None:
        """Tell the sink that the source is gone: behind what it had sent, as the system's sockets do."""
        delay = max(0.0003, self._free_at - self.wires.world.now)
        self.wires.world.later(delay, lambda: self.sink._left(self.source))


class FakeSocket:
    """One socket, with as much of pyzmq's face as the bus uses."""

    def __init__(self, wires: Wires, machine: Machine, kind: int) -> None:
        self._wires, self._machine, self._kind = wires, machine, kind
        self._world = wires.world
        self.fd = self._world.number()
        self.closed = False
        self._options: dict[int, Any] = {}
        self._inbox: deque[list[bytes]] = deque()
        self._begun: list[bytes] = []  # frames of a message whose end is still to be sent
        self._rest: list[bytes] = []  # frames of a message whose beginning was read
        self._pipes: dict[bytes, _Pipe] = {}  # by the peer's id
        self._id = self.fd.to_bytes(5, "big")
        self._endpoint = ""
        machine.deaths.append(self._broken)

    def set(self, option: int, value: Any) -> None:
        """Set an option."""
        self._options[option] = value

    def get(self, option: int) -> Any:
        """Return the number that a loop watches, or what can be done now."""
        if option == _FD:
            return self.fd
        if option == _RCVMORE:
            return bool(self._rest)
        if option == _EVENTS:
            can_send = self._kind != zmq.DEALER or bool(self._pipes)
            return (_POLLIN if self._inbox else 0) | (_POLLOUT if can_send else 0)
        return self._options.get(option, 0)

    def bind(self, endpoint: str) -> None:
        """Be found at ``endpoint``."""
        if endpoint in self._wires.bound:
            self._world.failures.append(f"{endpoint} was bound twice: the first socket is found no more")
        self._endpoint = endpoint
        if self._machine.is_alive:
            self._wires.bound[endpoint] = self

    def connect(self, endpoint: str) -> None:
        """Find whoever is bound to ``endpoint``, now or later."""
        self._endpoint = endpoint
        self._world.later(self._world.random.uniform(0.0002, 0.002), self._try_connect)

    def _try_connect(self) -> None:
        if self.closed or not self._machine.is_alive:
            return
        peer = self._wires.bound.get(self._endpoint)
        if peer is None or peer.closed or not peer._machine.is_alive:
            self._world.later(0.02, self._try_connect)
            return
        self._pipes[peer._id] = _Pipe(self._wires, self, peer)
        peer._pipes[self._id] = _Pipe(self._wires, peer, self)
        if peer._kind == zmq.XPUB:
            peer._arrived([b"\x01"])
        self._wake()

    def send(self, frame: bytes, flags: int = 0) -> None:
        """Send a frame, with those before it that said that more would come; or raise :exc:`zmq.Again`."""
        frames, self._begun = [*self._begun, frame], []
        if self._kind == zmq.DEALER and not self._pipes:
            raise zmq.Again
        if self._kind == zmq.ROUTER and frames[0] not in self._pipes:
            raise zmq.ZMQError(zmq.EHOSTUNREACH)
        if flags & _SNDMORE:
            self._begun = frames
            return
        is_addressed = self._kind == zmq.ROUTER
        pipes = [self._pipes[frames[0]]] if is_addressed else list(self._pipes.values())
        if self._machine.sends():
            for pipe in pipes:
                pipe.carry(frames[1:] if is_addressed else frames)

    def recv(self, flags: int = 0) -> bytes:
        """Return the next frame, or raise :exc:`zmq.Again`."""
        if not self._rest:
            if not self._inbox:
                raise zmq.Again
            self._rest = self._inbox.popleft()
        frame, *self._rest = self._rest
        return frame

    def take(self, source: "FakeSocket", frames: list[bytes]) -> None:
        """Take what a pipe carried here."""
        if source._id in self._pipes or source._kind == zmq.DEALER:
            self._arrived([source._id, *frames] if self._kind == zmq.ROUTER else frames)

    def close(self, linger: int | None = None) -> None:
        """Be gone. What was sent before still arrives."""
        if not self.closed:
            self._broken()

    def _broken(self) -> None:
        self.closed = True
        if self._wires.bound.get(self._endpoint) is self:
            del self._wires.bound[self._endpoint]
        for pipe in list(self._pipes.values()):
            pipe.end()

    def _left(self, peer: "FakeSocket") -> None:
        self._pipes.pop(peer._id, None)
        if self._kind in (zmq.DEALER, zmq.SUB) and not self.closed:
            self._world.later(0.02, self._try_connect)
        self._wake()

    def _arrived(self, frames: list[bytes]) -> None:
        if self.closed or not self._machine.is_alive:
            return
        if self._options.get(zmq.CONFLATE):
            self._inbox.clear()
        self._inbox.append(frames)
        self._wake()

    def _wake(self) -> None:
        if not self.closed and self._machine.is_alive:
            self._machine.loop.wake(self.fd)
