"""How calls are dialled, what may be dialled with, and what becomes of calls whose connection is lost."""

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
    Window,
)

from .fakes import KIOSK, WALL, Rig
from .talks import answered, refused


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


def test_a_dialled_call_is_acknowledged_once_the_invite_has_left_and_answered_when_the_far_end_does() -> None:
    rig = Rig()

    done = rig.do(Dial(target="16505550199"), KIOSK)

    assert isinstance(done, Done)
    assert done.call_id == rig.call().call_id
    assert rig.sip == ["REGISTER", "INVITE"]
    assert (rig.call().state, rig.call().media_host) == (CallState.INIT, "kiosk")
    invited = next(event for event in rig.far_events if isinstance(event, InviteReceived))
    assert invited.request.uri == "sip:16505550199@sip.test"
    rig.far.progress(invited.session_id, 180, rig.now)
    rig.run()
    assert rig.call().state is CallState.RINGING
    rig.pick_up()
    assert rig.call().state is CallState.ANSWERED
    assert rig.call().answered_at == 1e9 + rig.now
    assert rig.kinds() == ["MakeOffer", "ApplyAnswer"]


def test_dial_takes_caller_id_and_headers_into_the_invite() -> None:
    rig = Rig()
    rig.do(Dial(target="102", caller_id="16505550100", headers=(("X-Case", "77"),)))
    invite = rig.frames[-1]
    assert "P-Asserted-Identity: sip:16505550100@sip.test\r\n" in invite
    assert "X-Case: 77\r\n" in invite


@pytest.mark.parametrize("target", ["", "1 2", "sip:evil@x", "1\r\nVia: x", "a@b", "9" * 65, "<1>", "١٢"])
def test_dial_refuses_what_is_no_number(target: str) -> None:
    rig = Rig()
    refused(rig.do(Dial(target=target)), "bad_request")
    assert rig.sip == ["REGISTER"]
    assert rig.snapshot.calls == ()


def test_dial_refuses_a_caller_id_that_is_no_number() -> None:
    rig = Rig()
    refused(rig.do(Dial(target="102", caller_id="x>\r\n")), "bad_request")
    assert rig.sip == ["REGISTER"]


def test_dial_refuses_a_header_that_would_break_out_of_its_line_before_any_sound_is_opened() -> None:
    rig = Rig()
    refused(rig.do(Dial(target="102", headers=(("X-A", "1\r\nX-B: 2"),))), "bad_request")
    assert rig.sip == ["REGISTER"]
    assert rig.snapshot.calls == ()
    assert rig.kinds() == []


def test_dial_is_refused_while_the_phone_is_not_registered_and_says_why() -> None:
    rig = Rig(register=False)
    reply = refused(rig.do(Dial(target="102")), "not_registered")
    assert "unregistered" in reply.message


def test_dial_is_refused_at_a_window_without_sound() -> None:
    rig = Rig()
    reply = refused(rig.do(Dial(target="102"), WALL), "no_media")
    assert "wall board" in reply.message
    assert rig.snapshot.calls == ()


def test_dial_fails_visibly_when_the_window_cannot_open_its_sound() -> None:
    rig = Rig()
    rig.host_error = "no microphone"
    reply = refused(rig.do(Dial(target="102")), "no_media")
    assert "no microphone" in reply.message
    assert (rig.call().state, rig.call().cause) == (CallState.FAILED, Cause.NO_MEDIA)
    assert "INVITE" not in rig.sip


def test_a_call_hung_up_before_its_sound_was_ready_never_reaches_the_service() -> None:
    rig = Rig()
    rig.host_answers = False
    dial = rig.ask(Dial(target="102"))
    rig.run()
    assert isinstance(rig.do(Hangup(call_id=rig.call().call_id)), Done)
    rig.answer_media()
    refused(rig.answer_to(dial), "wrong_state")
    assert "INVITE" not in rig.sip


def test_there_are_never_more_than_50_calls() -> None:
    rig = Rig()
    for _ in range(50):
        assert isinstance(rig.do(Dial(target="102")), Done)
    refused(rig.do(Dial(target="102")), "too_busy")
    assert len(rig.snapshot.calls) == 50


def test_a_busy_far_end_fails_the_call_with_its_status() -> None:
    rig = Rig()
    rig.do(Dial(target="102"))
    rig.far.reject(rig.far.live()[-1].session_id, 486, rig.now)
    rig.run()
    assert (rig.call().state, rig.call().cause, rig.call().status) == (CallState.FAILED, Cause.REJECTED, 486)
    assert rig.kinds() == ["MakeOffer", "CloseMedia"]


def test_commands_to_a_window_that_never_loads_its_sound_do_not_pile_up() -> None:
    rig = Rig()
    slow = Window(instance="slow", name="slow", pid=9, media=True)
    rig.core.window_heard(slow, rig.now)
    for _ in range(3):
        rig.do(Dial(target="102"), slow)
        for _ in range(5):
            rig.wait(1.0)
            rig.core.window_heard(slow, rig.now)
    assert len(rig.core._parts.hosts._early["slow"]) <= 1
