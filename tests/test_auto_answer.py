"""Calls that answer themselves: where, when, and where that was switched off."""

import pytest

from agents.phone.auto_answer import delay_of
from agents.sip.events import SessionAnswered
from agents.sip.message import Headers
from shared.messages import (
    Answer,
    Call,
    CallState,
    Done,
    Hangup,
    MediaState,
    Parked,
    Refused,
    Replied,
    SendReply,
)

from .fakes import DESK, KIOSK, Rig, settings
from .service_talk import ATTRIBUTES, closed, ringing

AUTO = ("Alert-Info", "Auto Answer")


def test_a_call_answers_itself_at_the_leaders_window_if_the_service_asks_for_it() -> None:
    rig = Rig()
    ringing(rig, ATTRIBUTES, AUTO)
    assert rig.call().state is CallState.RINGING
    rig.wait(0.0)
    assert (rig.call().state, rig.call().media_host) == (CallState.ANSWERED, "desk")
    assert [event for event in rig.far_events if isinstance(event, SessionAnswered)]


def test_a_call_answers_itself_where_a_call_is_already() -> None:
    rig = Rig()
    rig.ring()
    rig.do(Answer(call_id=rig.call().call_id), KIOSK)
    rig.ring(headers=[AUTO])
    rig.wait(0.0)
    assert [call.media_host for call in rig.snapshot.calls] == ["kiosk", "kiosk"]


def test_a_call_answers_itself_after_the_delay_and_not_if_it_has_ended() -> None:
    rig = Rig()
    delayed = ("Call-Info", "<1@10.0.0.1>;purpose=info;Answer-After=1500")
    _, session = ringing(rig, ATTRIBUTES, AUTO, delayed)
    rig.wait(1.4)
    assert rig.call().state is CallState.RINGING
    rig.wait(0.1)
    assert rig.call().state is CallState.ANSWERED
    rig.hang_up_far(session)
    _, session = ringing_again(rig, AUTO, delayed)
    rig.hang_up_far(session)
    rig.wait(1.5)
    assert [call.state for call in rig.snapshot.calls] == [CallState.DISPOSED] * 2


def ringing_again(rig: Rig, *headers: tuple[str, str]) -> tuple[Call, str]:
    session = rig.ring(headers=headers)
    return rig.snapshot.calls[-1], session


def test_a_call_that_a_person_answers_first_is_theirs() -> None:
    rig = Rig()
    call_id, _ = ringing(rig, AUTO, ("Call-Info", "<1@x>;Answer-After=500"))
    rig.do(Answer(call_id=call_id), KIOSK)
    rig.wait(0.6)
    assert rig.call().media_host == "kiosk"
    assert rig.call().media is MediaState.CONNECTING


def test_a_call_does_not_answer_itself_where_that_was_switched_off() -> None:
    rig = Rig(settings=settings(auto_answer=False))
    ringing(rig, ATTRIBUTES, AUTO)
    rig.wait(1.0)
    assert rig.call().state is CallState.RINGING


def test_a_call_that_nobody_has_sound_for_rings_on() -> None:
    rig = Rig()
    for window in (DESK, KIOSK):
        rig.core.window_gone(window.instance, rig.now)
    ringing(rig, AUTO)
    rig.wait(0.5)
    assert rig.call().state is CallState.RINGING
    assert isinstance(rig.do(Hangup(call_id=rig.call().call_id)), Done)


@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ([], None),
        ([("Alert-Info", "Ring Answer")], None),
        ([("Call-Info", "<1>;Answer-After=5")], None),
        ([AUTO], 0.0),
        ([AUTO, ("Call-Info", "<1>;purpose=info")], 0.0),
        ([AUTO, ("Call-Info", "<1>;Answer-After=250")], 0.25),
        ([AUTO, ("Call-Info", "<1>;answer-after = 250;x=1")], 0.25),
        ([AUTO, ("Call-Info", "<1>;Answer-After=999999999")], 60.0),
        ([AUTO, ("Call-Info", "<1>;Answer-After=-1")], 0.0),
    ],
)
def test_the_delay_is_in_milliseconds_and_at_most_a_minute(
    headers: list[tuple[str, str]], delay: float | None
) -> None:
    assert delay_of(Headers(headers)) == delay


def test_what_an_action_returned_is_told_again_to_whoever_asks_again() -> None:
    rig = Rig()
    call_id, session = ringing(rig)
    request = rig.ask(SendReply(call_id=call_id, text="later"))
    rig.run()
    rig.hang_up_far(session)
    rig.tell(closed(Sts="0", Resp="1"))
    rig.replies.clear()
    rig.core.request(request, rig.now)
    rig.run()
    reply = rig.answer_to(request)
    assert isinstance(reply, Done)
    assert reply.value == Replied(answer="yes")
    assert rig.snapshot.outcomes[-1].value == Replied(answer="yes")
    assert not isinstance(reply, Refused)
    assert not isinstance(reply.value, Parked)
