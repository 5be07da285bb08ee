"""Publications: from the leader's hand to the last of N windows, each a process; next to what others take.

All kinds of listeners run at the same time, and are published to in turns; only the browser, which is a
crowd of processes by itself, has turns of its own with the yardstick. Every ratio is to the same one.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Protocol

import zmq

from . import brokers, tabs
from .report import AnyRow, MissingRow, Row, timed
from .stage import Stage
from .voices import Bare, Ours, Voice

_CROWDS = (1, 10, 50)
_ROUNDS = 20


class _Kind(Protocol):
    """What publishes in turns with the others."""

    name: str

    async def grow(self, crowd: int) -> None:
        """Have so many listeners."""

    async def block(self) -> list[float]:
        """Publish a block; return the seconds until the last listener had each state."""


async def measure_fanout(stage: Stage) -> list[AnyRow]:
    """Return ``fanout_1``, ``fanout_10``, ``fanout_50``, and the same of NATS, Redis and a browser's tabs."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    rows = [*await _processes(stage, context), *await _browser(stage, context)]
    context.term()
    return rows


async def _processes(stage: Stage, context: zmq.Context[zmq.Socket[bytes]]) -> list[AnyRow]:
    async with AsyncExitStack() as stack:
        voices: list[Voice] = [Ours(context, stage)]
        missing: list[AnyRow] = []
        for name, broker in brokers.BROKERS.items():
            if reason := brokers.missing(broker):
                missing += _missing(name, reason)
            else:
                voices.append(await stack.enter_async_context(broker.open(stage)))
        bare = Bare(context, stage)
        for voice in (*voices, bare):
            stack.callback(voice.close)
        return [*await _in_turns(stage, voices, bare), *missing]


async def _browser(stage: Stage, context: zmq.Context[zmq.Socket[bytes]]) -> list[AnyRow]:
    if reason := tabs.missing():
        return [*_missing(tabs.NAME, reason)]
    async with tabs.open_tabs() as browser, AsyncExitStack() as stack:
        bare = Bare(context, stage)
        stack.callback(bare.close)
        return [*await _in_turns(stage, [browser], bare)]


async def _in_turns(stage: Stage, kinds: Sequence[_Kind], bare: _Kind) -> list[Row]:
    """Return the rows of all kinds, crowd by crowd; ``bare`` is their yardstick."""
    rows: list[Row] = []
    for crowd in _CROWDS:
        for kind in (*kinds, bare):
            await kind.grow(crowd)
        times: dict[str, list[float]] = {kind.name: [] for kind in (*kinds, bare)}
        for _ in range(stage.rounds(_ROUNDS)):
            for kind in (*kinds, bare):
                times[kind.name] += await kind.block()
        rows += [
            timed(_row_name(kind.name, crowd), times[kind.name], times[bare.name], "bare ZeroMQ")
            for kind in kinds
        ]
    return rows


def _missing(name: str, reason: str) -> list[MissingRow]:
    return [MissingRow(name=_row_name(name, crowd), missing=reason) for crowd in _CROWDS]


def _row_name(name: str, crowd: int) -> str:
    return f"fanout_{crowd}_{name}" if name else f"fanout_{crowd}"
