"""Publications: from the leader's hand to the last of N windows, each a process; next to a bare PUB and SUB.

Both kinds of listeners run at the same time, and are published to in turns.
"""

import asyncio
from typing import Protocol

import zmq

from agents.bus import Publisher
from shared.clock import boottime
from shared.messages import Call, CallState, Direction, Snapshot, Version, encode

from .report import Row, timed
from .roles import SEQUENCE, BareListenerRole, ListenerRole
from .stage import Stage

_CROWDS = (1, 10, 50)
#: Publications before the other kind gets its turn, and the seconds between them.
_BLOCK, _PAUSE = 20, 0.01


async def measure_fanout(stage: Stage) -> list[Row]:
    """Return ``fanout_1``, ``fanout_10`` and ``fanout_50``."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    ours = _Ours(context, stage)
    bare = _Bare(context, stage, ours.size_bytes())
    rows: list[Row] = []
    listeners = 0
    stage.crew.forget()
    for crowd in _CROWDS:
        for number in range(listeners, crowd):
            ours.add(f"listener-{number}")
            bare.add(f"bare-listener-{number}")
        await stage.crew.reports(lambda report: report.event == "listening", 2 * (crowd - listeners))
        listeners = crowd
        await asyncio.sleep(0.3)  # for subscriptions to arrive
        rows.append(await _measure(stage, ours, bare, crowd))
    stage.crew.dismiss("listener-")
    stage.crew.dismiss("bare-listener-")
    ours.close()
    bare.close()
    context.term()
    return rows


async def _measure(stage: Stage, ours: "_Ours", bare: "_Bare", crowd: int) -> Row:
    times: list[float] = []
    yardstick: list[float] = []
    for _ in range(stage.rounds(20)):
        times += await _block(stage, ours, crowd)
        yardstick += await _block(stage, bare, crowd)
    return timed(f"fanout_{crowd}", times, yardstick, "bare ZeroMQ")


class _Voice(Protocol):
    """Publishes numbered states."""

    sequence: int

    def publish(self) -> None:
        """Publish the state of the next number."""


async def _block(stage: Stage, voice: _Voice, crowd: int) -> list[float]:
    """Publish a block; return for each state how long the last listener took to show it, or a later one."""
    stage.crew.forget()  # whoever subscribed was told the newest state at once, and reported that
    published: dict[int, float] = {}
    for _ in range(_BLOCK):
        published[voice.sequence + 1] = boottime()
        voice.publish()
        await asyncio.sleep(_PAUSE)
    heard = await stage.crew.reports(lambda report: report.event == "heard", crowd)
    return [
        max(min(at for shown, at in report.times.items() if shown >= sequence) for report in heard) - began
        for sequence, began in published.items()
    ]


class _Ours:
    """The leader's publisher and its windows' agents, with ten calls in the state."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], stage: Stage) -> None:
        self.sequence = 0
        self._crew, self._endpoint = stage.crew, stage.endpoint("fanout")
        self._publisher = Publisher(context, self._endpoint)
        self._calls = tuple(_call(number) for number in range(10))

    def add(self, name: str) -> None:
        """Start a listener."""
        self._crew.start(ListenerRole(name=name, endpoint=self._endpoint, count=_BLOCK))

    def publish(self) -> None:
        """Publish the state of the next number."""
        self.sequence += 1
        self._publisher.publish(encode(self._state()))

    def size_bytes(self) -> int:
        """Return how long a publication is."""
        return len(encode(self._state()))

    def close(self) -> None:
        """Fall silent."""
        self._publisher.close()

    def _state(self) -> Snapshot:
        return Snapshot(version=Version(1, self.sequence), group="bench", leader="leader", calls=self._calls)


class _Bare:
    """A PUB socket, and processes with a SUB each; ``size`` bytes a state."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], stage: Stage, size: int) -> None:
        self.sequence = 0
        self._state = bytes(size - SEQUENCE.size)
        self._crew, self._endpoint = stage.crew, stage.endpoint("bare.fanout")
        self._socket = context.socket(zmq.PUB)
        self._socket.bind(self._endpoint)

    def add(self, name: str) -> None:
        """Start a listener."""
        self._crew.start(BareListenerRole(name=name, endpoint=self._endpoint, count=_BLOCK))

    def publish(self) -> None:
        """Publish the state of the next number."""
        self.sequence += 1
        self._socket.send(SEQUENCE.pack(self.sequence) + self._state)

    def close(self) -> None:
        """Fall silent."""
        self._socket.close(linger=0)


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
