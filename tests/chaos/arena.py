"""Where processes are ill-treated: a service, windows forked quickly, and one with sound in this process.

That one never leads; it asks for things and sees what comes of them. What is done to others is noted in a
trace of its own, so that the checker knows.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from agents.pbx.client import ControlClient
from agents.pbx.ledger import Entry, read_ledger
from coordinator.bench.crew import Crew
from coordinator.bench.roles import WindowRole
from coordinator.lease import FileLease, Vacant
from coordinator.node import join
from coordinator.supervisor import Child, Supervisor
from shared.clock import boottime
from shared.config import Settings, load_settings
from shared.messages import RegistrationState
from shared.phone import Phone
from shared.trace import SUFFIX, Line

from .record import say

GROUP = "front"
PATIENCE = 20.0


@dataclass
class Arena:
    """Handles to all of it. ``phone`` is the one in this process."""

    root: Path
    supervisor: Supervisor
    control: ControlClient
    service: Child
    settings: Settings
    environment: dict[str, str]
    phone: Phone = field(init=False)
    _crews: dict[str, Crew] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _names: int = 0

    @property
    def account(self) -> str:
        """The account file of extension 101."""
        return str(self.root / "service" / "101.json")

    async def hire(self, count: int = 1, **environment: str) -> None:
        """Fork windows without sound that may lead; returns when all are members."""
        key = str(sorted(environment.items()))
        if key not in self._crews:
            self._crews[key] = await self._stack.enter_async_context(Crew(self.environment | environment))
        names = {f"w{self._names + number}" for number in range(1, count + 1)}
        self._names += count
        for name in sorted(names):
            self._crews[key].start(WindowRole(name=name, group=GROUP, account=self.account))
        await self.until(lambda: self.is_well and names <= {window.name for window in self.phone.windows})

    @property
    def is_well(self) -> bool:
        """Whether the window here is current, and shows a registered phone."""
        return self.phone.registration.state is RegistrationState.REGISTERED and not self.phone.is_stale

    async def until(self, condition: Callable[[], bool], time: float = PATIENCE) -> None:
        """Return once ``condition`` holds of what the window here shows."""
        async with asyncio.timeout(time):
            await self.phone.until(condition)

    async def soon(self, condition: Callable[[], Any], time: float = PATIENCE) -> Any:
        """Return what ``condition`` says as soon as it is true: a file has no event to wait for."""
        async with asyncio.timeout(time):
            while not (value := condition()):  # noqa: ASYNC110 - it happens in another process
                await asyncio.sleep(0.002)
        return value

    @property
    def leader(self) -> int:
        """The process that holds the lease; 0: nobody."""
        found = FileLease(self.root / "run" / GROUP, "arena").look()
        return 0 if isinstance(found, Vacant) else found.pid

    @property
    def epoch(self) -> int:
        """The newest epoch."""
        return FileLease(self.root / "run" / GROUP, "arena").look().epoch

    def note(self, event: str, pid: int = 0) -> None:
        """Write down what is done to whom."""
        with (self.root / "traces" / f"trouble{SUFFIX}").open("ab") as file:
            file.write(msgspec.json.encode(Line(boottime=boottime(), event=event, pid=pid)) + b"\n")

    def kill(self, pid: int) -> None:
        """SIGKILL."""
        self.note("KILLED", pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def stop(self, pid: int) -> None:
        """SIGSTOP."""
        self.note("STOPPED", pid)
        os.kill(pid, signal.SIGSTOP)

    def go_on(self, pid: int) -> None:
        """SIGCONT."""
        os.kill(pid, signal.SIGCONT)
        self.note("CONTINUED", pid)

    def ledger(self, event: str, **facts: Any) -> list[Entry]:
        """Return what reached the service."""
        return [
            entry
            for entry in read_ledger(self.root / "service" / "ledger.ndjson")
            if entry.event == event and all(getattr(entry, name) == value for name, value in facts.items())
        ]

    async def peace(self) -> None:
        """Note that nothing more is done to anybody, and give it time to come right."""
        await self.until(lambda: self.is_well)
        self.note("QUIET")
        await asyncio.sleep(1.2)  # the checker looks at all windows 1 s after that note

    def check(self, *promises: str) -> None:
        """Assert that no promise was broken, and that these could be decided; say what was seen.

        The checker has a process of its own: it reads hundreds of megabytes, and this process is judged, too.
        """
        command = [sys.executable, "-m", "coordinator", "verify", str(self.root)]
        verify = subprocess.run(command, capture_output=True, text=True, check=False)
        sys.stdout.write(f"\n{verify.stdout}")
        say(_summary(verify.stdout))
        if verify.returncode and (keep := os.environ.get("CHAOS_KEEP")):
            shutil.copytree(self.root, keep, dirs_exist_ok=True, ignore=_no_sockets)
        assert verify.returncode == 0, verify.stdout + verify.stderr
        kept = {line.partition(" ")[0] for line in verify.stdout.splitlines() if " passed: " in line}
        assert kept >= set(promises), verify.stdout


def _summary(verdicts: str) -> str:
    """Return what shows how much was done, of all that the checker counted: from P1, P2 and P4."""
    texts = dict(line.split(" passed: ", 1) for line in verdicts.splitlines() if " passed: " in line)
    epochs, actions = texts.get("P1", "").partition(",")[0], texts.get("P2", "").partition(";")[0]
    away = texts.get("P4", "").partition("never more than one binding, ")[2]
    broken = [line for line in verdicts.splitlines() if " VIOLATED: " in line]
    return "; ".join(filter(None, [epochs, actions, away, *broken]))


def _no_sockets(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(directory) / name).is_socket()]


@asynccontextmanager
async def arena(*, config: str = "", sound: bool = True) -> AsyncIterator[Arena]:
    """Start a service and a window in this process; end all afterwards. ``config``: the service's TOML."""
    root = Path(tempfile.mkdtemp(prefix="sl-", dir="/tmp"))
    directories = {name: str(root / name) for name in ("run", "state", "traces")}
    environment = {
        "SHAREDLINE_RUNTIME_DIR": directories["run"],
        "SHAREDLINE_STATE_DIR": directories["state"],
        "SHAREDLINE_TRACE_DIR": directories["traces"],
        "SHAREDLINE_CONFIG": os.devnull,
    }
    options = []
    if config:
        (root / "service.toml").write_text(config)
        options = ["--config", str(root / "service.toml")]
    (root / "traces").mkdir(mode=0o700)
    try:
        async with Supervisor() as supervisor, AsyncExitStack() as stack:
            service, _ = await supervisor.start_simulator(str(root / "service"), *options)
            control = await stack.enter_async_context(ControlClient.from_directory(root / "service"))
            settings = load_settings(
                runtime_dir=root / "run", state_dir=root / "state", trace_dir=root / "traces"
            )
            made = Arena(root, supervisor, control, service, settings, environment)
            made.phone = await stack.enter_async_context(
                join(
                    GROUP,
                    account=made.account,
                    name="arena",
                    candidate=False,
                    microphone="silence" if sound else None,
                    loudspeaker="none",
                    settings=settings,
                    wait=False,
                )
            )
            await stack.enter_async_context(made._stack)
            yield made
    finally:
        shutil.rmtree(root, ignore_errors=True)
