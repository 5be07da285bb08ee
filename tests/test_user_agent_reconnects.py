"""What becomes of calls when the phone's connection is lost, comes back, or is another process's."""

import pytest

from agents.sip.events import ReinviteDone, SessionAnswered, SessionConfirmed, SessionEnded
from shared.errors import ActionRefused

from .sip_calls import answered_without_ack, ends_of, incoming_call, outgoing_call, successor_of
from .sip_pair import ANSWER, HELD
from .sip_service import ACCOUNT, registered_phone


def test_a_lost_connection_keeps_answered_calls_for_32_seconds() -> None:
    pair, phone, service = registered_phone()
    call, _other = outgoing_call(pair, phone, service)
    ringing, _ = outgoing_call(pair, phone, service, answer=False)

    phone.core.disconnected(pair.now)
    phone.core.disconnected(pair.now)
    pair.run()
    assert [event for event in phone.events if isinstance(event, SessionEnded)] == [
        SessionEnded(ringing, "transport", 503, "Connection Lost")
    ]
    with pytest.raises(ActionRefused):
        phone.core.reinvite(call, HELD, pair.now)
    pair.wait(31)
    assert len([event for event in phone.events if isinstance(event, SessionEnded)]) == 1
    pair.wait(2)
    assert phone.events[-1] == SessionEnded(call, "transport", None, "no connection again in time")


def test_a_new_connection_lets_answered_calls_go_on() -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service)
    phone.core.disconnected(pair.now)
    pair.wait(10)

    phone.core.connected(pair.now)
    pair.run()
    phone.core.reinvite(call, HELD, pair.now)
    pair.run()
    service.core.sessions.accept_reinvite(other, ANSWER, pair.now)
    pair.wait(50)

    assert ReinviteDone(call, 200, "OK", ANSWER) in phone.events
    assert not [event for event in phone.events if isinstance(event, SessionEnded)]


def test_a_call_that_is_hung_up_without_a_connection_ends_when_the_far_end_was_told() -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service)
    phone.core.disconnected(pair.now)
    phone.core.hangup(call, pair.now)
    pair.run()
    assert ends_of(phone) == []

    phone.core.connected(pair.now)
    pair.run()

    assert ends_of(phone) == [SessionEnded(call, "local_bye", 200, "OK")]
    assert service.events[-1] == SessionEnded(other, "remote_bye", None, "")


def test_a_bye_that_the_connection_may_have_lost_is_sent_once_more_over_the_next_one() -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service)
    phone.core.hangup(call, pair.now)
    phone.core.effects()  # which are lost
    phone.core.disconnected(pair.now)
    pair.run()
    assert ends_of(phone) == []

    phone.core.connected(pair.now)
    pair.run()

    assert ends_of(phone) == [SessionEnded(call, "local_bye", 200, "OK")]
    assert service.events[-1] == SessionEnded(other, "remote_bye", None, "")


def test_a_far_end_that_cannot_be_told_for_32_seconds_is_given_up() -> None:
    pair, phone, service = registered_phone()
    call, _ = outgoing_call(pair, phone, service)
    service.core.register_status = (503, "Service Unavailable")
    service.core.is_known = False
    phone.core.disconnected(pair.now)
    phone.core.connected(pair.now)
    phone.core.hangup(call, pair.now)
    pair.wait(31.9)
    assert ends_of(phone) == []
    pair.wait(0.2)
    assert [(event.cause, event.status) for event in ends_of(phone)] == [("local_bye", 408)]
    assert "BYE" not in phone.sent


def test_a_call_that_was_left_to_us_ends_if_there_is_no_connection_for_32_seconds() -> None:
    pair, phone, service = registered_phone()
    call, _ = outgoing_call(pair, phone, service)
    _, successor = successor_of(phone, service, call)
    successor.core.disconnected(pair.now)
    assert successor.core.next_deadline() == pair.now + 32
    successor.core.tick(pair.now + 32)
    ends = [event for event in successor.core.effects() if isinstance(event, SessionEnded)]
    assert [end.cause for end in ends] == ["transport"]


