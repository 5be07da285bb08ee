"""Many processes quickly: one that has imported everything forks the others.

It forks before it has any thread, event loop or ZeroMQ context, so its children are as good as new. All
report on one pipe. When the benchmark goes away, by whatever cause, they go, too.
"""

import asyncio
import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Self

import msgspec

from shared.log import configure_logging

from . import roles
from .roles import AnyRole, Report

#: Longer than anything here should take, in seconds.
PATIENCE = 30.0


class Crew:
    """The benchmark's side: :meth:`start` members and wait for what they report.

    Args:
        modules: What else is imported before the first member is forked.
    """

    def __init__(self, environment: dict[str, str], *modules: str) -> None:
        self._environment, self._modules = environment, modules
        self._news = asyncio.Event()
        self._reports: list[Report] = []
        self._pids: dict[str, int] = {}
        self._lines = msgspec.json.Decoder(Report)

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __package__,
            *self._modules,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | self._environment,
            limit=1 << 20,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        self._reader.cancel()

    def start(self, role: AnyRole) -> None:
        """Start a member."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(role) + b"\n")

    async def reports(self, condition: Callable[[Report], bool], count: int = 1) -> list[Report]:
        """Return the next ``count`` reports for which ``condition`` holds; each is returned once.

        Raises:
            TimeoutError: They did not come.
        """
        found: list[Report] = []
        async with asyncio.timeout(PATIENCE):
            while True:
                for report in [report for report in self._reports if condition(report)]:
                    self._reports.remove(report)
                    found.append(report)
                    if len(found) == count:
                        return found
                self._news.clear()
                await self._news.wait()

    def forget(self) -> None:
        """Drop the reports that nobody asked for."""
        self._reports.clear()

    def dismiss(self, prefix: str) -> None:
        """Kill the members whose names begin so, and that have reported something."""
        for name in [name for name in self._pids if name.startswith(prefix)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pids.pop(name), signal.SIGKILL)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            report = self._lines.decode(line)
            self._pids[report.name] = report.pid
            self._reports.append(report)
            self._news.set()


def main() -> None:
    """Fork one process for each line of standard input; end with it, and all of them with us.

    The command line names modules to import first.
    """
    configure_logging()
    for module in sys.argv[1:]:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # they need no burial
    held_end, our_end = os.pipe()
    decoder: msgspec.json.Decoder[AnyRole] = msgspec.json.Decoder(AnyRole)
    for line in sys.stdin:
        role = decoder.decode(line)
        if os.fork() == 0:
            os.close(our_end)
            _be(role, held_end)


def _be(role: AnyRole, held_end: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    threading.Thread(target=_die_with, args=(held_end,), daemon=True).start()
    try:
        roles.play(role)
    except BaseException:
        with contextlib.suppress(OSError):
            sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def _die_with(held_end: int) -> None:
    os.read(held_end, 1)
    os._exit(0)
