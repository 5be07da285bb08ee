"""The demo: a simulated phone service, windows as real processes, and what happens to them."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any


async def run_demo(*, is_script: bool, keep: Path | None) -> int:
    """Tell the story unattended, or let the user play; return the exit status.

    0: every step was observed, or the user left; 1: a step was not observed; 128 + n: signal n ended it,
    after everything was taken down politely. Whoever stops reading what it prints ends it as SIGPIPE would.

    Args:
        is_script: Without a terminal there is no other way.
        keep: Where ledger, recordings and accounts stay; None: nowhere.
    """
    try:
        return await _until_signal(_script(keep) if is_script else _live(keep))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 128 + signal.SIGPIPE


async def _script(keep: Path | None) -> int:
    from .report import Report
    from .stage import Stage
    from .story import STEPS, tell_story

    report = Report(_write_line)
    async with Stage(keep) as stage:
        is_told = await tell_story(stage, report, STEPS)
    report.close(len(STEPS))
    return 0 if is_told else 1


async def _live(keep: Path | None) -> int:
    from .live import play
    from .stage import Stage

    async with Stage(keep) as stage:
        await play(stage)
        with contextlib.suppress(OSError):  # a terminal that was closed takes no more lines
            _write_line("Everybody leaves ...")
        await stage.leave()
        stage.look()
        left = [entry.bindings for entry in stage.ledger.entries if entry.bindings is not None]
        bindings, windows = left[-1] if left else 0, len(stage.living)
        with contextlib.suppress(OSError):
            _write_line(f"windows left: {windows}; bindings at the registrar: {bindings}")
    return 0


def _write_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _until_signal(demo: Coroutine[Any, Any, int]) -> int:
    """Run ``demo``; the first signal that asks us to end cancels it, and more do not hurry its end."""
    caught: list[int] = []
    task = asyncio.ensure_future(demo)

    def end(number: int) -> None:
        if not caught:
            task.cancel()
        caught.append(number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    try:
        return await task
    except asyncio.CancelledError:
        if caught:
            return 128 + caught[0]
        raise
