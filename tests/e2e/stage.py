"""A line as users run it: a simulated service and windows, each a process of its own, in a private place."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from agents.pbx.client import ControlClient
from agents.pbx.ledger import Entry, read_ledger
from coordinator.lease import FileLease
from coordinator.supervisor import Child, Line, Supervisor
from shared.config import Settings
from shared.election import Holder

GROUP = "front"
QUIET = ("--microphone", "silence", "--loudspeaker", "none")
SILENT = ("--no-sound", "--may-lead")


@dataclass
class Stage:
    """Everything of one test. Paths are short: a socket's may have 107 bytes."""

    root: Path
    supervisor: Supervisor
    windows: dict[str, Child] = field(default_factory=dict)
    control: ControlClient = field(init=False)
    service: Child = field(init=False)
    port: int = 0
    lease_time: float = 0.5

    @property
    def account(self) -> Path:
        """The account file of extension 101."""
        return self.root / "service" / "101.json"

    @property
    def settings(self) -> Settings:
        """What all processes of the group use."""
        return Settings(
            runtime_dir=self.root / "run", state_dir=self.root / "state", lease_time=self.lease_time
        )

    @property
    def env(self) -> dict[str, str]:
        """The same for child processes."""
        return {
            "SHAREDLINE_RUNTIME_DIR": str(self.root / "run"),
            "SHAREDLINE_STATE_DIR": str(self.root / "state"),
            "SHAREDLINE_LEASE_TIME": str(self.lease_time),
            "SHAREDLINE_CONFIG": os.devnull,
            "SHAREDLINE_TRACE_DIR": str(self.root / "traces"),
        }

    async def join(self, *names: str, sound: bool = False, group: str = GROUP, **env: str) -> list[Child]:
        """Start windows together; return them once all show a registered phone."""
        options = QUIET if sound else SILENT
        started = await asyncio.gather(
            *(
                self.supervisor.start_window(group, str(self.account), name, *options, **self.env, **env)
                for name in names
            )
        )
        self.windows |= dict(zip(names, started, strict=True))
        for window in started:
            await window.wait_for(lambda line: line.get("state") == "registered")
            if sound:
                me = instance(window)
                await window.wait_for(partial(_shows, me))
        return started

    async def leader(self) -> Child:
        """Return the window that leads, as the lease says."""
        holder = self.holder()
        return next(window for window in self.windows.values() if window.pid == holder.pid)

    def holder(self) -> Holder:
        """Return who holds the lease."""
        found = FileLease(self.root / "run" / GROUP, "test").look()
        assert isinstance(found, Holder), found
        return found

    def ledger(self, event: str = "", **facts: Any) -> list[Entry]:
        """Return what reached the service."""
        return [
            entry
            for entry in read_ledger(self.root / "service" / "ledger.ndjson")
            if event in ("", entry.event)
            and all(getattr(entry, name) == value for name, value in facts.items())
        ]

    async def until(self, condition: Callable[[], Any], *, time: float = 15.0) -> Any:
        """Return what ``condition`` says as soon as it is true: a file has no event to wait for."""
        async with asyncio.timeout(time):
            while not (value := condition()):  # noqa: ASYNC110 - it happens in another process
                await asyncio.sleep(0.005)
        return value


@asynccontextmanager
async def stage(*arguments: str, service: bool = True, lease_time: float = 0.5) -> AsyncIterator[Stage]:
    """Start a service, and end all processes afterwards."""
    root = Path(tempfile.mkdtemp(prefix="sl-", dir="/tmp"))
    try:
        async with asyncio.timeout(100), Supervisor() as supervisor:
            made = Stage(root, supervisor, lease_time=lease_time)
            if service:
                made.service, line = await supervisor.start_simulator(str(root / "service"), *arguments)
                made.port = line["wss"]
                async with ControlClient.from_directory(root / "service") as made.control:
                    yield made
            else:
                yield made
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _shows(window: str, line: Line) -> bool:
    return window in line.get("windows", ())


def instance(window: Child) -> str:
    """Return a window's id in the group."""
    return str(next(line["instance"] for line in window.lines if line["event"] == "joined"))


def epoch_is(epoch: int) -> Callable[[Line], bool]:
    """Match a line that shows the state of ``epoch`` or a later one."""
    return lambda line: line["event"] == "state" and line["epoch"] >= epoch


def is_talking(line: Line) -> bool:
    """Match a line that shows an answered call with sound; that may be connected before the answer."""
    call = line.get("call", {})
    return (call.get("state"), call.get("media")) == ("answered", "connected")


def versions(window: Child) -> list[tuple[int, int]]:
    """Return the versions that a window showed, in order."""
    return [(line["epoch"], line["sequence"]) for line in window.lines if line["event"] == "state"]


def events(window: Child, *names: str) -> list[Line]:
    """Return a window's lines of these events."""
    return [line for line in window.lines if line["event"] in names]


def assert_polite(window: Child) -> None:
    """Assert that a process said nothing that a user should not read."""
    assert "Traceback" not in window.errors, window.errors
