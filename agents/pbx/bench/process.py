"""The service in a process of its own, and what it uses of the machine (Linux: from /proc)."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Self

import msgspec

from shared.errors import ServiceUnreachable

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a process holds; None where the system does not tell."""

    memory_mb: float | None
    descriptors: int | None
    threads: int | None

    def __str__(self) -> str:
        return f"{self.memory_mb} MB, {self.descriptors} descriptors, {self.threads} threads"


class Process:
    """A service whose files are in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agents.pbx", "--dir", str(self._directory)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(_START_SECONDS):
            if not await self._process.stdout.readline():
                raise ServiceUnreachable("the service did not start")
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def usage(self) -> Usage:
        """Return what it holds now."""
        status = Path(f"/proc/{self._process.pid}/status")
        if not status.exists():
            return Usage(memory_mb=None, descriptors=None, threads=None)
        fields = dict(line.split(":", 1) for line in status.read_text("utf-8").splitlines() if ":" in line)
        return Usage(
            memory_mb=round(int(fields["VmRSS"].split()[0]) / 1024, 1),
            descriptors=len(os.listdir(f"/proc/{self._process.pid}/fd")),
            threads=int(fields["Threads"]),
        )

    def cpu_seconds(self) -> float:
        """Return how long it has computed; 0 where the system does not tell."""
        stat = Path(f"/proc/{self._process.pid}/stat")
        if not stat.exists():
            return 0.0
        fields = stat.read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
