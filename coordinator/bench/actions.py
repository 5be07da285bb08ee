"""Actions: from a window to the leader in another process, and back as new state; next to bare ZeroMQ.

The state has ten calls, and as many windows hear it of one kind as of the other. The action is to take a call
off hold that is not held: all that an action passes (dedup, epoch, deadline, lease, outcome, publication,
reply) and nothing that waits for the far end. Both kinds run in turns, this window on a processor
of its own, and the leaders, with all who listen besides, on another.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import zmq

from shared.call import Call
from shared.clock import boottime
from shared.messages import CallState, MediaState, Unhold, encode
from shared.phone import Phone

from .report import Row, timed
from .roles import BareLeaderRole, BareListenerRole, bare_subscriber
from .stage import ANSWERED_CALLER, Stage, pinned, soon

_CALLS = 10
#: Actions measured before the other kind gets its turn, and actions under way at once when counting them.
_BLOCK, _BURST, _AT_ONCE = 50, 640, 64


async def measure_actions(stage: Stage, phone: Phone) -> list[Row]:
    """Return ``action_to_state`` and ``actions_per_second``."""
    async with _ten_calls(stage, phone) as call_id:
        assert phone.snapshot is not None
        ours, bare = _Ours(phone, call_id), _Bare(stage, phone)
        bare_pids = await bare.open(size=len(encode(phone.snapshot)))
        with pinned({window.pid for window in phone.windows} - {os.getpid()} | bare_pids, {os.getpid()}):
            await ours.times(_BLOCK)
            bare.times(_BLOCK)
            rows = [await _latency(stage, ours, bare), await _rate(stage, ours, bare)]
        bare.close()
        stage.crew.dismiss("bare")
    return rows


async def _latency(stage: Stage, ours: "_Ours", bare: "_Bare") -> Row:
    times: list[float] = []
    yardstick: list[float] = []
    for _ in range(stage.rounds(60)):
        times += await ours.times(_BLOCK)
        yardstick += bare.times(_BLOCK)
    return timed("action_to_state", times, yardstick, "bare ZeroMQ")


async def _rate(stage: Stage, ours: "_Ours", bare: "_Bare") -> Row:
    times: list[float] = []
    yardstick: list[float] = []
    for _ in range(stage.rounds(20)):
        times.append(await ours.burst() / _BURST)
        yardstick.append(bare.burst() / _BURST)
    return timed("actions_per_second", times, yardstick, "bare ZeroMQ", is_rate=True)


@asynccontextmanager
async def _ten_calls(stage: Stage, phone: Phone) -> AsyncIterator[str]:
    """Have nine ringing calls and an answered one for a while; yield the id of that one."""
    robots = [await stage.control.call("101", caller=ANSWERED_CALLER)]
    robots += [await stage.control.call("101", caller=f"1650555{n:04}") for n in range(1, _CALLS)]
    await soon(phone, lambda: len(phone.calls) == _CALLS and any(map(_has_sound, phone.calls)))
    try:
        yield next(call.call_id for call in phone.calls if _has_sound(call))
    finally:
        for robot in robots:
            await stage.control.hang_up(robot.id)
        await soon(phone, lambda: not phone.calls)


def _has_sound(call: Call) -> bool:
    return call.state is CallState.ANSWERED and call.media is MediaState.CONNECTED


class _Ours:
    """Actions of this window."""

    def __init__(self, phone: Phone, call_id: str) -> None:
        self._phone, self._action = phone, Unhold(call_id=call_id)

    async def times(self, count: int) -> list[float]:
        """Do actions one after the other; return from press to shown state, each."""
        times = []
        for _ in range(count):
            began = boottime()
            await self._phone.perform(self._action)
            times.append(boottime() - began)
        return times

    async def burst(self) -> float:
        """Return how long :data:`_BURST` actions take, :data:`_AT_ONCE` at a time."""
        began = boottime()
        await asyncio.gather(*(self.times(_BURST // _AT_ONCE) for _ in range(_AT_ONCE)))
        return boottime() - began


class _Bare:
    """The same exchange with bare sockets, blocking, and the same number of bytes."""

    def __init__(self, stage: Stage, phone: Phone) -> None:
        self._stage, self._phone = stage, phone
        self._request = bytes(200)  # about what ours has

    async def open(self, size: int) -> set[int]:
        """Start a leader whose state has ``size`` bytes, and its audience; return their process ids."""
        stage = self._stage
        desk, publications = stage.endpoint("bare.desk"), stage.endpoint("bare.state")
        stage.crew.start(BareLeaderRole(name="bare", desk=desk, publications=publications, size=size))
        audience = len(self._phone.windows) - 1  # as many ears as the group has windows
        for number in range(audience):
            name = f"bare-audience-{number}"
            stage.crew.start(BareListenerRole(name=name, endpoint=publications, count=0))
        reports = await stage.crew.reports(lambda report: report.name.startswith("bare"), 1 + audience)
        self._ear = bare_subscriber(publications)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._mouth = context.socket(zmq.DEALER)
        self._mouth.connect(desk)
        # A subscription takes a moment to arrive: until then states are not sent to us.
        while not self._ear.poll(10):
            self._mouth.send(self._request)
            self._mouth.recv()
        self._ear.recv()
        return {report.pid for report in reports}

    def times(self, count: int) -> list[float]:
        """Do actions one after the other; return from request to state, each. The reply follows it."""
        times = []
        for _ in range(count):
            began = boottime()
            self._mouth.send(self._request)
            self._ear.recv()
            times.append(boottime() - began)
            self._mouth.recv()
        return times

    def burst(self) -> float:
        """Return how long :data:`_BURST` requests take, :data:`_AT_ONCE` at a time."""
        began = boottime()
        for sent in range(_BURST + _AT_ONCE):
            if sent >= _AT_ONCE:
                self._mouth.recv()
                with suppress(zmq.Again):
                    self._ear.recv(zmq.DONTWAIT)
            if sent < _BURST:
                self._mouth.send(self._request)
        took = boottime() - began
        while self._ear.poll(10):
            self._ear.recv()
        return took

    def close(self) -> None:
        """Let go of the sockets."""
        self._ear.close(linger=0)
        self._mouth.close(linger=0)
