"""Failover: SIGKILL of the leader, until every window shows the next one and the service has registered it.

The yardstick is what the kernel alone takes: SIGKILL of a process that holds a lock, until another has it.
"""

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, field

from agents.pbx.ledger import Entry
from shared.clock import boottime
from shared.phone import Phone

from .crew import PATIENCE
from .report import Row, timed
from .roles import LockRole
from .stage import Stage, is_registered, leader_pid, settled, soon

#: Windows that survive, and rounds of a full benchmark.
_CROWDS = {3: 40, 10: 20, 50: 10}
#: The observer in this process, and the window with sound.
_OTHERS = 2


@dataclass(slots=True)
class _Figures:
    """Seconds from the kill."""

    synced: list[float] = field(default_factory=list)
    registered: list[float] = field(default_factory=list)
    locked: list[float] = field(default_factory=list)


async def measure_failover(stage: Stage, phone: Phone) -> list[Row]:
    """Return ``kill_to_synced_3``, ``_10`` and ``_50``, and ``kill_to_registered`` with three windows."""
    measured = {crowd: _Figures() for crowd in _CROWDS}
    hired = len(phone.windows) - _OTHERS
    for crowd, full_rounds in _CROWDS.items():
        figures = measured[crowd]
        for _ in range(stage.rounds(full_rounds)):
            for number in range(hired, crowd + 1):
                stage.hire(f"window-{crowd}-{number}")
            hired = crowd + 1
            await settled(phone, hired + _OTHERS)
            figures.locked.append(await _kill_holder(stage))
            await _kill_leader(stage, phone, crowd, figures)
            hired -= 1
    rows = [
        timed(f"kill_to_synced_{crowd}", figures.synced, figures.locked, "bare lock")
        for crowd, figures in measured.items()
    ]
    first = measured[min(_CROWDS)]
    return [*rows, timed("kill_to_registered", first.registered, first.locked, "bare lock")]


async def _kill_leader(stage: Stage, phone: Phone, crowd: int, figures: _Figures) -> None:
    stage.crew.forget()
    epoch = phone.version.epoch
    victim = leader_pid(phone)
    killed = boottime()
    os.kill(victim, signal.SIGKILL)
    shown = await stage.crew.reports(lambda report: report.epoch > epoch, crowd)
    figures.synced.append(max(report.at for report in shown) - killed)
    await soon(phone, lambda: phone.version.epoch > epoch and is_registered(phone))
    registered = await stage.effect(killed, _is_registration)
    figures.registered.append(registered.boottime - killed)
    await settled(phone, crowd + _OTHERS)


def _is_registration(entry: Entry) -> bool:
    return entry.event == "REGISTER" and entry.status == 200


async def _kill_holder(stage: Stage) -> float:
    """Return how long after its holder's death a waiting process of the same kind has a lock."""
    path = str(stage.directory / "lock")
    stage.crew.start(LockRole(name="holder", path=path))
    (holder,) = await stage.crew.reports(lambda report: report.event == "locked")
    stage.crew.start(LockRole(name="waiter", path=path))
    await stage.crew.reports(lambda report: report.name == "waiter" and report.event == "waiting")
    killed = boottime()
    os.kill(holder.pid, signal.SIGKILL)
    (waiter,) = await stage.crew.reports(lambda report: report.event == "locked")
    os.kill(waiter.pid, signal.SIGKILL)
    for pid in (holder.pid, waiter.pid):
        await _gone(pid)  # a process that ends takes milliseconds of a processor from whatever is next
    return waiter.at - killed


async def _gone(pid: int) -> None:
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                await asyncio.sleep(0.001)
