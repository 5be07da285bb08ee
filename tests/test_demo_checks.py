"""What counts as observed in the demo, with data in which it is not so."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from agents.pbx.ledger import Entry
from coordinator.demo import checks
from coordinator.demo.checks import NotObserved
from coordinator.demo.view import View
from shared.messages import Call, CallState, Cause, Direction

RINGING = Call(
    call_id="c1", direction=Direction.INBOUND, state=CallState.RINGING, remote_number="+16505550123"
)
ANSWERED = msgspec.structs.replace(RINGING, state=CallState.ANSWERED)
LOST = msgspec.structs.replace(RINGING, state=CallState.DISPOSED, cause=Cause.LOST)


def view(number: int, *lines: dict[str, Any]) -> View:
    window = View(number)
    window.take({"at": 1.0, "event": "joined", "instance": f"i{number}", "pid": number})
    for line in lines:
        window.take(line)
    return window


def shows(call: Call, at: float, event: str = "call_changed") -> dict[str, Any]:
    return {"at": at, "event": event, "call": msgspec.to_builtins(call)}


def state(at: float, epoch: int, sequence: int, windows: Sequence[str], **calls: str) -> dict[str, Any]:
    return {
        "at": at,
        "event": "state",
        "epoch": epoch,
        "sequence": sequence,
        "calls": calls,
        "windows": list(windows),
        "sound": [],
    }


def led_by(instance: str, at: float = 1.0, epoch: int = 1) -> dict[str, Any]:
    return {"at": at, "event": "leader", "leader": instance, "role": "dummy", "epoch": epoch, "sequence": 0}


REGISTERED = {"at": 1.5, "event": "registration", "state": "registered", "status": 200}
CURRENT = {"at": 1.0, "event": "current"}


def entry(event: str, at: float = 0.0, **facts: Any) -> Entry:
    return Entry(at=at, boottime=at, event=event, **facts)


def test_a_call_is_shown_everywhere_only_when_the_last_window_shows_it() -> None:
    first = view(1, shows(RINGING, 2.0, "inbound_call"))
    second = view(2)
    assert checks.shown([first, second], "c1", checks.is_ringing) is None

    second.take(shows(RINGING, 2.3, "inbound_call"))
    assert checks.shown([first, second], "c1", checks.is_ringing) == {1: 2.0, 2: 2.3}
    assert checks.shown([first, second], "c1", checks.is_answered) is None


def test_no_window_at_all_has_shown_nothing() -> None:
    assert checks.shown([], "c1", checks.is_ringing) is None
    assert checks.new_call([], Direction.INBOUND, since=0.0) is None
    assert checks.converged([], epoch=1) is None


def test_a_new_call_is_the_one_that_all_windows_show_since_then() -> None:
    windows = [view(number, shows(RINGING, 2.0, "inbound_call")) for number in (1, 2)]
    assert checks.new_call(windows, Direction.INBOUND, since=1.5) == "c1"
    assert checks.new_call(windows, Direction.INBOUND, since=2.5) is None
    assert checks.new_call(windows, Direction.OUTBOUND, since=1.5) is None


def test_windows_that_show_different_calls_are_an_error() -> None:
    other = msgspec.structs.replace(RINGING, call_id="c2")
    windows = [view(1, shows(RINGING, 2.0, "inbound_call")), view(2, shows(other, 2.0, "inbound_call"))]
    with pytest.raises(NotObserved, match="different calls"):
        checks.new_call(windows, Direction.INBOUND, since=0.0)


def test_one_leads_when_all_agree_and_show_a_registered_phone() -> None:
    lines = (led_by("i1"), REGISTERED, state(2.0, 1, 3, ["i1", "i2"]))
    windows = [view(1, *lines), view(2, *lines)]
    assert checks.leader(windows, epoch=1) is windows[0]
    assert checks.leader(windows, epoch=2) is None
    assert checks.leader([windows[1]], epoch=1) is None, "the leader is not among those that are left"


def test_nobody_leads_while_windows_disagree_or_the_phone_is_not_registered() -> None:
    lines = (REGISTERED, state(2.0, 1, 3, ["i1", "i2"]))
    split = [view(1, led_by("i1"), *lines), view(2, led_by("i2"), *lines)]
    assert checks.leader(split, epoch=1) is None
    unregistered = [view(1, led_by("i1"), state(2.0, 1, 3, ["i1"]))]
    assert checks.leader(unregistered, epoch=1) is None


def test_windows_have_converged_when_all_show_the_same_version_calls_and_members() -> None:
    lines = (led_by("i1"), CURRENT)
    one = view(1, *lines, state(2.0, 2, 3, ["i1", "i2"], c1="answered"))
    two = view(2, *lines, state(2.1, 2, 3, ["i1", "i2"], c1="answered"))
    assert checks.converged([one, two], epoch=2) == 2.1
    assert checks.converged([one, two], epoch=3) is None


@pytest.mark.parametrize(
    "other",
    [
        state(2.1, 2, 4, ["i1", "i2"], c1="answered"),
        state(2.1, 2, 3, ["i1", "i2"], c1="disposed"),
        state(2.1, 2, 3, ["i1"], c1="answered"),
        {"at": 3.0, "event": "stale"},
    ],
    ids=["sequence", "calls", "members", "stale"],
)
def test_windows_have_not_converged_while_one_differs(other: dict[str, Any]) -> None:
    same = state(2.0, 2, 3, ["i1", "i2"], c1="answered")
    one = view(1, led_by("i1"), CURRENT, same)
    two = view(2, led_by("i1"), CURRENT, same, other)
    assert checks.converged([one, two], epoch=2) is None


def test_members_that_are_not_there_any_more_are_no_convergence() -> None:
    line = state(2.0, 2, 3, ["i1", "i9"])
    assert checks.converged([view(1, led_by("i1"), CURRENT, line)], epoch=2) is None


def test_an_entry_is_found_by_its_facts_and_not_before_the_time_asked_for() -> None:
    entries = [
        entry("REGISTER", 1.0, status=200),
        entry("REGISTER", 2.0, status=401),
        entry("REGISTER", 3.0, status=200),
    ]
    assert checks.entry(entries, "REGISTER", after=1.5, status=200) is entries[2]
    assert checks.entry(entries, "REGISTER", status=603) is None
    assert checks.entry(entries, "BYE") is None


def killed(*calls: tuple[Call, float]) -> list[View]:
    return [
        view(number, shows(ANSWERED, 1.0, "inbound_call"), shows(call, at))
        for number, (call, at) in enumerate(calls, 1)
    ]


def test_a_call_is_lost_when_every_window_says_so_in_time() -> None:
    outcome = checks.fate(killed((LOST, 10.02), (LOST, 10.03)), "c1", killed_at=10.0, now=10.1)
    assert outcome == checks.Fate("lost", {1: 10.02, 2: 10.03})


def test_a_call_is_kept_when_no_window_lost_it_by_then() -> None:
    windows = killed((ANSWERED, 10.02), (ANSWERED, 10.03))
    assert checks.fate(windows, "c1", killed_at=10.0, now=11.9) is None
    assert checks.fate(windows, "c1", killed_at=10.0, now=12.1) == checks.Fate("kept", {})


def test_a_call_that_some_windows_lost_and_others_kept_is_an_error() -> None:
    windows = killed((LOST, 10.02), (ANSWERED, 10.03))
    assert checks.fate(windows, "c1", killed_at=10.0, now=10.5) is None
    with pytest.raises(NotObserved, match="1 of 2 windows"):
        checks.fate(windows, "c1", killed_at=10.0, now=12.1)


def test_a_call_that_is_reported_lost_too_late_is_an_error() -> None:
    with pytest.raises(NotObserved, match=r"after 2\.50 s"):
        checks.fate(killed((LOST, 10.1), (LOST, 12.5)), "c1", killed_at=10.0, now=12.5)


def test_a_call_that_ended_by_another_cause_than_the_kill_is_an_error() -> None:
    hung_up = msgspec.structs.replace(LOST, cause=Cause.HUNG_UP_THERE)
    with pytest.raises(NotObserved, match="hung_up_there"):
        checks.fate(killed((hung_up, 10.1)), "c1", killed_at=10.0, now=10.2)


STORY = [
    entry("REGISTER", extension="101", status=401, instance_id="a", bindings=0),
    entry("REGISTER", extension="101", status=200, instance_id="a", bindings=1),
    entry("CALL_STARTED", call="k1", number="101"),
    entry("INVITE", direction="out", kind="initial", extension="101", call="k1"),
    entry("CALL_ANSWERED", call="k1"),
    entry("INVITE", direction="in", kind="initial", extension="101"),
    entry("CALL_STARTED", call="k2", number="199"),
    entry("CALL_ANSWERED", call="k2"),
]


def test_effects_are_counted_from_the_ledger() -> None:
    assert checks.effects(STORY, "101") == checks.Effects(
        rung=1, dialled=1, answered=2, registrations=1, instance_ids=1, most_bindings=1
    )


@pytest.mark.parametrize(
    ("too_much", "complaint"),
    [
        (entry("CALL_ANSWERED", call="k1"), "answered more than once"),
        (entry("INVITE", direction="out", kind="initial", call="k1"), "rang more than once"),
        (entry("REGISTER", extension="101", status=200, instance_id="a", bindings=2), "2 bindings"),
        (entry("REGISTER", extension="101", status=200, instance_id="b", bindings=1), "2 instances"),
    ],
    ids=["answer", "ring", "binding", "instance"],
)
def test_an_effect_that_happened_twice_is_an_error(too_much: Entry, complaint: str) -> None:
    with pytest.raises(NotObserved, match=complaint):
        checks.effects([*STORY, too_much], "101")
