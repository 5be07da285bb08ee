"""The picture of the live demo."""

import re

import pytest

from agents.pbx.ledger import Entry
from coordinator.demo.chronicle import Chronicle, Happening
from coordinator.demo.keys import HELP
from coordinator.demo.picture import MOST_WINDOWS, compose, hint
from coordinator.demo.screen import CallRow, Picture, WindowRow, render
from coordinator.demo.view import View

from .test_demo_checks import ANSWERED, CURRENT, LOST, RINGING, led_by, shows, state, view

PICTURE = Picture(
    elapsed=12.4,
    began=100.0,
    hint="Press c.",
    windows=[
        WindowRow(1, 4711, "real phone", version="2.14", leads=True, has_sound=True),
        WindowRow(2, 4712, "dummy phone", version="2.13", is_stale=True, has_sound=True),
        WindowRow(3, 4713, "killed by signal 9", is_alive=False),
    ],
    calls=[CallRow("6c1f99", "inbound", "+16505550123", "answered", "at window 2", 12.0, "HELD")],
    registrar="1 binding, instance 88724936, expires in 58.2 s",
    is_registered=True,
    happenings=[Happening(100.0 + number, f"event {number}") for number in range(40)],
)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10), (200, 60), (10, 3), (80, 1), (1, 1)])
@pytest.mark.parametrize("colour", [True, False])
def test_the_picture_fills_any_terminal_and_never_more(width: int, height: int, colour: bool) -> None:
    lines = render(PICTURE, width, height, colour=colour)
    assert len(lines) == height
    assert all(len(re.sub(r"\x1b\[\d*m", "", line)) <= width for line in lines)


def test_without_colour_there_is_no_escape_code() -> None:
    assert not any("\x1b" in line for line in render(PICTURE, 80, 24, colour=False))
    assert any("\x1b" in line for line in render(PICTURE, 80, 24, colour=True))


def test_80_by_24_shows_windows_calls_binding_the_newest_events_and_the_help() -> None:
    lines = render(PICTURE, 80, 24, colour=False)
    text = "\n".join(lines)
    assert "one registration, 2 windows" in lines[0]
    assert re.search(r"window 1 +pid 4711 +real phone +2\.14 +current", text)
    assert re.search(r"window 2 +pid 4712 +dummy phone +2\.13 +STALE", text)
    assert re.search(r"window 3 +pid 4713 +killed by signal 9", text)
    assert re.search(r"6c1f inbound +\+16505550123 +answered +12 s +at window 2 HELD", text)
    assert "1 binding, instance 88724936" in text
    assert "   39.000  event 39" in lines[-2]
    assert lines[-1].strip() == HELP


class Process:
    """A window of the stage that is none."""

    def __init__(self, view: View, status: int | None = None) -> None:
        self.view, self.status = view, status


def composed(*processes: Process, entries: tuple[Entry, ...] = (), is_served: bool = True) -> Picture:
    return compose(processes, entries, Chronicle(), began=0.0, now=20.0, wall=1000.0, is_served=is_served)


def test_calls_are_those_of_the_newest_state() -> None:
    old = view(
        1, led_by("i2"), CURRENT, shows(RINGING, 1.0, "inbound_call"), state(1.0, 1, 1, ["i1"], c1="ringing")
    )
    new = view(
        2,
        led_by("i2"),
        CURRENT,
        shows(ANSWERED, 1.0, "inbound_call"),
        state(1.0, 1, 2, ["i1"], c1="answered"),
    )
    picture = composed(Process(old), Process(new))
    assert [call.state for call in picture.calls] == ["answered"]
    assert [row.status for row in picture.windows] == ["dummy phone", "real phone"]


def test_a_killed_window_says_by_what_and_its_state_is_not_asked() -> None:
    dead = view(1, shows(RINGING, 1.0, "inbound_call"), state(1.0, 1, 9, ["i1"], c1="ringing"))
    picture = composed(Process(dead, status=-9), Process(view(2, CURRENT)))
    assert picture.windows[0].status == "killed by signal 9"
    assert picture.calls == []


