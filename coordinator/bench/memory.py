"""Memory: what a window costs, as a user starts it."""

import asyncio
import subprocess
from pathlib import Path

from coordinator.supervisor import Child

from .crew import PATIENCE
from .report import MemoryRow
from .stage import Stage

_QUIET_SOUND = ("--microphone", "silence", "--loudspeaker", "none", "--never-lead")


async def measure_memory(stage: Stage) -> list[MemoryRow]:
    """Return the resident memory of windows without sound, also as heir and leader, and of one with sound."""
    leader = await stage.start_window("leader", "--no-sound", "--may-lead")
    await leader.wait_for(lambda line: line.get("state") == "registered")
    heir = await stage.start_window("heir", "--no-sound", "--may-lead")
    windows = [await stage.start_window(f"silent-{number}", "--no-sound") for number in range(2)]
    loud = await stage.start_window("loud", *_QUIET_SOUND)
    rows = [
        await _row("window_rss_mb", *windows),
        await _row("heir_rss_mb", heir),
        await _row("leader_rss_mb", leader),
        await _row("sound_window_rss_mb", loud),
    ]
    for child in (loud, *windows, heir, leader):
        child.tell("quit")
        await child.ended()
    return rows


async def _row(name: str, *children: Child) -> MemoryRow:
    sizes = [await _settled_mb(child.pid) for child in children]
    return MemoryRow(name=name, n=len(sizes), mb=round(max(sizes), 1))


async def _settled_mb(pid: int) -> float:
    """Return the resident memory of a process once it has stopped growing: it may still be loading."""
    before, same = -1.0, 0
    async with asyncio.timeout(PATIENCE):
        while same < 3:
            now = _resident_mb(pid)
            same = same + 1 if now == before else 0
            before = now
            await asyncio.sleep(0.2)
    return before


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text("utf-8").splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    answer = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], check=True, capture_output=True)
    return int(answer.stdout) / 1024