def test_an_answer_whose_ack_was_lost_with_the_connection_is_a_call_all_the_same() -> None:
    pair, phone, service = registered_phone()
    call, other = answered_without_ack(pair, phone, service)
    phone.core.disconnected(pair.now)
    phone.core.connected(pair.now)
    pair.run()
    phone.core.reinvite(call, HELD, pair.now)
    pair.run()
    service.core.sessions.accept_reinvite(other, ANSWER, pair.now)
    pair.wait(60)

    assert ReinviteDone(call, 200, "OK", ANSWER) in phone.events
    assert ends_of(phone) == []
    assert phone.sent.count("200 INVITE") == 2
    assert phone.sent.index("INVITE") > phone.sent.index("200 INVITE", phone.sent.index("200 INVITE") + 1)


def test_an_answer_that_was_lost_with_the_connection_is_given_again_over_the_next_one() -> None:
    pair, phone, service = registered_phone()
    call, _ = incoming_call(pair, phone, service)
    phone.core.answer(call, ANSWER, pair.now)
    phone.core.effects()  # the 200 is lost, and the far end still rings
    phone.core.disconnected(pair.now)
    phone.core.connected(pair.now)
    pair.run()

    assert [event.sdp for event in service.events if isinstance(event, SessionAnswered)] == [ANSWER]
    assert SessionConfirmed(call, "") in phone.events
    phone.core.disconnected(pair.now)
    phone.core.connected(pair.now)
    pair.run()
    assert phone.sent.count("200 INVITE") == 1  # the ACK has come: once was enough


def test_a_successor_gives_an_answer_again_whose_ack_nobody_saw() -> None:
    pair, phone, service = registered_phone()
    call, _ = incoming_call(pair, phone, service)
    phone.core.answer(call, ANSWER, pair.now)
    pair, successor = successor_of(phone, service, call)  # the 200 never leaves: its process dies
    successor.core.connected(pair.now)
    pair.run()

    assert [event.sdp for event in service.events if isinstance(event, SessionAnswered)] == [ANSWER]
    assert SessionConfirmed(call, "") in successor.events


def test_an_answer_that_was_lost_with_the_connection_is_no_call_as_the_far_end_says() -> None:
    pair, phone, service = registered_phone()
    call, _ = incoming_call(pair, phone, service)
    phone.core.answer(call, ANSWER, pair.now)
    phone.core.effects()  # the 200 is lost
    phone.core.disconnected(pair.now)
    service.core.sessions.disconnected(pair.now)
    phone.core.connected(pair.now)
    pair.run()
    phone.core.reinvite(call, HELD, pair.now)
    pair.run()
    assert [(event.cause, event.status) for event in ends_of(phone)] == [("remote_bye", 481)]


def test_a_call_that_was_hung_up_before_its_ack_came_is_hung_up_over_the_next_connection() -> None:
    pair, phone, service = registered_phone()
    call, other = answered_without_ack(pair, phone, service)
    phone.core.hangup(call, pair.now)
    phone.core.disconnected(pair.now)
    phone.core.connected(pair.now)
    pair.run()
    assert [event.cause for event in ends_of(phone)] == ["local_bye"]
    assert service.events[-1] == SessionEnded(other, "remote_bye", None, "")


def test_a_call_goes_on_in_another_user_agent() -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service)
    exported = phone.core.export_session(call)
    assert ACCOUNT.password not in repr(exported)

    moved, successor = successor_of(phone, service, call)
    successor.core.connected(moved.now)
    moved.run()
    with pytest.raises(ActionRefused):
        successor.core.restore_session(exported)
    successor.core.hangup(call, moved.now)
    moved.run()

    assert service.events[-1] == SessionEnded(other, "remote_bye", None, "")
