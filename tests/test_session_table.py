"""How many sessions there may be."""

from types import SimpleNamespace
from typing import Any

from agents.sip.events import SessionState
from agents.sip.session_table import SessionTable


def make_session(number: int) -> Any:
    return SimpleNamespace(session_id=f"s{number}", call_id=f"c{number}", state=SessionState.CONFIRMED)


def test_a_table_is_full_as_long_as_so_many_live_and_room_is_made_by_each_that_ends() -> None:
    table = SessionTable(most=3)
    sessions = [make_session(number) for number in range(4)]
    for session in sessions[:3]:
        assert not table.is_full
        table.add(session)
    seen = [table.is_full]
    sessions[1].state = SessionState.ENDED
    seen.append(table.is_full)
    table.add(sessions[3])
    seen.append(table.is_full)
    table.forget("s1")
    seen.append(table.is_full)
    assert seen == [True, False, True, True]


def test_those_that_are_over_count_when_they_are_very_many_until_they_are_forgotten() -> None:
    table = SessionTable(most=3)
    for number in range(3 * 16):
        assert not table.is_full
        session = make_session(number)
        table.add(session)
        session.state = SessionState.ENDED
    assert table.is_full
    table.forget("s0")
    assert not table.is_full
