"""Who may enter a conference, and which ones end by themselves."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from agents.pbx.conferences import Conferences
from shared.errors import ActionRefused


class FakeService:
    """What conferences need of the service."""

    def __init__(self, size: int) -> None:
        self.settings = SimpleNamespace(conference_size=size)
        self.events: list[str] = []
        self._ids = itertools.count(1)

    def new_id(self) -> str:
        return f"{next(self._ids):032x}"

    def record(self, event: str, **_facts: object) -> None:
        self.events.append(event)


class FakeCall:
    """A call whose caller dials a conference."""

    def __init__(self) -> None:
        self.caller = SimpleNamespace(name="leg", number="16505550101")
        self.call, self.is_over = "c1", False
        self.refusals: list[tuple[int, str]] = []
        self.legs: list[Any] = []

    def refuse(self, status: int, reason: str) -> None:
        self.refusals.append((status, reason))

    def ring(self, leg: Any) -> None:
        self.legs.append(leg)

    def enter(self, _room: object) -> None:
        pass


def make(size: int = 64) -> tuple[Conferences, FakeService]:
    service = FakeService(size)
    return Conferences(service), service  # type: ignore[arg-type]  # a fake


def dial(conferences: Conferences, number: str) -> tuple[FakeCall, Any]:
    call = FakeCall()
    return call, conferences.begin(call, number)  # type: ignore[arg-type]  # a fake


def test_who_was_on_the_way_into_a_conference_that_has_ended_is_refused() -> None:
    conferences, service = make()
    conference = conferences.create()
    call, let_in = dial(conferences, conference.number)
    conferences.end(conference.session_id)
    let_in()
    assert call.refusals == [(404, "the conference has ended")]
    assert (call.legs, conference.calls) == ([], {})
    assert "CONFERENCE_JOINED" not in service.events


def test_a_conference_takes_as_many_as_it_may_and_one_more_when_one_has_left() -> None:
    conferences, _service = make(size=2)
    conference = conferences.create()
    calls = [dial(conferences, conference.number) for _ in range(3)]  # all before the first is let in
    for _call, let_in in calls:
        let_in()
    assert [call.refusals for call, _ in calls] == [[], [], [(486, "the conference is full")]]
    calls[0][0].legs[0].end("hung up")
    late, let_in = dial(conferences, conference.number)
    let_in()
    assert (late.refusals, len(conference.calls)) == ([], 2)


def test_a_conference_that_nobody_joins_makes_room_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.pbx.conferences._MOST_CONFERENCES", 2)
    conferences, service = make()
    busy, idle = conferences.create(), conferences.create()
    dial(conferences, busy.number)[1]()
    made = conferences.create()
    assert conferences.all() == [busy, made]
    assert (idle.is_over, service.events.count("CONFERENCE_ENDED")) == (True, 1)
    dial(conferences, made.number)[1]()
    with pytest.raises(ActionRefused, match="there are 2 conferences"):
        conferences.create()
