"""Measure this machine: real processes, and next to each figure what bare ZeroMQ or the kernel takes.

Absolute figures are this machine's, at this moment. Ratios travel better: both sides ran in the same minute.
"""

import sys

from . import report
from .actions import measure_actions
from .calls import measure_calls
from .failover import measure_failover
from .fanout import measure_fanout
from .memory import measure_memory
from .sip import measure_sip
from .sound import measure_sound
from .stage import open_stage, settled, soon

__all__ = ["run_bench"]


async def run_bench(*, as_json: bool, is_quick: bool) -> int:
    """Measure everything, print it, and return the exit status.

    Args:
        as_json: Print one JSON object: ``{"machine", "rows": [{"name", "n", "p50_us", "p99_us", "ratio"}]}``.
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
    sys.stdout.write((report.as_json(rows) if as_json else report.as_table(rows)) + "\n")
    return 0
