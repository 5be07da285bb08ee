"""Measure this machine: real processes, and next to each figure what bare ZeroMQ or the kernel takes.

Absolute figures are this machine's, at this moment. Ratios travel better: both sides ran in the same minute.
"""

import sys
from collections.abc import Callable, Sequence

from . import report
from .actions import measure_actions
from .calls import measure_calls
from .failover import measure_failover
from .fanout import measure_fanout
from .markdown import as_markdown
from .memory import measure_memory
from .sip import measure_sip
from .sound import measure_sound
from .stage import open_stage, settled, soon

__all__ = ["FORMS", "run_bench"]

#: How rows are printed: as a table; as one JSON object, ``{"machine", "rows": [{"name", "n", "p50_us",
#: "p99_us", "ratio"}]}``; or as the tables of the documentation.
FORMS: dict[str, Callable[[Sequence[report.AnyRow]], str]] = {
    "table": report.as_table,
    "json": report.as_json,
    "markdown": as_markdown,
}


async def run_bench(*, form: str, is_quick: bool) -> int:
    """Measure everything, print it, and return the exit status.

    Args:
        form: One of :data:`FORMS`.
        is_quick: A tenth of the rounds: below a minute, and shaky.
    """
    rows: list[report.AnyRow] = []
    async with open_stage(scale=0.1 if is_quick else 1.0) as stage:
        rows += await measure_memory(stage)
        rows += measure_sip(stage.rounds(200))
        stage.hire("window-0")
        stage.hire_answerer()
        async with stage.observer() as phone:
            await settled(phone, windows=3)
            await soon(phone, lambda: any(window.media for window in phone.windows))
            rows += await measure_calls(stage, phone)
            rows += await measure_actions(stage, phone)
            rows += await measure_fanout(stage)
            rows += await measure_failover(stage, phone)
        rows += await measure_sound(stage)
    sys.stdout.write(FORMS[form](rows) + "\n")
    return 0
