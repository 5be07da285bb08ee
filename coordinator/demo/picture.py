"""From windows and ledger to the picture of the live demo, and what to try next. Nothing here waits."""

from collections.abc import Sequence
from typing import Protocol

from agents.pbx.ledger import Entry
from shared.messages import Call

from .chronicle import Chronicle
from .report import version
from .screen import CallRow, Picture, WindowRow
from .view import View

MOST_WINDOWS = 9
_MOST_CALLS = 4


class Shown(Protocol):
    """One window of the stage."""

    @property
    def view(self) -> View:
        """What it shows."""

    @property
    def status(self) -> int | None:
        """How its process ended: None while it runs, negative for the signal that killed it."""


def compose(
    windows: Sequence[Shown],
    entries: Sequence[Entry],
    chronicle: Chronicle,
    *,
    began: float,
    now: float,
    wall: float,
    is_served: bool = True,
) -> Picture:
    """Return the picture of the moment.

    Args:
        windows: All that were started, in the order of their numbers.
        entries: The service's ledger.
        chronicle: What happened.
        began: When the demo began, CLOCK_BOOTTIME.
        now: The present time, CLOCK_BOOTTIME.
        wall: The present time, Unix seconds, as calls have them.
        is_served: Whether the phone service runs.
    """
    living = [window.view for window in windows if window.status is None]
    newest = max(living, key=lambda view: view.version, default=None)
    calls = current_calls(newest) if newest else []
    registrar, is_registered = _registrar(entries, now) if is_served else ("the service has ended", False)
    return Picture(
        elapsed=now - began,
        began=began,
        hint=hint(living, calls) if is_served else "The phone service has ended. q: quit.",
        windows=_windows(windows, newest),
        calls=[_call(call, windows, wall) for call in calls[-_MOST_CALLS:]],
        registrar=registrar,
        is_registered=is_registered,
        happenings=chronicle.latest(100),
    )


def current_calls(view: View) -> list[Call]:
    """Return the calls of a window's newest state, those that ended a moment ago included."""
    return [call.now for call_id, call in view.calls.items() if call_id in view.states]


def hint(living: Sequence[View], calls: Sequence[Call]) -> str:
    """Return what to try next."""
    live = [call for call in calls if not call.state.is_final]
    if not living:
        return "No process of the group is left. Press n: a new one starts, leads and registers."
    if all(view.is_stale for view in living):
        return "Nobody leads at this moment; every window knows that what it shows may be old."
    if not live and calls and calls[-1].cause == "lost":
        return "The call was lost with its leader; the new one is registered. c: the next call."
    if not live:
        return "One registration, and every window is a phone. c: a robot calls. d: dial out."
    call = live[-1]
    if call.state == "ringing" and call.direction == "inbound":
        return "It rings in every window. a: one that does not lead answers; 1-9: that one."
    if call.state != "answered":
        return "A window that does not lead dials; the leader's connection carries the call."
    if call.held:
        return "The far end hears music now. h: take it off hold. k: kill -9 the leader."
    return "They talk. h: another window holds the call. x: hang up. k: kill -9 the leader."


def _windows(windows: Sequence[Shown], newest: View | None) -> list[WindowRow]:
    gone = [window for window in windows if window.status is not None]
    surplus = max(len(windows) - MOST_WINDOWS, 0)
    hidden = {id(window) for window in gone[:surplus]}
    return [_window(window, newest) for window in windows if id(window) not in hidden]


def _window(window: Shown, newest: View | None) -> WindowRow:
    view, status = window.view, window.status
    if status is not None:
        how = f"killed by signal {-status}" if status < 0 else f"left, status {status}"
        return WindowRow(view.number, view.pid, how, is_alive=False)
    return WindowRow(
        view.number,
        view.pid,
        "real phone" if view.leads else "dummy phone",
        version=version(view),
        is_stale=view.is_stale,
        leads=view.leads,
        has_sound=newest is not None and view.instance in newest.sound,
    )


def _call(call: Call, windows: Sequence[Shown], wall: float) -> CallRow:
    host = next((window.view.name for window in windows if window.view.instance == call.media_host), "")
    flags = ["HELD"] * call.held + ["held by far end"] * call.held_by_remote + ["muted"] * call.muted
    if call.cause is not None:
        flags = [str(call.cause).replace("_", " ")]
    until = call.ended_at if call.ended_at is not None else wall
    return CallRow(
        call_id=call.call_id,
        direction=str(call.direction),
        number=call.remote_number,
        state="over" if call.state.is_final else str(call.state),
        where=f"at {host}" if host and not call.state.is_final else "",
        seconds=max(until - call.answered_at, 0.0) if call.answered_at else 0.0,
        flags=", ".join(flags),
    )


def _registrar(entries: Sequence[Entry], now: float) -> tuple[str, bool]:
    """Return the line of the binding, and whether there is one that works."""
    known = next((entry for entry in reversed(entries) if entry.bindings is not None), None)
    if known is None or not known.bindings:
        return "no binding", False
    granted = next((e for e in reversed(entries) if e.event == "REGISTER" and e.status == 200), known)
    left = (granted.expires or 0.0) - (now - granted.boottime)
    count = f"{known.bindings} binding{'' if known.bindings == 1 else 's'}"
    state = "" if known.reachable else ", its connection is gone"
    return (
        f"{count}, instance {(granted.instance_id or '')[:8]}, expires in {max(left, 0.0):.0f} s{state}",
        bool(known.reachable),
    )
