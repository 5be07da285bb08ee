"""The processes of the demo: a service and windows, as a user would start them, in their own directory."""

import asyncio
import itertools
import os
import shutil
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from agents.media.specs import FAREWELL, GREETING
from agents.pbx.client import ControlClient
from agents.pbx.ledger import Entry
from agents.pbx.views import RobotView
from coordinator.supervisor import Child, Line, Supervisor
from shared.clock import boottime
from shared.errors import ConfigError

from .checks import NotObserved
from .view import View

T = TypeVar("T")

GROUP = "demo"
EXTENSION = "101"
#: What our windows say, and what a robot that calls says, both again and again.
OURS, THEIRS = GREETING, FAREWELL
_LOOK_EVERY = 0.01
_LEAVING_TIME = 6.0
_TIMES = 30


class Window:
    """One ``join`` process, what it shows, and where it records what it plays to its user."""

    def __init__(self, child: Child, view: View, recording: Path, started_at: float) -> None:
        self.child, self.view, self.recording, self.started_at = child, view, recording, started_at
        self._taken = 0

    @property
    def status(self) -> int | None:
        """How its process ended: None while it runs, negative for the signal that killed it."""
        return self.child.process.returncode

    @property
    def is_alive(self) -> bool:
        """Whether its process has not ended."""
        return self.status is None

    def new_lines(self) -> list[Line]:
        """Take what it printed since the last call into its view, and return it."""
        lines = self.child.lines[self._taken :]
        self._taken += len(lines)
        for line in lines:
            self.view.take(line)
        return lines

    async def do(self, command: str) -> Line:
        """Have it do what its user typed; return the line that says so.

        Raises:
            NotObserved: It was refused, or failed.
        """
        line = await self.child.do(command)
        if line["event"] != "done":
            raise NotObserved(f"{self.view.name}: {command}: {line.get('text', line['event'])}")
        return line

    async def leave(self) -> int:
        """Have it quit; return its exit status."""
        self.child.tell("quit")
        return await self.child.ended(_LEAVING_TIME)


