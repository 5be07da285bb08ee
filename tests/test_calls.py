"""The table of calls."""

import pytest

from agents.phone.calls import CallRecord, CallTable
from shared.errors import ActionRefused
from shared.messages import CallState, Cause

from .fakes import a_call


def table_with(*call_ids: str) -> CallTable:
    table = CallTable(keep_ended=5.0)
    for call_id in call_ids:
        table.add(CallRecord(a_call(call_id), session_id=f"s-{call_id}"))
    return table


def test_calls_are_shown_in_the_order_in_which_they_began() -> None:
    assert [call.call_id for call in table_with("b", "a", "c").views()] == ["b", "a", "c"]


def test_a_call_is_found_by_its_id_and_by_its_session() -> None:
    table = table_with("a", "b")
    assert table.of_session("s-b") is table.find("b")
    assert table.of_session("s-x") is None
    assert table.find("x") is None


def test_a_call_in_the_wrong_state_is_refused_with_both_states_named() -> None:
    with pytest.raises(ActionRefused, match="ringing, not answered") as refused:
        table_with("a").get("a", CallState.ANSWERED)
    assert refused.value.code == "wrong_state"


@pytest.mark.parametrize(
    ("cause", "was_answered", "state"),
    [
        (Cause.REJECTED, False, CallState.FAILED),
        (Cause.NO_MEDIA, False, CallState.FAILED),
        (Cause.TIMEOUT, False, CallState.FAILED),
        (Cause.NO_MEDIA, True, CallState.DISPOSED),
        (Cause.CANCELLED, False, CallState.DISPOSED),
        (Cause.LOST, True, CallState.DISPOSED),
    ],
)
def test_a_call_failed_only_if_it_never_came_about(
    cause: Cause, was_answered: bool, state: CallState
) -> None:
    table = table_with("a")
    record = table.get("a")
    if was_answered:
        record.change(answered_at=1.0)
    table.end(record, cause, now=10.0, wall=99.0, status=486, reason="why")
    assert (record.view.state, record.view.cause, record.view.ended_at) == (state, cause, 99.0)
    assert (record.view.status, record.view.reason) == (486, "why")
    assert table.live() == []


def test_an_ended_call_stays_visible_for_some_seconds() -> None:
    table = table_with("a", "b")
    table.end(table.get("a"), Cause.LOST, now=10.0, wall=0.0)
    assert table.next_deadline() == 15.0
    assert not table.expire(14.9)
    assert table.expire(15.0)
    assert [call.call_id for call in table.views()] == ["b"]
    assert table.next_deadline() is None
    with pytest.raises(ActionRefused, match="no call 'a'"):
        table.get("a")


def test_no_description_of_sound_is_in_the_repr_of_a_call() -> None:
    record = CallRecord(a_call(), local_sdp="a=ice-pwd:canary", remote_sdp="a=ice-pwd:canary")
    assert "canary" not in repr(record)
