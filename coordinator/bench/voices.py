"""Who publishes the state of a group, for the fan-out: our publisher, and what it is compared with.

A voice has listeners, each a process. All publish the same state: ten calls.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

import zmq

from agents.bus import ActionServer, Publisher
from shared.clock import boottime
from shared.messages import Call, CallState, Direction, Snapshot, Version, encode

from .crew import Crew
from .roles import SEQUENCE, AnyRole, BareListenerRole, ListenerRole, desk_of
from .stage import Stage

#: Publications before another voice gets its turn, and the seconds between them.
BLOCK, PAUSE = 20, 0.01
#: Seconds for the subscriptions of new listeners to arrive.
_SETTLING = 0.3


class Voice(ABC):
    """Base: publishes numbered states to listeners of the crew.

    Args:
        name: What distinguishes its row, and the names of its listeners; "": ours.
    """

    def __init__(self, name: str, crew: Crew) -> None:
        self.name, self.sequence = name, 0
        self._crew, self._crowd = crew, 0

    async def grow(self, crowd: int) -> None:
        """Have so many listeners, and return when they listen."""
        for number in range(self._crowd, crowd):
            self._crew.start(self._role(f"listener-{self.name}-{number}"))
        started, self._crowd = crowd - self._crowd, crowd
        await self._crew.reports(lambda report: report.event == "listening", started)
        await asyncio.sleep(_SETTLING)

    async def block(self) -> list[float]:
        """Publish a block; return how long the last listener took to have each state, or a later one."""
        self._crew.forget()  # whoever subscribed was told the newest state at once, and reported that
        published: dict[int, float] = {}
        for _ in range(BLOCK):
            self.sequence += 1
            published[self.sequence] = boottime()
            await self._publish()
            await asyncio.sleep(PAUSE)
        heard = await self._crew.reports(lambda report: report.event == "heard", self._crowd)
        return [
            max(min(at for had, at in report.times.items() if had >= sequence) for report in heard) - began
            for sequence, began in published.items()
        ]

    def close(self) -> None:
        """Fall silent, and end the listeners."""
        self._crew.dismiss(f"listener-{self.name}-")

    @abstractmethod
    async def _publish(self) -> None: ...

    @abstractmethod
    def _role(self, name: str) -> AnyRole: ...


class Ours(Voice):
    """The leader's publisher; its listeners are windows' agents, which decode the state and show it."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], stage: Stage) -> None:
        super().__init__("", stage.crew)
        self._endpoint = stage.endpoint("fanout")
        self._publisher = Publisher(context, self._endpoint)
        # Windows are connected to a leader's desk, too: without one they would knock all the time.
        self._desk = ActionServer(context, desk_of(self._endpoint), lambda _peer, _message: None)
        self._calls = ten_calls()

    def close(self) -> None:
        """Fall silent, and end the listeners."""
        super().close()
        self._publisher.close()
        self._desk.close()

    async def _publish(self) -> None:
        self._publisher.publish(encode(state(self.sequence, self._calls)))

    def _role(self, name: str) -> AnyRole:
        return ListenerRole(name=name, endpoint=self._endpoint, count=BLOCK)


class Bare(Voice):
    """The yardstick: a PUB socket, and processes with a SUB each."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], stage: Stage) -> None:
        super().__init__("bare", stage.crew)
        self._state = payload()
        self._endpoint = stage.endpoint("bare.fanout")
        self._socket = context.socket(zmq.PUB)
        self._socket.bind(self._endpoint)

    def close(self) -> None:
        """Fall silent, and end the listeners."""
        super().close()
        self._socket.close(linger=0)

    async def _publish(self) -> None:
        self._socket.send(SEQUENCE.pack(self.sequence) + self._state)

    def _role(self, name: str) -> AnyRole:
        return BareListenerRole(name=name, endpoint=self._endpoint, count=BLOCK)


def payload() -> bytes:
    """Return what follows the number in a publication that nobody decodes: as long as ours is."""
    return bytes(len(encode(state(1, ten_calls()))) - SEQUENCE.size)


def state(sequence: int, calls: Sequence[Call]) -> Snapshot:
    """Return a leader's state of this number."""
    return Snapshot(version=Version(1, sequence), group="bench", leader="leader", calls=tuple(calls))


def ten_calls() -> tuple[Call, ...]:
    """Return the calls of the state."""
    return tuple(map(_call, range(10)))


def _call(number: int) -> Call:
    return Call(
        call_id=f"{number:016x}",
        direction=Direction.INBOUND,
        state=CallState.RINGING,
        remote_number=f"1650555{number:04}",
        remote_name="ROBOT",
        local_number="16505550101",
        started_at=boottime(),
    )
