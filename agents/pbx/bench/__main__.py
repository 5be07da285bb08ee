"""Runs ``python -m agents.pbx.bench``: calls one after the other, then at once, with its own service."""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from shared.clock import monotonic
from shared.config import load_account
from shared.errors import SharedlineError
from shared.log import configure_logging

from .phone import BenchPhone, Pair, connected, speech
from .process import Process, Usage

_SETTLED_SECONDS = 2.0
#: After so many calls, or half of them if they are few, all is loaded and warm.
_FIRST = 100


class OneByOne(msgspec.Struct, frozen=True, kw_only=True):
    """Calls one after the other. Times are from dialling until both ends hear each other."""

    calls: int
    p50_ms: float
    p99_ms: float
    early: Usage
    """After the first hundred; ``late``: after all."""

    late: Usage


class AtOnce(msgspec.Struct, frozen=True, kw_only=True):
    """Calls at the same time. The delay is what the service adds, and two ways over loopback."""

    calls: int
    recorded: bool
    seconds: float
    cpu_percent: float
    """Of one processor, by the service."""

    packets: int
    lost: int
    delay_p50_ms: float
    delay_p99_ms: float
    delay_max_ms: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured."""

    processors: int | None
    one_by_one: OneByOne | None
    at_once: list[AtOnce]


@asynccontextmanager
async def stage() -> AsyncIterator[tuple[Process, BenchPhone, BenchPhone]]:
    """Run a service, and register two phones with it."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        service = await stack.enter_async_context(Process(directory))
        ada, bob = (BenchPhone(load_account(directory / f"{number}.json")) for number in (101, 102))
        yield service, await stack.enter_async_context(ada), await stack.enter_async_context(bob)


async def one_by_one(count: int, *, settle: float) -> OneByOne:
    """Make calls one after the other, and see what they leave behind, ``settle`` seconds later."""
    packets, times = speech(), []
    async with stage() as (service, ada, bob):
        early = service.usage()
        for number in range(1, count + 1):
            began = monotonic()
            pair = await connected(ada, bob, packets)
            times.append(monotonic() - began)
            await pair.end()
            for phone in (ada, bob):
                phone.forget()
            if number == _early(count):
                await asyncio.sleep(settle)
                early = service.usage()
        await asyncio.sleep(settle)
        p50, p99, _most = _summary(times)
        return OneByOne(calls=count, p50_ms=p50, p99_ms=p99, early=early, late=service.usage())


async def at_once(count: int, seconds: float, *, recorded: bool) -> AtOnce:
    """Make calls at the same time, and see how the service carries them."""
    packets = speech()
    async with stage() as (service, ada, bob):
        pairs: list[Pair] = [await connected(ada, bob, packets) for _ in range(count)]
        for pair in pairs if recorded else ():
            await pair.record()
        await asyncio.sleep(_SETTLED_SECONDS)
        ends = [
            (one, other) for pair in pairs for one, other in ((pair.near, pair.far), (pair.far, pair.near))
        ]
        for sound, _other in ends:
            sound.delays.clear()
        began, used = monotonic(), service.cpu_seconds()
        counts = [(sound.sent, other.received) for sound, other in ends]
        await asyncio.sleep(seconds)
        took, used = monotonic() - began, service.cpu_seconds() - used
        sent = sum(sound.sent - before for (sound, _), (before, _r) in zip(ends, counts, strict=True))
        received = sum(other.received - before for (_, other), (_s, before) in zip(ends, counts, strict=True))
        p50, p99, most = _summary([delay for sound, _other in ends for delay in sound.delays])
        await asyncio.gather(*(pair.end() for pair in pairs))
    return AtOnce(
        calls=count,
        recorded=recorded,
        seconds=round(took, 1),
        cpu_percent=round(used / took * 100, 1),
        packets=sent,
        lost=max(sent - received - len(ends), 0),  # one each may be on its way
        delay_p50_ms=p50,
        delay_p99_ms=p99,
        delay_max_ms=most,
    )


def _summary(times: Sequence[float]) -> tuple[float, float, float]:
    """Return median, 99th percentile and maximum, in milliseconds."""
    ordered = sorted(times) or [0.0]
    p99 = ordered[min(round(len(ordered) * 0.99), len(ordered) - 1)]
    return _ms(statistics.median(ordered)), _ms(p99), _ms(ordered[-1])


def _early(calls: int) -> int:
    return min(_FIRST, max(calls // 2, 1))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


def _table(figures: Figures) -> str:
    lines = [f"{figures.processors} processors"]
    if (found := figures.one_by_one) is not None:
        times = f"{found.p50_ms:.0f} ms after dialling (p99 {found.p99_ms:.0f})"
        lines.append(f"{found.calls} calls one after the other: both hear each other {times}")
        lines.append(f"  after {_early(found.calls)}: {found.early}")
        lines.append(f"  after {found.calls}: {found.late}")
    for row in figures.at_once:
        what = f"{row.calls} calls at once{', all recorded' if row.recorded else ''}"
        lines.append(f"{what}, {row.seconds:.0f} s: {row.cpu_percent:.0f} % of a processor")
        delay = (
            f"delay {row.delay_p50_ms:.2f} ms (p99 {row.delay_p99_ms:.2f}, at most {row.delay_max_ms:.2f})"
        )
        lines.append(f"  {row.packets} packets, {row.lost} lost; {delay}")
    return "\n".join(lines)


async def measure(calls: int, together: int, seconds: float, settle: float) -> Figures:
    """Measure all of it; 0 leaves a part out."""
    series = await one_by_one(calls, settle=settle) if calls else None
    rows = [await at_once(together, seconds, recorded=recorded) for recorded in (False, True) if together]
    return Figures(processors=os.cpu_count(), one_by_one=series, at_once=rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark. Exit status: 0 measured, 1 failed."""
    parser = argparse.ArgumentParser(prog="python -m agents.pbx.bench", description=__doc__)
    parser.add_argument("--calls", type=int, default=1000, help="calls one after the other (default: 1000)")
    parser.add_argument("--at-once", type=int, default=20, help="calls at the same time (default: 20)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long those last (default: 20)")
    parser.add_argument(
        "--settle",
        type=float,
        default=0.0,
        help="pause before memory is measured; ended calls are forgotten after 32 s (default: 0)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(argv)
    configure_logging("console")
    try:
        figures = asyncio.run(measure(given.calls, given.at_once, given.seconds, given.settle))
    except SharedlineError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    except TimeoutError:
        print("bench: the service does not answer in time", file=sys.stderr)
        return 1
    print(msgspec.json.encode(figures).decode() if given.json else _table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
