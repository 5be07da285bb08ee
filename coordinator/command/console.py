"""A window in a terminal: state as lines, commands from standard input. The demo's windows are this, too.

With ``--json`` each line is one object with ``at`` (CLOCK_BOOTTIME seconds, equal in all processes of a host)
and ``event``; without, it is for people.
"""

import asyncio
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from coordinator.node import join
from shared.actor import ending_signals
from shared.call import Call
from shared.call_facts import ending
from shared.clock import boottime
from shared.config import Account, Settings
from shared.errors import ActionRefused, OutcomeUnknown, SharedlineError
from shared.messages import Call as CallView
from shared.messages import Problem, Quality, Registration, Snapshot
from shared.phone import Phone

from .verbs import HELP, Verbs

_FLAGS = {
    "held": "held",
    "held_by_remote": "held by the far end",
    "muted": "muted",
    "recording": "being recorded",
}


class Console:
    """Print what happens to a phone, and do what the lines of standard input say."""

    def __init__(self, phone: Phone, *, as_json: bool) -> None:
        self._phone, self._as_json = phone, as_json
        self.leaving = asyncio.Event()
        self.problem = ""  # why it leaves, if that is a failure
        self._verbs = Verbs(phone)
        self._commands: set[asyncio.Task[None]] = set()
        for event in ("inbound_call", "outbound_call", "call_changed", "call_ended"):
            phone.on(event, self._call_printer(event))
        phone.on("quality_changed", self._quality)
        phone.on("key_pressed", self._key)
        phone.on("leader_changed", self._leader)
        phone.on("registration_changed", self._registration)
        phone.on("staleness_changed", self._staleness)
        if as_json:
            phone.on("snapshot", self._state)

    def say(self, event: str, line: str, **facts: object) -> None:
        """Print one line: ``line`` for people, or the event and its facts for programs."""
        if self._as_json:
            line = json.dumps({"at": boottime(), "event": event, **facts}, default=str)
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except OSError as exc:
            if not isinstance(exc, BrokenPipeError):  # nobody reads any more: as when a terminal is closed
                self.problem = f"cannot write the output: {exc.strerror}"
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
            self.leaving.set()

    def command(self, line: str) -> None:
        """Begin what a line of standard input asks for."""
        if line.strip():
            task = asyncio.ensure_future(self._do(line.split()))
            self._commands.add(task)
            task.add_done_callback(self._commands.discard)

    # -- what happened -----------------------------------------------------------------------------------

    def _call_printer(self, event: str) -> Callable[[Call], None]:
        def show(call: Call) -> None:
            view = call.view
            about = f"{call.call_id[:4]} {call.direction} {call.remote_number} {view.remote_name}".rstrip()
            if self._as_json or event != "call_changed" or not call.state.is_final:  # its end is told once
                line = f"{about}: {in_words(view)}"
                self.say(event, line, call=msgspec.to_builtins(view), **self._version())

        return show

    def _quality(self, call: Call) -> None:
        if self._as_json and call.quality is not None:  # people ask for it with "show"
            self.say("quality", "", call_id=call.call_id, quality=msgspec.to_builtins(call.quality))

    def _key(self, call: Call, key: str) -> None:
        about = f"{call.call_id[:4]} {call.direction} {call.remote_number}"
        self.say("key", f"{about}: pressed {key}", call_id=call.call_id, key=key)

    def _leader(self, snapshot: Snapshot) -> None:
        text = f"epoch {snapshot.version.epoch}: this window is the {self._phone.role} phone"
        self.say("leader", text, leader=snapshot.leader, role=self._phone.role, **self._version())

    def _registration(self, snapshot: Snapshot) -> None:
        registration = snapshot.registration
        text = f"phone is {registration.state}" + (f": {registration.detail}" if registration.detail else "")
        facts = {name: getattr(registration, name) for name in registration.__struct_fields__}
        self.say("registration", text, **facts)

    def _staleness(self, _snapshot: Snapshot | None) -> None:
        text = "state may be old: no leader is heard" if self._phone.is_stale else "state is current"
        self.say("stale" if self._phone.is_stale else "current", text, **self._version())

    def _state(self, snapshot: Snapshot | None) -> None:
        if snapshot is not None:
            calls = {call.call_id: call.state for call in snapshot.calls}
            windows = [window.instance for window in snapshot.windows]
            sound = [window.instance for window in snapshot.windows if window.media]
            self.say("state", "", calls=calls, windows=windows, sound=sound, **self._version())

    def _version(self) -> dict[str, int]:
        return self._phone.version._asdict()

    # -- what to do --------------------------------------------------------------------------------------

    async def _do(self, words: list[str]) -> None:
        verb, *rest = words
        began = boottime()
        try:
            value = await self._run(verb, rest)
        except ActionRefused as exc:
            self.say("refused", f"{verb}: {exc}", command=verb, code=exc.code, text=str(exc))
        except OutcomeUnknown as exc:
            self.say("unknown", f"{verb}: {exc}", command=verb, text=str(exc))
        except SharedlineError as exc:
            self.say("error", f"{verb}: {exc}", command=verb, text=str(exc))
        else:
            took_ms = (boottime() - began) * 1000
            line = f"{verb}: done in {took_ms:.1f} ms" + (f": {value}" if value and verb != "call" else "")
            self.say("done", line, command=verb, took_ms=took_ms, value=value)

    async def _run(self, verb: str, rest: list[str]) -> str:
        match verb:
            case "show":
                self._show()
            case "quit":
                self.leaving.set()
            case "help":
                sys.stdout.write(HELP + "\n")
            case _:
                return await self._verbs.run(verb, rest)
        return ""

    def _show(self) -> None:
        snapshot = self._phone.snapshot
        if snapshot is None:
            self.say("show", "nothing known yet: no leader is heard")
        elif self._as_json:
            self.say("show", "", snapshot=msgspec.to_builtins(snapshot))
        else:
            sys.stdout.write("\n".join(describe(snapshot)) + "\n")


