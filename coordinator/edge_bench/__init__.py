"""Measure the simulated phone service: times next to Kamailio's, and what a crowd costs.

Both servers are on one processor, and the phone, which is as lean as can be, on another.
"""

import contextlib
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

from ..bench import report
from .crowd import measure_crowd
from .servers import kamailio, kamailio_modules, simulated
from .times import measure_times

__all__ = ["run_edge_bench"]

_SPARE_FILES = 1_000


def run_edge_bench(*, as_json: bool, is_quick: bool) -> int:
    """Measure, print it, and return the exit status. See :func:`coordinator.bench.run_bench`."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        ours = stack.enter_context(simulated(directory / "service", 2))
        modules = kamailio_modules()
        other = stack.enter_context(kamailio(directory / "kamailio", modules)) if modules else None
        if other is None:
            sys.stderr.write("kamailio is not installed with its websocket and tls modules: no ratios\n")
        rows: list[report.AnyRow] = [*measure_times(ours, other, blocks=3 if is_quick else 20)]
        crowded = stack.enter_context(simulated(directory / "crowded", 10 if is_quick else 100))
        rows += measure_crowd(crowded, silent=_allowed(1_000 if is_quick else 10_000))
    sys.stdout.write((report.as_json(rows) if as_json else report.as_table(rows)) + "\n")
    return 0


def _allowed(connections: int) -> int:
    """Return how many of so many connections this process may open at a time."""
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):  # macOS says unlimited, and means less
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        connections = min(connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES)
    return connections
