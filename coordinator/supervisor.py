"""Child processes: windows and a simulated service as a user would start them, each with its lines.

For the demo, the benchmark and the tests. A child that leaves, is killed, or crashes is noticed; a parent
that dies takes its children with it, because they hold the other end of a pipe of its.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Self

from shared.errors import SharedlineError

Line = dict[str, Any]


class ChildFailed(SharedlineError):
    """A child process ended although it should not have; the text has its last words."""


class Child:
    """One ``python -m coordinator …`` whose output is one JSON object a line."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name, self.process = name, process
        self.lines: list[Line] = []  # all so far, in order
        self._errors: list[str] = []
        self._news = asyncio.Event()
        self._readers = [asyncio.create_task(self._read()), asyncio.create_task(self._read_errors())]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.returncode is None

    @property
    def errors(self) -> str:
        """What it wrote to standard error so far."""
        return "".join(self._errors)

    def tell(self, command: str) -> None:
        """Write a line to its standard input."""
        if self.process.stdin is not None:
            self.process.stdin.write(command.encode() + b"\n")

    async def wait_for(
        self, condition: Callable[[Line], bool], *, since: int = 0, time: float = 15.0
    ) -> Line:
        """Return its first line from number ``since`` on for which ``condition`` holds.

        Raises:
            TimeoutError: There was none for ``time`` seconds.
            ChildFailed: It ended first.
        """
        async with asyncio.timeout(time):
            while True:
                while since < len(self.lines):
                    if condition(self.lines[since]):
                        return self.lines[since]
                    since += 1
                if all(reader.done() for reader in self._readers):
                    raise ChildFailed(f"{self.name} has ended: {self.errors.strip() or 'without a word'}")
                self._news.clear()
                await self._news.wait()

    async def do(self, command: str, *, time: float = 15.0) -> Line:
        """Write a command, and return the line that says what became of it."""
        since = len(self.lines)
        verb = command.split(maxsplit=1)[0]
        self.tell(command)
        outcomes = ("done", "refused", "unknown", "error")
        return await self.wait_for(
            lambda line: line.get("command") == verb and line["event"] in outcomes, since=since, time=time
        )

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def ended(self, time: float = 10.0) -> int:
        """Return its exit status when it has ended; negative: the signal that killed it."""
        async with asyncio.timeout(time):
            await asyncio.wait(self._readers)
            return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            with contextlib.suppress(json.JSONDecodeError):
                self.lines.append(json.loads(line))
            self._news.set()
        self._news.set()

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self._errors.append(line.decode("utf-8", "replace"))
        self._news.set()


class Supervisor:
    """Start children, and end them all when the ``async with`` block ends."""

    def __init__(self) -> None:
        self.children: list[Child] = []

    async def __aenter__(self) -> Self:
        self._held_end, self._our_end = os.pipe()  # never written to: its end is the news
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for child in self.children:
            if child.is_running:
                child.kill(signal.SIGTERM)
        for child in self.children:
            await self._end(child)
        os.close(self._held_end)
        os.close(self._our_end)

    async def start(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> Child:
        """Start ``python -m coordinator`` with ``arguments``; ``env`` is added to our environment."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "coordinator",
            "--while-open",
            str(self._held_end),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | (env or {}),
            pass_fds=(self._held_end,),
            start_new_session=True,  # a terminal's Ctrl-C is for us, who end them in order
            limit=1 << 20,
        )
        child = Child(name, process)
        self.children.append(child)
        return child

    async def start_window(self, group: str, account: str, name: str, *arguments: str, **env: str) -> Child:
        """Start a window and return it once it has joined ``group``."""
        options = ("--name", name, "--json")
        child = await self.start(name, "join", group, "--account", account, *options, *arguments, env=env)
        await child.wait_for(lambda line: line["event"] == "joined")
        return child

    async def start_simulator(self, directory: str, *arguments: str) -> tuple[Child, Line]:
        """Start a simulated service on free ports; return it and what it printed: where it listens."""
        child = await self.start("service", "simulator", "--wss", "0", "--dir", directory, *arguments)
        return child, await child.wait_for(lambda line: "wss" in line)

    @staticmethod
    async def _end(child: Child) -> None:
        try:
            await child.ended(8.0)
        except TimeoutError:
            child.kill()
            await child.ended()