def describe(snapshot: Snapshot) -> list[str]:
    """Return the state of a group as lines for people."""
    registration = snapshot.registration
    epoch, sequence = snapshot.version
    lines = [
        f"group {snapshot.group}  number {snapshot.number}  epoch {epoch}  state {sequence}",
        f"phone is {registration.state}" + (f": {registration.detail}" if registration.detail else ""),
    ]
    for window in snapshot.windows:
        role = "real phone" if window.instance == snapshot.leader else "dummy"
        sound = "" if window.media else ", no sound"
        lines.append(f"  window {window.name} (pid {window.pid}): {role}{sound}")
    for call in snapshot.calls:
        lines.append(f"  call {call.call_id[:4]} {call.direction} {call.remote_number}: {in_words(call)}")
        if call.quality is not None:
            lines.append(f"    sound: {describe_quality(call.quality)}")
    return lines


def describe_quality(quality: Quality) -> str:
    """Return how well a call is heard, as a line for people."""
    mos = "unknown" if quality.mos is None else f"{quality.mos:.1f}"
    facts = [f"MOS {mos}", quality.codec, f"{quality.lost} of {quality.lost + quality.received} packets lost"]
    if quality.jitter_ms is not None:
        facts.append(f"jitter {quality.jitter_ms:.1f} ms")
    if quality.round_trip_ms is not None:
        facts.append(f"round trip {quality.round_trip_ms:.1f} ms")
    return ", ".join(facts)


def in_words(call: CallView) -> str:
    """Return the state of a call for people: ``answered, muted, held by the far end``."""
    if call.state.is_final:
        return ending(call)
    return ", ".join([call.state, *(words for name, words in _FLAGS.items() if getattr(call, name))])


async def run_console(
    group: str,
    account: Account,
    settings: Settings,
    *,
    as_json: bool,
    **options: Any,
) -> int:
    """Join ``group`` and be a window until ``quit`` or a signal; return the exit status.

    Args:
        group, account, settings: See :func:`coordinator.join`.
        as_json: Write one JSON object a line.
        options: More for :func:`coordinator.join`.
    """
    async with join(group, account=account, settings=settings, wait=False, **options) as phone:
        console = Console(phone, as_json=as_json)
        console.say(
            "joined",
            f"joined {group} as {phone.instance}",
            instance=phone.instance,
            pid=os.getpid(),
            group=group,
        )
        loop = asyncio.get_running_loop()
        for number in ending_signals():
            loop.add_signal_handler(number, console.leaving.set)
        _read_lines(loop, console.command)
        refused = asyncio.ensure_future(phone.until(lambda: _is_refused(phone.registration)))
        leaving = asyncio.ensure_future(console.leaving.wait())
        await asyncio.wait({refused, leaving}, return_when=asyncio.FIRST_COMPLETED)
        problem = phone.registration.detail if refused.done() else console.problem
        refused.cancel()
        leaving.cancel()
    console.say("left", f"left {group}")
    if problem:
        sys.stderr.write(f"error: {problem}\n")
    return 1 if problem else 0


def _is_refused(registration: Registration) -> bool:
    """Return whether the registrar refuses for good: no further try is planned."""
    return registration.problem is Problem.REFUSED and not registration.retry_at


def _read_lines(loop: asyncio.AbstractEventLoop, line_read: Callable[[str], None]) -> None:
    """Hand over standard input line by line. Its end means only that no more commands come."""

    # A thread, because standard input may be a file, which no event loop can wait for.
    def read() -> None:
        with contextlib.suppress(OSError, RuntimeError):  # the terminal or the loop is gone
            for line in sys.stdin or ():  # None: it was closed
                loop.call_soon_threadsafe(line_read, line)

    threading.Thread(target=read, name="stdin", daemon=True).start()
