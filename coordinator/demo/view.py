"""What one window shows, and since when, folded from the lines that it prints.

Times are CLOCK_BOOTTIME seconds of the window's own reading: equal in all processes of a host.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from shared.messages import Call, Registration, RegistrationState, Version


class ShownCall:
    """One call in one window: all that was shown of it, in order."""

    def __init__(self, at: float, call: Call) -> None:
        self.history = [(at, call)]

    @property
    def now(self) -> Call:
        """What is shown at present."""
        return self.history[-1][1]

    def when(self, condition: Callable[[Call], bool], *, after: float = 0.0) -> float | None:
        """Return when this window first showed what ``condition`` holds for, at ``after`` or later."""
        return next((at for at, call in self.history if at >= after and condition(call)), None)


class View:
    """One window, as its user sees it. Feed it every line in order."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.instance = ""
        self.pid = 0
        self.version = Version(0, 0)
        self.version_at = 0.0
        self.leader = ""
        self.registration = Registration()
        self.is_stale = True
        self.calls: dict[str, ShownCall] = {}
        self.states: dict[str, str] = {}  # of the calls of the newest snapshot, ended ones included
        self.windows: frozenset[str] = frozenset()
        self.sound: frozenset[str] = frozenset()  # the windows that can host a call's sound
        self.epochs: dict[int, float] = {}
        self.registered: list[float] = []

    @property
    def name(self) -> str:
        """How people call it."""
        return f"window {self.number}"

    @property
    def leads(self) -> bool:
        """Whether it shows itself as the real phone."""
        return self.leader == self.instance != ""

    def since(self, epoch: int) -> float | None:
        """Return when it first showed this epoch or a later one."""
        return min((at for shown, at in self.epochs.items() if shown >= epoch), default=None)

    def take(self, line: Mapping[str, Any]) -> None:
        """Take the next line; kinds that say nothing of the state are ignored."""
        at = float(line.get("at", 0.0))
        match line.get("event"):
            case "joined":
                self.instance, self.pid = str(line["instance"]), int(line["pid"])
            case "leader":
                self.leader = str(line["leader"])
                self.epochs.setdefault(int(line["epoch"]), at)
            case "registration":
                self._registration(at, line)
            case "stale":
                self.is_stale = True
            case "current":
                self.is_stale = False
            case "state":
                self.version, self.version_at = Version(line["epoch"], line["sequence"]), at
                self.states = dict(line["calls"])
                self.windows, self.sound = frozenset(line["windows"]), frozenset(line["sound"])
            case "inbound_call" | "outbound_call" | "call_changed" | "call_ended":
                self._call(at, msgspec.convert(line["call"], Call))
            case _:
                pass

    def _registration(self, at: float, line: Mapping[str, Any]) -> None:
        self.registration = msgspec.convert(line, Registration)
        if self.registration.state is RegistrationState.REGISTERED:
            self.registered.append(at)

    def _call(self, at: float, call: Call) -> None:
        if known := self.calls.get(call.call_id):
            known.history.append((at, call))
        else:
            self.calls[call.call_id] = ShownCall(at, call)
