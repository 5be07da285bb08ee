"""What holds for every action: when it is refused, and that it is done once and answered once."""

import pytest

from shared.messages import (
    Action,
    Answer,
    CallState,
    Decline,
    Dial,
    Done,
    Hangup,
    Hold,
    Mute,
    SendDtmf,
    SendReply,
    Unhold,
    Unmute,
)

from .fakes import KIOSK, Rig
from .talks import answered_call, refused

OF_A_CALL = [Answer, Decline, Hangup, Hold, Unhold, Mute, Unmute]


@pytest.mark.parametrize("kind", OF_A_CALL)
def test_an_action_on_a_call_that_never_was_is_refused(kind: type[Answer]) -> None:
    reply = refused(Rig().do(kind(call_id="nope")), "no_such_call")
    assert "nope" in reply.message


@pytest.mark.parametrize("kind", OF_A_CALL)
def test_an_action_on_a_call_that_is_over_is_refused_and_says_why_it_is_over(kind: type[Answer]) -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.hang_up_far(rig.far.live()[0].session_id)
    rig.sip.clear()
    rig.kinds()
    reply = refused(rig.do(kind(call_id=call_id)), "no_such_call")
    assert "hung up there" in reply.message
    assert rig.sip == rig.kinds() == []


@pytest.mark.parametrize("kind", [Hold, Unhold, Mute, Unmute])
def test_an_action_on_sound_is_refused_while_the_call_rings(kind: type[Hold]) -> None:
    rig = Rig()
    rig.ring()
    reply = refused(rig.do(kind(call_id=rig.call().call_id)), "wrong_state")
    assert "ringing" in reply.message


def test_an_action_for_another_epoch_is_refused() -> None:
    rig = Rig()
    for epoch in (rig.epoch - 1, rig.epoch + 1):
        refused(rig.do(Dial(target="102"), epoch=epoch), "stale_epoch")
    assert rig.sip == ["REGISTER"]


@pytest.mark.parametrize("is_inbound", [True, False])
def test_sound_that_is_ready_after_the_deadline_makes_no_call(is_inbound: bool) -> None:
    rig = Rig()
    if is_inbound:
        rig.ring()
    rig.host_answers = False
    action = Answer(call_id=rig.call().call_id) if is_inbound else Dial(target="102")
    request = rig.ask(action, KIOSK, deadline=rig.now + 2)
    rig.run()
    sent = [*rig.sip]
    rig.now += 2.5  # the leader was stopped, or its window's sound took long to load
    rig.answer_media()
    refused(rig.answer_to(request), "deadline_passed")
    assert rig.sip == sent
    assert rig.kinds()[-1] == "CloseMedia"
    assert rig.call().state is (CallState.RINGING if is_inbound else CallState.FAILED)


def test_an_action_that_arrives_after_its_deadline_is_refused() -> None:
    rig = Rig()
    refused(rig.do(Dial(target="102"), deadline=rig.now - 0.001), "deadline_passed")
    assert rig.sip == ["REGISTER"]


@pytest.mark.parametrize("actions", [1, 2])
def test_the_same_action_twice_has_one_effect_and_the_same_answer(actions: int) -> None:
    rig = Rig()
    first = rig.do(Dial(target="102"), action_id="same")
    assert isinstance(first, Done)
    rig.replies.clear()
    for _ in range(actions):
        rig.ask(Dial(target="102"), action_id="same")
    rig.run()
    assert {(reply.action_id, getattr(reply, "call_id", "")) for _, reply in rig.replies} == {
        ("same", first.call_id)
    }
    assert rig.sip.count("INVITE") == 1
    assert len(rig.snapshot.calls) == 1


def test_the_same_action_again_while_it_is_under_way_gets_one_answer() -> None:
    rig = Rig()
    rig.host_answers = False
    request = rig.ask(Dial(target="102"), action_id="same")
    rig.ask(Dial(target="102"), action_id="same")
    rig.run()
    rig.answer_media()
    assert isinstance(rig.answer_to(request), Done)
    assert rig.sip.count("INVITE") == 1


def test_a_refused_action_is_refused_again_with_the_same_words() -> None:
    rig = Rig()
    first = rig.do(Hold(call_id="nope"), action_id="same")
    rig.replies.clear()
    assert rig.do(Hold(call_id="nope"), action_id="same") == first


@pytest.mark.parametrize("action", [Dial(target="102"), SendDtmf(call_id="x", tones="1")])
def test_every_action_is_answered_and_its_outcome_travels_in_the_state(action: Action) -> None:
    rig = Rig()
    reply = rig.do(action)
    assert reply is not None
    [outcome] = rig.snapshot.outcomes
    assert outcome.action_id == reply.action_id
    assert (outcome.refused is None) == isinstance(reply, Done)


def test_a_text_that_cannot_be_sent_is_refused() -> None:
    rig = Rig()
    document = '<Msg><Hdr SID="1" Req="" From="#9@sip.test" To="101" Cmd="6"/><Bdy Phn="1"/></Msg>'
    rig.ring(headers=[("P-rc", document)])
    refused(rig.do(SendReply(call_id=rig.call().call_id, text="\ud800")), "bad_request")