class Ledger:
    """The service's ledger since this demo began."""

    def __init__(self, path: Path) -> None:
        self.entries: list[Entry] = []
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0  # a kept one has earlier demos in it

    def new_entries(self) -> list[Entry]:
        """Read what was written since the last call, and return it."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._offset += len(whole) + len(newline)
        entries = [msgspec.json.decode(line, type=Entry) for line in whole.splitlines()]
        self.entries += entries
        return entries


class Stage:
    """Use with ``async with``; its end is that of all processes and, unless kept, of all files.

    Args:
        keep: Where ledger, recordings and accounts stay; None: nowhere.

    Raises:
        ConfigError: The directory cannot be used.
    """

    def __init__(self, keep: Path | None) -> None:
        self._keep = keep
        self._numbers = itertools.count(1)
        self.windows: list[Window] = []  # in the order of their numbers
        self._service: Child | None = None
        self._control: ControlClient | None = None

    async def __aenter__(self) -> Self:
        self.began_at = boottime()
        self._scratch = _make_scratch()
        try:
            self.directory = _prepare(self._keep) if self._keep else self._scratch / "service"
            self.ledger = Ledger(self.directory / "ledger.ndjson")
            self.traces = self.directory / "traces"
            shutil.rmtree(self.traces, ignore_errors=True)  # an earlier demo's: its epochs began at 1, too
            self._supervisor = await Supervisor().__aenter__()
        except BaseException:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            await self.leave()
        finally:
            await self._supervisor.__aexit__(*exc_info)
            if self._control is not None:
                await self._control.close()
            shutil.rmtree(self._scratch, ignore_errors=True)

    # -- who is there ------------------------------------------------------------------------------------

    @property
    def living(self) -> list[Window]:
        """The windows whose processes run."""
        return [window for window in self.windows if window.is_alive]

    @property
    def views(self) -> list[View]:
        """What the living windows show."""
        return [window.view for window in self.living]

    @property
    def is_served(self) -> bool:
        """Whether the service has not ended; so, too, while it starts."""
        return self._service is None or self._service.is_running

    @property
    def service(self) -> Child:
        """The service's process."""
        assert self._service is not None, "the service has not been started"
        return self._service

    @property
    def control(self) -> ControlClient:
        """The service's control interface.

        Raises:
            NotObserved: The service has not come up yet.
        """
        if self._control is None:
            raise NotObserved("the service is not up yet")
        return self._control

    def window_of(self, view: View) -> Window:
        """Return the window that shows ``view``."""
        return next(window for window in self.windows if window.view is view)

    async def start_service(self) -> Line:
        """Start the service; return the line with its ports."""
        self._service, line = await self._supervisor.start_simulator(str(self.directory))
        self._control = ControlClient.from_directory(self.directory)
        await asyncio.to_thread(_repeat, THEIRS, self._theirs)
        return line

    async def add_window(self) -> Window:
        """Start one more window; returns when it has joined the group."""
        number, started_at = next(self._numbers), boottime()
        recording = self.directory / f"window-{number}.wav"
        sound = ("--microphone", f"loop:{OURS}", "--loudspeaker", f"wav:{recording}")
        account = str(self.directory / f"{EXTENSION}.json")
        child = await self._supervisor.start_window(
            GROUP, account, f"window {number}", *sound, **self._environment()
        )
        window = Window(child, View(number), recording, started_at)
        self.windows.append(window)
        self.windows.sort(key=lambda window: window.view.number)
        return window

    async def leave(self) -> None:
        """Have every window leave, the leader last, so that it can remove the binding. Harmless twice."""
        self.look()
        followers = [window for window in self.living if not window.view.leads]
        for group in (followers, self.living):
            leaving = [window.leave() for window in group if window.is_alive]
            await asyncio.gather(*leaving, return_exceptions=True)

    async def call_in(self) -> RobotView:
        """Have a robot call our extension."""
        return await self.control.call(EXTENSION, play=self._theirs)

    # -- watching ----------------------------------------------------------------------------------------

    def look(self) -> None:
        """Take all that windows printed and the service wrote."""
        for window in self.windows:
            window.new_lines()
        self.ledger.new_entries()

    async def until(self, what: str, observe: Callable[[], T | None], *, within: float = 10.0) -> T:
        """Return what ``observe`` returns as soon as that is something; it is asked again and again.

        Raises:
            NotObserved: It was None for ``within`` seconds; ``what`` says what did not happen.
        """
        deadline = boottime() + within
        while True:
            self.look()
            if (observed := observe()) is not None:
                return observed
            if boottime() > deadline:
                raise NotObserved(f"not within {within:g} s: {what}")
            # The times that are told come from the lines themselves, so looking late does no harm.
            await asyncio.sleep(_LOOK_EVERY)

    # -- inside ------------------------------------------------------------------------------------------

    @property
    def _theirs(self) -> Path:
        """A robot plays its file once, so this one has :data:`THEIRS` many times."""
        return self.directory / "far-end-says.wav"

    def _environment(self) -> dict[str, str]:
        return {
            "SHAREDLINE_RUNTIME_DIR": str(self._scratch / "run"),
            "SHAREDLINE_STATE_DIR": str(self.directory / "state"),
            "SHAREDLINE_TRACE_DIR": str(self.traces),
            "SHAREDLINE_CONFIG": os.devnull,  # the user's own settings stay out
        }


def _make_scratch() -> Path:
    """Make a private directory whose path leaves room for a socket's name (107 bytes in all)."""
    parent = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="sharedline-", dir=parent if len(parent) < 40 else "/tmp"))  # noqa: S108 - mkdtemp makes it private


def _repeat(sound: Path, path: Path) -> None:
    """Write a WAV file that holds ``sound`` again and again, for minutes."""
    with wave.open(str(sound)) as said, wave.open(str(path), "wb") as said_again:
        said_again.setparams(said.getparams())
        said_again.writeframes(said.readframes(said.getnframes()) * _TIMES)


def _prepare(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"cannot keep anything in {directory}: {exc.strerror}") from exc
    return directory.resolve()
