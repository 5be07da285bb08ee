"""What every measurement stands on: a simulated service, a group, a window in this process, and a crew."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from agents.pbx.client import ControlClient
from agents.pbx.ledger import Entry, read_ledger
from coordinator.node import join
from coordinator.supervisor import Child, Supervisor
from shared.config import Settings, load_settings
from shared.messages import RegistrationState
from shared.phone import Phone

from .crew import PATIENCE, Crew
from .roles import AnswererRole, WindowRole

GROUP = "bench"
#: Calls from this number are answered by the crew's window with sound.
ANSWERED_CALLER = "16505550000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Handles to all of it. ``scale`` says how often things are measured: 1, or 0.1 for a quick look."""

    directory: Path
    environment: dict[str, str]
    settings: Settings
    supervisor: Supervisor
    control: ControlClient
    crew: Crew
    scale: float

    @property
    def account(self) -> str:
        """The account file of the group's extension."""
        return str(self.directory / "101.json")

    def rounds(self, full: int) -> int:
        """Return how many rounds to run where a full benchmark runs ``full``."""
        return max(round(full * self.scale), 2)

    def endpoint(self, name: str) -> str:
        """Return an ipc address for what is no group's."""
        return f"ipc://{self.directory}/{name}"

    def hire(self, name: str) -> None:
        """Start a window without sound, that may lead."""
        self.crew.start(WindowRole(name=name, group=GROUP, account=self.account))

    def hire_answerer(self) -> None:
        """Start a window with sound, that never leads and answers :data:`ANSWERED_CALLER`."""
        role = AnswererRole(name="answerer", group=GROUP, account=self.account, caller=ANSWERED_CALLER)
        self.crew.start(role)

    async def start_window(self, name: str, *arguments: str) -> Child:
        """Start a window as a user would: ``python -m coordinator join``."""
        return await self.supervisor.start_window(GROUP, self.account, name, *arguments, **self.environment)

    @asynccontextmanager
    async def observer(self) -> AsyncIterator[Phone]:
        """Join the group from this very process, never to lead it."""
        async with join(
            GROUP,
            account=self.account,
            name="observer",
            candidate=False,
            microphone=None,
            settings=self.settings,
            wait=False,
        ) as phone:
            yield phone

    async def effect(self, since: float, condition: Callable[[Entry], bool]) -> Entry:
        """Return the ledger's first entry from ``since`` (CLOCK_BOOTTIME) on for which ``condition`` holds.

        Waits until it is there; raises :exc:`TimeoutError` if it is not within :data:`PATIENCE`.
        """
        ledger = self.directory / "ledger.ndjson"
        async with asyncio.timeout(PATIENCE):
            while True:
                for entry in read_ledger(ledger):
                    if entry.boottime >= since and condition(entry):
                        return entry
                await asyncio.sleep(0.005)


@asynccontextmanager
async def open_stage(scale: float) -> AsyncIterator[Stage]:
    """Set it all up in a temporary directory, and take it down again."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        environment = {
            "SHAREDLINE_RUNTIME_DIR": str(directory / "run"),
            "SHAREDLINE_STATE_DIR": str(directory / "state"),
        }
        supervisor = await stack.enter_async_context(Supervisor())
        await supervisor.start_simulator(str(directory))
        yield Stage(
            directory=directory,
            environment=environment,
            settings=load_settings(runtime_dir=directory / "run", state_dir=directory / "state"),
            supervisor=supervisor,
            control=await stack.enter_async_context(ControlClient.from_directory(directory)),
            crew=await stack.enter_async_context(Crew(environment)),
            scale=scale,
        )


async def settled(phone: Phone, windows: int) -> None:
    """Return once the group is registered and has so many windows, the one of ``phone`` included.

    Raises:
        TimeoutError: It did not come to that.
    """
    await soon(phone, lambda: is_registered(phone) and len(phone.windows) == windows)


async def soon(phone: Phone, condition: Callable[[], bool]) -> None:
    """Return once ``condition`` holds; raises :exc:`TimeoutError` if it does not within :data:`PATIENCE`."""
    async with asyncio.timeout(PATIENCE):
        await phone.until(condition)


def is_registered(phone: Phone) -> bool:
    """Return whether the group has its registration and is heard."""
    return phone.registration.state is RegistrationState.REGISTERED and not phone.is_stale


def leader_pid(phone: Phone) -> int:
    """Return the process that leads."""
    assert phone.snapshot is not None
    leader = phone.snapshot.leader
    return next(window.pid for window in phone.windows if window.instance == leader)


@contextmanager
def pinned(*processors: set[int]) -> Iterator[None]:
    """Keep the first set of processes on one processor and the second on another, as long as this lasts.

    Without effect where there is one processor only, or the system has no such call (macOS).
    """
    if not hasattr(os, "sched_setaffinity") or len(allowed := os.sched_getaffinity(0)) < 2:
        yield
        return
    try:
        for processor, pids in zip(sorted(allowed), processors, strict=False):
            _place(pids, {processor})
        yield
    finally:
        for pids in processors:
            _place(pids, allowed)


def _place(pids: set[int], processors: set[int]) -> None:
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                os.sched_setaffinity(int(thread), processors)
