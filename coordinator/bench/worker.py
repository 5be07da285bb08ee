"""A process that answers lines of JSON: a role of :mod:`.sound_roles`, or a browser's driver."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

_PATIENCE = 120.0
_FAREWELL = 20.0


class Worker:
    """Its other end; made by :func:`open_worker`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._process = process

    async def ask(self, **facts: object) -> dict[str, Any]:
        """Write a line, and return its answer."""
        self.say(**facts)
        return await self.answer()

    def say(self, **facts: object) -> None:
        """Write a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(facts).encode() + b"\n")

    async def answer(self) -> dict[str, Any]:
        """Return the next line.

        Raises:
            TimeoutError: It did not come.
            EOFError: The process has ended; it will have said why on standard error.
        """
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            line = await self._process.stdout.readline()
        if not line:
            raise EOFError("a process of the benchmark has ended before its time")
        facts: dict[str, Any] = json.loads(line)
        return facts

    async def end(self) -> None:
        """Let it end by itself."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def open_worker(
    *command: str,
    environment: Mapping[str, str],
    processor: int | None = None,
    directory: Path | None = None,
) -> AsyncIterator[Worker]:
    """Run a command, on one processor only if a number is given; it ends when its input does."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        cwd=directory,
        limit=1 << 22,
    )
    if processor is not None and hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(process.pid, {allowed[processor % len(allowed)]})
    worker = Worker(process)
    try:
        yield worker
    finally:
        await worker.end()
