"""When dialling is done, what may be dialled with, and what becomes of calls whose connection is lost."""

import pytest

from agents.sip.events import InviteReceived, ReinviteReceived
from shared.messages import (
    CallState,
    Cause,
    Dial,
    Done,
    Hangup,
    Hold,
    MediaChanged,
    MediaState,
    Problem,
    ReInvite,
)

from .fakes import Rig
from .test_actions import refused
from .test_phone_transfers import answered


def test_dialling_is_done_when_the_service_has_answered_something() -> None:
    rig = Rig()
    rig.is_cut = True
    request = rig.ask(Dial(target="199"))
    rig.run()
    assert rig.sip[-1] == "INVITE"
    assert rig.answer_to(request) is None
    assert rig.call().state is CallState.INIT


def test_a_dial_that_a_lost_connection_cuts_is_unknown_and_its_call_lost() -> None:
    rig = Rig()
    rig.is_cut = True
    request = rig.ask(Dial(target="199"))
    rig.run()
    rig.core.disconnected(Problem.UNREACHABLE, "cut", rig.now)
    rig.run()
    refused(rig.answer_to(request), "unknown")
    assert rig.call().cause is Cause.LOST


def test_a_challenge_says_that_the_service_has_the_call() -> None:
    rig = Rig()
    request = rig.ask(Dial(target="199"))
    rig.run()
    [invited] = [event for event in rig.far_events if isinstance(event, InviteReceived)]
    challenge = ("Proxy-Authenticate", 'Digest realm="sip.test", nonce="n1"')
    rig.far.reject(invited.session_id, 407, rig.now, headers=[challenge])
    rig.run()
    assert rig.sip.count("INVITE") == 2
    assert isinstance(rig.answer_to(request), Done)


def test_a_call_that_is_refused_at_once_was_dialled() -> None:
    rig = Rig()
    request = rig.ask(Dial(target="199"))
    rig.run()
    [invited] = [event for event in rig.far_events if isinstance(event, InviteReceived)]
    rig.far.reject(invited.session_id, 486, rig.now)
    rig.run()
    assert isinstance(rig.answer_to(request), Done)
    assert (rig.call().state, rig.call().status) == (CallState.FAILED, 486)


def test_a_call_that_is_hung_up_before_the_service_has_it_was_dialled_too() -> None:
    rig = Rig()
    rig.is_cut = True
    request = rig.ask(Dial(target="199"))
    rig.run()
    rig.do(Hangup(call_id=rig.call().call_id))
    assert isinstance(rig.answer_to(request), Done)
    assert rig.call().cause is Cause.HUNG_UP_HERE


@pytest.mark.parametrize("name", ["From", "contact", "P-Asserted-Identity", "Content-Length", "v", "Route"])
def test_a_header_that_the_phone_writes_itself_is_refused(name: str) -> None:
    rig = Rig()
    refused(rig.do(Dial(target="199", headers=((name, "x"),))), "bad_request")
    assert rig.sip == ["REGISTER"]


def test_headers_have_a_limit() -> None:
    rig = Rig()
    headers = tuple((f"X-{number}", "x") for number in range(17))
    refused(rig.do(Dial(target="199", headers=headers)), "bad_request")


@pytest.mark.parametrize(
    ("media", "commands"),
    [(MediaState.CONNECTED, []), (MediaState.FAILED, ["MakeOffer", "ApplyAnswer"])],
)
def test_after_a_lost_connection_only_a_call_whose_sound_has_failed_gets_a_new_one(
    media: MediaState, commands: list[str]
) -> None:
    rig = Rig()
    talk = answered(rig)
    rig.core.media_changed(MediaChanged(epoch=rig.epoch, call_id=talk.call_id, state=media), rig.now)
    rig.kinds()
    rig.core.disconnected(Problem.UNREACHABLE, "cut", rig.now)
    rig.core.connected(rig.now)
    rig.run()
    assert rig.kinds() == commands
    assert len([event for event in rig.far_events if isinstance(event, ReinviteReceived)]) == 1


def test_a_hold_waits_until_the_far_end_knows_where_we_are() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.reinvite_status = None
    rig.core.disconnected(Problem.UNREACHABLE, "cut", rig.now)
    rig.core.connected(rig.now)
    rig.run()
    request = rig.ask(Hold(call_id=talk.call_id))
    rig.run()
    assert rig.answer_to(request) is None
    refused(rig.do(ReInvite(call_id=talk.call_id)), "wrong_state")
    rig.reinvite_status = 200
    rig.settle_reinvite(talk.session, 200)
    rig.run()
    assert isinstance(rig.answer_to(request), Done)
    assert talk.view.held
    directions = [event.direction for event in rig.far_events if isinstance(event, ReinviteReceived)]
    assert directions == ["sendrecv", "sendonly"]
