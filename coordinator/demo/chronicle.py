"""What happened, a line for each thing and not for each window that showed it. Pure: lines and entries go in.

Times are CLOCK_BOOTTIME seconds.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agents.pbx.ledger import Entry
from shared.messages import Call

from .report import spread

#: What windows show later than this after the first one is told apart.
_SAME_WITHIN = 3.0
#: What happens later than this after a key was pressed is told without the time since.
_CONSEQUENCE_WITHIN = 10.0
_KEPT = 200


@dataclass(slots=True)
class Happening:
    """One thing. ``seen``: when each window showed it; ``since``: the time of the key pressed before."""

    at: float
    text: str
    since: float | None = None
    seen: dict[int, float] = field(default_factory=dict)
    is_act: bool = False

    def __str__(self) -> str:
        text = self.text
        if self.seen:
            text += f"  [{' '.join(map(str, sorted(self.seen)))}]"
        if self.since is not None:
            times = list(self.seen.values()) or [self.at]
            text += f"  +{spread([at - self.since for at in times])}"
        return text


class Chronicle:
    """Collects happenings; :meth:`latest` returns them in order of time."""

    def __init__(self) -> None:
        self._all: list[Happening] = []
        self._known: dict[Hashable, Happening] = {}
        self._acted_at: float | None = None

    def act(self, at: float, text: str) -> None:
        """Note what the user does: what follows is told with the time since."""
        self._acted_at = at
        self._all.append(Happening(at, text, is_act=True))

    def note(self, at: float, text: str) -> None:
        """Note something that no window says."""
        self._append(Happening(at, text))

    def line(self, window: int, line: Mapping[str, Any], names: Mapping[str, int]) -> None:
        """Take a line that a window printed. ``names``: the numbers of windows by instance id."""
        at, event = float(line.get("at", 0.0)), line.get("event")
        match event:
            case "leader":
                epoch = line["epoch"]
                happening = self._shown(window, at, ("leader", epoch), f"epoch {epoch}: another window leads")
                if line["role"] == "real":
                    happening.text = f"epoch {epoch}: window {window} leads"
            case "inbound_call" | "outbound_call" | "call_changed" | "call_ended":
                call = msgspec.convert(line["call"], Call)
                if not (event == "call_changed" and call.state.is_final):  # call_ended says it
                    text = _call_text(str(event), call, names)
                    self._shown(window, at, (call.call_id, text), text)
            case "stale":
                self._shown(window, at, "stale", "state may be old: no leader is heard")
            case "joined" | "left":
                self.note(at, f"window {window} {event}")
            case "done":
                text = f"window {window}: {line['command']} done in {line['took_ms']:.1f} ms"
                self._all.append(Happening(at, text))
            case "refused" | "unknown" | "error":
                self.note(at, f"window {window}: {line['command']}: {line['text']}")
            case _:
                pass

    def entry(self, entry: Entry) -> None:
        """Take an entry of the service's ledger."""
        if text := _entry_text(entry):
            self._append(Happening(entry.boottime, f"service: {text}"))

    def latest(self, count: int) -> list[Happening]:
        """Return the last ``count``, the oldest first."""
        return sorted(self._all, key=lambda happening: happening.at)[-count:] if count > 0 else []

    def _shown(self, window: int, at: float, key: Hashable, text: str) -> Happening:
        known = self._known.get(key)
        if known is None or window in known.seen or abs(at - known.at) > _SAME_WITHIN:
            known = self._known[key] = Happening(at, text)
            self._append(known)
        known.seen[window] = at
        known.at = min(known.at, at)
        return known

    def _append(self, happening: Happening) -> None:
        if self._acted_at is not None and 0 <= happening.at - self._acted_at < _CONSEQUENCE_WITHIN:
            happening.since = self._acted_at
        self._all.append(happening)
        if len(self._all) > _KEPT:
            self._forget()

    def _forget(self) -> None:
        self._all = self.latest(_KEPT // 2)
        kept = {id(happening) for happening in self._all}
        self._known = {key: value for key, value in self._known.items() if id(value) in kept}


def _call_text(event: str, call: Call, names: Mapping[str, int]) -> str:
    number = f"call {call.call_id[:4]}"
    match event:
        case "inbound_call":
            return f"{call.remote_number} calls: {call.state}"
        case "outbound_call":
            return f"{number} to {call.remote_number} begins"
        case "call_ended":
            return f"{number} is over: {str(call.cause or 'ended').replace('_', ' ')}"
    where = f" at window {names[call.media_host]}" if call.media_host in names else ""
    flags = ["held"] * call.held + ["muted"] * call.muted
    return " ".join([f"{number} {call.state}{where}, sound {call.media}", *flags])


def _entry_text(entry: Entry) -> str:
    match entry.event, entry.status:
        case ("REGISTER", 200):
            return f"REGISTER 200, {entry.bindings} binding(s)"
        case ("UNREGISTER", 200):
            return f"unregistered, {entry.bindings} binding(s)"
        case ("RESPONSE", 200) if entry.method == "INVITE" and entry.direction == "in":
            return "200 OK to INVITE"
        case ("RESPONSE", 200) if entry.method == "INVITE":
            return "answered an INVITE with 200 OK"
        case ("BINDING_UNREACHABLE", _):
            return "the binding's connection has gone"
        case ("CALL_ENDED", _):
            return f"call ended: {(entry.reason or '').replace('_', ' ')}"
    return ""
