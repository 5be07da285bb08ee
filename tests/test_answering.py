"""Answering and declining a call: where its sound is then, who wins, and what comes too late."""

import pytest

from agents.sip.events import SessionAnswered, SessionConfirmed, SessionEnded
from shared.messages import Answer, CallState, Cause, Decline, Dial, Done, Hangup, MediaDone, Problem

from .fakes import DESK, FAR_ANSWER, HOST_ANSWER, KIOSK, WALL, Rig
from .talks import refused


def test_an_answered_call_has_its_sound_where_it_was_answered() -> None:
    rig = Rig()
    rig.ring()
    done = rig.do(Answer(call_id=rig.call().call_id), KIOSK)
    assert isinstance(done, Done)
    assert (rig.call().state, rig.call().media_host) == (CallState.ANSWERED, "kiosk")
    assert [instance for instance, _ in rig.commands] == ["kiosk"]
    assert any(isinstance(event, SessionAnswered) for event in rig.far_events)


def test_of_two_windows_that_answer_at_once_one_wins_and_the_other_is_told_who() -> None:
    rig = Rig()
    rig.ring()
    rig.host_answers = False
    first = rig.ask(Answer(call_id=rig.call().call_id), KIOSK)
    second = rig.ask(Answer(call_id=rig.call().call_id), DESK)
    rig.run()
    assert "kiosk is answering" in refused(rig.answer_to(second), "wrong_state").message
    rig.answer_media()
    assert isinstance(rig.answer_to(first), Done)
    assert rig.call().media_host == "kiosk"
    assert "kiosk has answered" in refused(rig.do(Answer(call_id=rig.call().call_id)), "wrong_state").message
    assert rig.sip.count("200 INVITE") == 1


def test_a_window_that_fails_to_answer_leaves_the_call_to_the_others() -> None:
    rig = Rig()
    rig.ring()
    rig.host_error = "no microphone"
    refused(rig.do(Answer(call_id=rig.call().call_id), KIOSK), "no_media")
    assert rig.call().state is CallState.RINGING
    assert rig.kinds() == ["MakeAnswer", "CloseMedia"]  # what it had opened all the same
    rig.host_error = ""
    assert isinstance(rig.do(Answer(call_id=rig.call().call_id), DESK), Done)
    assert rig.call().media_host == "desk"


def test_a_window_without_sound_cannot_answer() -> None:
    rig = Rig()
    rig.ring()
    refused(rig.do(Answer(call_id=rig.call().call_id), WALL), "no_media")
    assert rig.call().state is CallState.RINGING


def test_an_answer_that_comes_after_the_caller_gave_up_is_refused_and_its_sound_closed() -> None:
    rig = Rig()
    session = rig.ring()
    rig.host_answers = False
    answer = rig.ask(Answer(call_id=rig.call().call_id), KIOSK)
    rig.run()
    rig.hang_up_far(session)
    assert (rig.call().state, rig.call().cause) == (CallState.DISPOSED, Cause.CANCELLED)
    rig.answer_media()
    refused(rig.answer_to(answer), "no_such_call")
    assert "CloseMedia" in rig.kinds()
    assert "200 INVITE" not in rig.sip


def test_a_declined_call_is_refused_everywhere() -> None:
    rig = Rig()
    rig.ring()
    assert isinstance(rig.do(Decline(call_id=rig.call().call_id)), Done)
    assert (rig.call().state, rig.call().cause) == (CallState.DISPOSED, Cause.DECLINED)
    ended = next(event for event in rig.far_events if isinstance(event, SessionEnded))
    assert (ended.cause, ended.status) == ("rejected", 603)


@pytest.mark.parametrize("action", [Answer, Decline])
def test_an_outbound_call_can_be_neither_answered_nor_declined(action: type[Answer | Decline]) -> None:
    rig = Rig()
    rig.do(Dial(target="102"))
    refused(rig.do(action(call_id=rig.call().call_id)), "wrong_state")
    assert not rig.call().state.is_final


def test_a_call_that_is_being_answered_cannot_be_declined() -> None:
    rig = Rig()
    rig.ring()
    rig.host_answers = False
    rig.ask(Answer(call_id=rig.call().call_id), KIOSK)
    assert "kiosk is answering" in refused(rig.do(Decline(call_id=rig.call().call_id)), "wrong_state").message


# -- the acknowledgement of the answer


def test_an_acknowledgement_without_the_answer_to_our_offer_ends_the_call() -> None:
    rig = Rig()
    rig.ring(sdp="")
    request = rig.ask(Answer(call_id=rig.call().call_id))
    rig.run()
    assert rig.answer_to(request) is None
    rig.far.acknowledge(rig.far.live()[0].session_id, "")
    rig.run()
    refused(rig.answer_to(request), "unknown")
    assert (rig.call().state, rig.call().cause) == (CallState.DISPOSED, Cause.NO_MEDIA)
    assert rig.far.live() == []


def test_an_answer_is_acknowledged_when_the_far_end_has_it_and_not_before() -> None:
    rig = Rig()
    rig.ring()
    rig.is_cut = True  # the 200 is lost
    request = rig.ask(Answer(call_id=rig.call().call_id), KIOSK)
    rig.run()
    assert rig.call().state is CallState.ANSWERED
    assert rig.answer_to(request) is None
    rig.is_cut = False
    rig.core.disconnected(Problem.UNREACHABLE, "gone", rig.now)
    rig.core.connected(rig.now)
    rig.run()
    assert isinstance(rig.answer_to(request), Done)


def test_an_answer_to_a_call_that_ends_before_its_ack_is_unknown() -> None:
    rig = Rig()
    rig.ring()
    rig.is_cut = True
    request = rig.ask(Answer(call_id=rig.call().call_id), KIOSK)
    rig.run()
    rig.do(Hangup(call_id=rig.call().call_id))
    refused(rig.answer_to(request), "unknown")


def test_a_call_without_an_offer_gets_ours_and_its_answer_in_the_ack_is_applied() -> None:
    rig = Rig()
    rig.ring(sdp="")

    request = rig.ask(Answer(call_id=rig.call().call_id), KIOSK)
    rig.run()

    ok = next(frame for frame in rig.frames if frame.startswith("SIP/2.0 200") and "INVITE" in frame)
    assert "a=setup:actpass" in ok
    assert rig.kinds()[0] == "MakeOffer"
    # The far end of these tests sends its ACK at once, and without an answer.
    [record] = rig.core._term.calls
    rig.core._signalling.session_changed(SessionConfirmed(record.session_id, FAR_ANSWER), rig.now)
    rig.run()
    assert rig.kinds() == ["ApplyAnswer"]
    assert isinstance(rig.answer_to(request), Done)


@pytest.mark.parametrize("sdp", ["", "nonsense", "v=0\r\n", HOST_ANSWER.replace("o=", "x=")])
def test_a_window_whose_description_is_none_has_no_sound(sdp: str) -> None:
    rig = Rig()
    rig.host_answers = False
    rig.ring()
    request = rig.ask(Answer(call_id=rig.call().call_id))
    rig.run()
    [(_, command)] = rig.unanswered
    rig.core.media_done(MediaDone(epoch=rig.epoch, command_id=command.command_id, sdp=sdp), rig.now)
    rig.run()
    refused(rig.answer_to(request), "no_media")
    assert rig.call().state is CallState.RINGING
