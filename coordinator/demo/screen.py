"""The picture of the live demo, as lines of text. Pure: the same picture gives the same lines."""

from collections.abc import Sequence
from dataclasses import dataclass

from .chronicle import Happening
from .keys import HELP

_CODES = {
    "plain": "",
    "title": "\x1b[7m",
    "head": "\x1b[1m",
    "dim": "\x1b[2m",
    "good": "\x1b[32m",
    "warn": "\x1b[33m",
    "bad": "\x1b[31m",
    "act": "\x1b[36m",
}
_RESET = "\x1b[0m"

Span = tuple[str, str]
"""A style, one of the keys of ``_CODES``, and a text."""


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One window's process."""

    number: int
    pid: int
    status: str  # "real phone", "dummy", or how it ended
    version: str = ""
    is_alive: bool = True
    is_stale: bool = False
    leads: bool = False
    has_sound: bool = False


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call as the newest state has it."""

    call_id: str
    direction: str
    number: str
    state: str
    where: str = ""
    seconds: float = 0.0
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is on the screen. ``began`` is the CLOCK_BOOTTIME that happenings are told from."""

    elapsed: float
    began: float
    hint: str
    windows: Sequence[WindowRow] = ()
    calls: Sequence[CallRow] = ()
    registrar: str = ""
    is_registered: bool = False
    happenings: Sequence[Happening] = ()


def render(picture: Picture, width: int, height: int, *, colour: bool) -> list[str]:
    """Return exactly ``height`` lines, none wider than ``width``. Events get the room that is left."""
    top = [_title(picture, width), [("plain", f" {picture.hint}")], [], *_windows(picture), *_calls(picture)]
    style = "good" if picture.is_registered else "warn"
    top += [[("head", " REGISTRAR  "), (style, picture.registrar)], [("head", " EVENTS")]]
    room = max(height - 1 - len(top), 0)
    events = [_event(picture, happening) for happening in picture.happenings[-room:]] if room else []
    body = (top + events)[: max(height - 1, 0)]
    body += [[] for _ in range(height - 1 - len(body))]
    lines = [*body, [("title", f" {HELP}".ljust(width))]] if height else []
    return [_paint(line, width, colour=colour) for line in lines]


def _title(picture: Picture, width: int) -> list[Span]:
    count = sum(1 for window in picture.windows if window.is_alive)
    left = f" sharedline: one registration, {count} window{'' if count == 1 else 's'}"
    right = f"{picture.elapsed:.0f} s "
    return [("title", left + right.rjust(max(width - len(left), 0)))]


def _windows(picture: Picture) -> list[list[Span]]:
    rows: list[list[Span]] = [[("head", " WINDOWS    process      role          version  state")]]
    rows += [_window(row) for row in picture.windows]
    return rows or [[("dim", "  none")]]


def _window(row: WindowRow) -> list[Span]:
    line: list[Span] = [("plain" if row.is_alive else "dim", f"  window {row.number}  pid {row.pid:<8} ")]
    if not row.is_alive:
        return [*line, ("bad", row.status)]
    line += [("good" if row.leads else "plain", f"{row.status:<13} "), ("plain", f"{row.version:<8} ")]
    line.append(("warn", "STALE") if row.is_stale else ("plain", "current"))
    return line if row.has_sound else [*line, ("dim", "  no sound yet")]


def _calls(picture: Picture) -> list[list[Span]]:
    rows: list[list[Span]] = [[("head", " CALLS")]]
    for call in picture.calls:
        style = {"ringing": "warn", "answered": "good", "init": "warn"}.get(call.state, "dim")
        length = f"{call.seconds:4.0f} s" if call.seconds else " " * 6
        rows.append(
            [
                ("plain", f"  {call.call_id[:4]} {call.direction:<8} {call.number:<14} "),
                (style, f"{call.state:<9}"),
                ("plain", f"{length}  {call.where} {call.flags}"),
            ]
        )
    return rows if picture.calls else [[("head", " CALLS"), ("dim", "      none")]]


def _event(picture: Picture, happening: Happening) -> list[Span]:
    time = ("dim", f"{happening.at - picture.began:9.3f}  ")
    return [time, ("act" if happening.is_act else "plain", str(happening))]


def _paint(line: Sequence[Span], width: int, *, colour: bool) -> str:
    """Join spans, cut at ``width`` columns; without colours the title stays readable as it is."""
    parts, left = [], width
    for style, text in line:
        piece = text[:left]
        left -= len(piece)
        parts.append(f"{_CODES[style]}{piece}{_RESET}" if colour and _CODES[style] and piece else piece)
    return "".join(parts).rstrip() if not colour else "".join(parts)
