"""Hanging up, in whatever state a call is, and with or without a connection."""

from shared.messages import CallState, Cause, Dial, Done, Hangup, Problem

from .fakes import Rig
from .talks import answered_call


def test_hanging_up_an_answered_call_is_done_when_the_service_confirmed_the_bye() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    assert isinstance(rig.do(Hangup(call_id=call_id)), Done)
    assert rig.sip == ["BYE"]
    assert (rig.call().state, rig.call().cause) == (CallState.DISPOSED, Cause.HUNG_UP_HERE)
    assert rig.kinds() == ["CloseMedia"]


def test_hanging_up_a_call_that_is_not_answered_yet_cancels_it() -> None:
    rig = Rig()
    rig.do(Dial(target="102"))
    rig.far.progress(rig.far.live()[-1].session_id, 180, rig.now)
    rig.run()
    assert isinstance(rig.do(Hangup(call_id=rig.call().call_id)), Done)
    assert rig.sip == ["REGISTER", "INVITE", "CANCEL", "ACK"]


def test_hanging_up_a_ringing_inbound_call_refuses_it() -> None:
    rig = Rig()
    rig.ring()
    assert isinstance(rig.do(Hangup(call_id=rig.call().call_id)), Done)
    assert rig.sip[-1] == "603 INVITE"


def test_a_hangup_without_a_connection_ends_the_call_here_and_later_at_the_far_end() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.core.disconnected(Problem.UNREACHABLE, "cut off", rig.now)
    request = rig.ask(Hangup(call_id=call_id))
    rig.run()
    assert rig.answer_to(request) is None
    assert rig.call().cause is Cause.HUNG_UP_HERE
    rig.core.connected(rig.now)
    rig.run()
    assert isinstance(rig.answer_to(request), Done)
    assert "BYE" in rig.sip
    assert rig.far.live() == []


def test_a_hangup_that_may_not_have_reached_the_far_end_is_not_acknowledged() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    request = rig.ask(Hangup(call_id=call_id))
    rig.core.effects(rig.now)  # which are lost with the connection
    rig.core.disconnected(Problem.UNREACHABLE, "cut off", rig.now)
    rig.run()
    assert rig.call().cause is Cause.HUNG_UP_HERE
    assert rig.answer_to(request) is None, "nobody knows, and after its time whoever asked is told that"


def test_the_far_ends_hangup_ends_the_call_for_all() -> None:
    rig = Rig()
    answered_call(rig)
    rig.hang_up_far(rig.far.live()[0].session_id)
    assert (rig.call().state, rig.call().cause) == (CallState.DISPOSED, Cause.HUNG_UP_THERE)
    assert rig.kinds() == ["CloseMedia"]
