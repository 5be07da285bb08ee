"""Changes of a call's sound: another connection, who holds whom then, and sound before the answer."""

from typing import Any

import pytest

from agents.sip.events import DialogRequestDone, ReinviteReceived
from agents.sip.sdp import Sdp
from shared.messages import (
    CallState,
    Dial,
    Done,
    Hold,
    Mute,
    Problem,
    ReInvite,
    StartRecording,
    Transfer,
    Unhold,
)

from .fakes import FAR_ANSWER, Rig
from .service_talk import ask
from .talks import answered, refused

# -- another connection


def test_a_re_invite_offers_a_new_connection_and_applies_the_answer() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.kinds()
    rig.sip.clear()
    assert isinstance(rig.do(ReInvite(call_id=talk.call_id)), Done)
    assert rig.sip == ["INVITE", "ACK"]
    assert rig.kinds() == ["MakeOffer", "ApplyAnswer"]
    [reinvite] = [event for event in rig.far_events if isinstance(event, ReinviteReceived)]
    assert (reinvite.direction, Sdp.parse(reinvite.sdp).attribute("setup")) == ("sendrecv", "actpass")


def test_a_re_invite_of_a_held_call_keeps_it_held_and_its_version_rises() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.do(Hold(call_id=talk.call_id))
    assert isinstance(rig.do(ReInvite(call_id=talk.call_id)), Done)
    held, renewed = [event for event in rig.far_events if isinstance(event, ReinviteReceived)]
    assert renewed.direction == "sendonly"
    assert Sdp.parse(renewed.sdp).version > Sdp.parse(held.sdp).version
    assert talk.view.held


def test_a_re_invite_that_the_far_end_refuses_leaves_the_call_as_it_was() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.reinvite_status = 488
    assert refused(rig.do(ReInvite(call_id=talk.call_id)), "far_end").status == 488
    rig.reinvite_status = 200
    assert isinstance(rig.do(ReInvite(call_id=talk.call_id)), Done)


def test_a_re_invite_without_sound_is_refused_and_may_be_asked_for_again() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.host_error = "no ports"
    refused(rig.do(ReInvite(call_id=talk.call_id)), "no_media")
    rig.host_error = ""
    assert isinstance(rig.do(ReInvite(call_id=talk.call_id)), Done)


def test_one_change_of_the_sound_at_a_time() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.host_answers = False
    ask(rig, ReInvite(call_id=talk.call_id))
    refused(rig.do(Hold(call_id=talk.call_id)), "wrong_state")
    refused(rig.do(ReInvite(call_id=talk.call_id)), "wrong_state")


@pytest.mark.parametrize("action", [Hold, ReInvite])
def test_a_change_that_a_lost_connection_cuts_is_unknown(action: Any) -> None:
    rig = Rig()
    talk = answered(rig)
    rig.reinvite_status = None
    request = ask(rig, action(call_id=talk.call_id))
    rig.core.disconnected(Problem.UNREACHABLE, "cut", rig.now)
    rig.run()
    refused(rig.answer_to(request), "unknown")
    assert not talk.view.held


def test_a_request_or_transfer_that_a_lost_connection_cuts_is_unknown() -> None:
    rig = Rig()
    talk = answered(rig)
    requests = [
        ask(rig, StartRecording(call_id=talk.call_id)),
        ask(rig, Transfer(call_id=talk.call_id, target="102")),
    ]
    rig.core.disconnected(Problem.UNREACHABLE, "cut", rig.now)
    rig.run()
    for request in requests:
        refused(rig.answer_to(request), "unknown")
    assert talk.view.state is CallState.ANSWERED


def test_after_a_lost_connection_the_far_end_is_told_where_we_are_and_a_hold_stays_one() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.do(Hold(call_id=talk.call_id))
    rig.far_events.clear()
    rig.core.disconnected(Problem.UNREACHABLE, "cut", rig.now)
    rig.core.connected(rig.now)
    rig.run()
    [reinvite] = [event for event in rig.far_events if isinstance(event, ReinviteReceived)]
    assert reinvite.direction == "sendonly"
    assert talk.view.held
    assert isinstance(rig.do(Unhold(call_id=talk.call_id)), Done)


# -- who holds whom


def test_a_far_end_whose_answer_to_an_unhold_says_hold_holds_us() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.do(Hold(call_id=talk.call_id))
    assert (talk.view.held, talk.view.held_by_remote) == (True, False)
    rig.reinvite_sdp = FAR_ANSWER.replace("sendrecv", "sendonly")
    rig.do(Unhold(call_id=talk.call_id))
    assert (talk.view.held, talk.view.held_by_remote) == (False, True)


def test_a_far_end_that_answers_on_hold_is_shown_so() -> None:
    rig = Rig()
    rig.do(Dial(target="199"))
    session = rig.far.live()[-1].session_id
    rig.far.answer(session, FAR_ANSWER.replace("sendrecv", "sendonly"), rig.now)
    rig.run()
    assert rig.call().held_by_remote


# -- sound before the answer


def test_what_the_far_end_says_before_it_answers_is_heard() -> None:
    rig = Rig()
    rig.do(Dial(target="199"))
    session = rig.far.live()[-1].session_id
    rig.far.progress(session, 183, rig.now, sdp=FAR_ANSWER)
    rig.run()
    assert rig.call().state is CallState.RINGING
    assert rig.kinds() == ["MakeOffer", "ApplyAnswer"]
    rig.far.answer(session, "", rig.now)
    rig.run()
    assert rig.call().state is CallState.ANSWERED
    assert rig.kinds() == ["ApplyAnswer"]  # for its direction


def test_somebody_else_who_answers_than_was_heard_gets_a_connection_of_its_own() -> None:
    rig = Rig()
    rig.do(Dial(target="199"))
    session = rig.far.live()[-1].session_id
    rig.far.progress(session, 183, rig.now, sdp=FAR_ANSWER)
    rig.run()
    rig.kinds()
    rig.far.answer(session, FAR_ANSWER.replace("ufrag:far", "ufrag:other"), rig.now)
    rig.run()
    assert rig.kinds() == ["MakeOffer", "ApplyAnswer"]
    assert rig.sip[-3:] == ["ACK", "INVITE", "ACK"]
    assert isinstance(rig.do(Mute(call_id=rig.call().call_id)), Done)


def test_an_empty_update_is_answered_at_once() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.far.request_in_dialog(talk.session, "UPDATE", rig.now)
    rig.run()
    done = [event for event in rig.far_events if isinstance(event, DialogRequestDone)]
    assert [event.status for event in done] == [200]