def test_windows_that_have_gone_make_room_for_living_ones() -> None:
    gone = [Process(view(number), status=-9) for number in range(1, 4)]
    living = [Process(view(number)) for number in range(4, 4 + MOST_WINDOWS - 1)]
    rows = composed(*gone, *living).windows
    assert len(rows) == MOST_WINDOWS
    assert [row.number for row in rows if not row.is_alive] == [3]


GRANTED = Entry(
    at=0,
    boottime=10.0,
    event="REGISTER",
    status=200,
    instance_id="abcdefgh-1",
    expires=60,
    bindings=1,
    reachable=1,
)


def test_the_binding_counts_down_from_the_last_register() -> None:
    picture = composed(entries=(GRANTED,))
    assert picture.registrar == "1 binding, instance abcdefgh, expires in 50 s"
    assert picture.is_registered


def test_a_binding_whose_connection_is_gone_says_so() -> None:
    dead = Entry(at=0, boottime=11.0, event="BINDING_UNREACHABLE", bindings=1, reachable=0)
    picture = composed(entries=(GRANTED, dead))
    assert picture.registrar.endswith("its connection is gone")
    assert not picture.is_registered


def test_a_service_that_has_ended_is_told() -> None:
    picture = composed(Process(view(1)), is_served=False)
    assert picture.registrar == "the service has ended"
    assert "service has ended" in picture.hint


def test_the_hint_says_what_can_be_done_now() -> None:
    window = view(1, CURRENT)
    assert "c: a robot calls" in hint([window], [])
    assert "a: one that does not lead answers" in hint([window], [RINGING])
    assert "h: another window holds" in hint([window], [ANSWERED])
    assert "lost" in hint([window], [LOST])
    assert "Press n" in hint([], [])
    assert "Nobody leads" in hint([view(1)], [])


def test_what_several_windows_show_is_one_happening_with_the_time_since_the_key() -> None:
    chronicle = Chronicle()
    chronicle.act(10.0, "c: a robot calls in")
    for number, at in ((1, 10.008), (2, 10.009)):
        chronicle.line(number, shows(RINGING, at, "inbound_call"), {})
    assert [str(happening) for happening in chronicle.latest(9)] == [
        "c: a robot calls in",
        "+16505550123 calls: ringing  [1 2]  +8.0-9.0 ms",
    ]


def test_the_same_thing_again_is_another_happening() -> None:
    chronicle = Chronicle()
    for at in (1.0, 2.0):
        chronicle.line(1, shows(RINGING, at, "inbound_call"), {})
    assert len(chronicle.latest(9)) == 2


def test_a_leader_is_named_by_its_own_window() -> None:
    chronicle = Chronicle()
    chronicle.line(1, led_by("i2", 5.0), {})
    assert str(chronicle.latest(1)[0]) == "epoch 1: another window leads  [1]"
    chronicle.line(2, led_by("i2", 5.1) | {"role": "real"}, {})
    assert str(chronicle.latest(1)[0]) == "epoch 1: window 2 leads  [1 2]"


def test_happenings_are_told_in_order_of_time_and_only_the_latest_are_kept() -> None:
    chronicle = Chronicle()
    for at in range(1000, 0, -1):
        chronicle.note(float(at), f"event {at}")
    latest = chronicle.latest(2)
    assert latest[0].at < latest[1].at
    assert len(chronicle.latest(10_000)) <= 200


def test_what_is_refused_is_told_with_its_reason() -> None:
    chronicle = Chronicle()
    line = {"at": 1.0, "event": "refused", "command": "answer", "text": "window 2 has answered it"}
    chronicle.line(1, line, {})
    assert str(chronicle.latest(1)[0]) == "window 1: answer: window 2 has answered it"
