"""Figures: what a row of the benchmark is, and how rows are shown to programs and to people."""

import math
import os
import platform
import statistics
from collections.abc import Sequence

import msgspec
import zmq

from shared.actor import new_event_loop


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One time. ``ratio`` compares with the yardstick ``against`` of the same run; None: there is none.

    ``p99_ratio`` compares the slowest, p99 with p99. Where ``is_rate`` both are of rates (1 is as many as the
    yardstick), elsewhere of times (1 is as fast).
    """

    name: str
    n: int
    p50_us: float
    p99_us: float
    ratio: float | None = None
    p99_ratio: float | None = None
    against: str = ""
    against_p50_us: float | None = None
    p95_us: float | None = None
    is_rate: bool = False


class MemoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """The resident memory of ``n`` processes of one kind: the largest of them, in units of 2^20 bytes."""

    name: str
    n: int
    mb: float


class CountRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something counted over ``n`` rounds; its name says what."""

    name: str
    n: int
    count: float


class MissingRow(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be measured here; ``missing`` says what it lacks."""

    name: str
    missing: str
    n: int = 0


AnyRow = Row | MemoryRow | CountRow | MissingRow


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least ``share`` (0 to 1) of all do not exceed."""
    ordered = sorted(samples)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def timed(
    name: str,
    samples: Sequence[float],
    yardstick: Sequence[float] | None = None,
    against: str = "",
    *,
    is_rate: bool = False,
) -> Row:
    """Return the row of ``samples`` in seconds; its ratio is that of the medians, or of their rates."""

    def ratio(ours: float, theirs: float) -> float:
        return round(theirs / ours if is_rate else ours / theirs, 2)

    median, slow = statistics.median(samples), percentile(samples, 0.99)
    base = statistics.median(yardstick) if yardstick else None
    return Row(
        name=name,
        n=len(samples),
        p50_us=round(median * 1e6, 1),
        p95_us=round(percentile(samples, 0.95) * 1e6, 1),
        p99_us=round(slow * 1e6, 1),
        ratio=ratio(median, base) if base else None,
        p99_ratio=ratio(slow, percentile(yardstick, 0.99)) if yardstick else None,
        against=against,
        against_p50_us=round(base * 1e6, 1) if base else None,
        is_rate=is_rate,
    )


def as_json(rows: Sequence[AnyRow]) -> str:
    """Return all rows as one JSON object, with what they were measured on."""
    return msgspec.json.encode({"machine": machine(), "rows": list(rows)}).decode()


def as_table(rows: Sequence[AnyRow]) -> str:
    """Return a table for people."""
    head = f"{'':<24}{'n':>6}{'p50':>12}{'p99':>12}{'ratio':>8}{'of p99':>8}  against (p50)"
    about = " · ".join(f"{key} {value}" for key, value in machine().items())
    return "\n".join([about, "", head, *(_line(row) for row in rows)])


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    loop = new_event_loop()
    loop.close()
    return {
        "cpu": f"{_cpu()} x{os.cpu_count()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "pyzmq": f"{zmq.__version__} (libzmq {zmq.zmq_version()})",
        "loop": type(loop).__module__,
    }


def duration(us: float) -> str:
    """Return microseconds as people read them."""
    return f"{us:.1f} µs" if us < 1_000 else f"{us / 1_000:.2f} ms"


def _line(row: AnyRow) -> str:
    if isinstance(row, MemoryRow):
        return f"{row.name:<24}{row.n:>6}{row.mb:>9.1f} MiB"
    if isinstance(row, CountRow):
        return f"{row.name:<24}{row.n:>6}{row.count:>12g}"
    if isinstance(row, MissingRow):
        return f"{row.name:<24}{row.n:>6}  {row.missing}"
    ratio, slow = ("" if each is None else f"{each:.2f}" for each in (row.ratio, row.p99_ratio))
    against = "" if row.against_p50_us is None else f"{row.against} ({duration(row.against_p50_us)})"
    times = f"{duration(row.p50_us):>12}{duration(row.p99_us):>12}"
    return f"{row.name:<24}{row.n:>6}{times}{ratio:>8}{slow:>8}  {against}".rstrip()


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
