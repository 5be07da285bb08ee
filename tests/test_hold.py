"""Hold, the far end's changes of a call, mute and tones."""

import pytest

from agents.phone import CommandHost, SendSip
from agents.sip.events import ReinviteReceived
from agents.sip.sdp import Sdp
from shared.messages import (
    CallState,
    Done,
    Hangup,
    Hold,
    Mute,
    PlayDtmf,
    Problem,
    SendDtmf,
    ShapeMedia,
    Unhold,
    Unmute,
)

from .fakes import DESK, FAR_HELD, KIOSK, WALL, Rig
from .talks import answered_call, refused


def last_shape(rig: Rig) -> tuple[bool, bool]:
    """Return (muted, held) as the media host was told last."""
    command = [command for _, command in rig.commands if isinstance(command, ShapeMedia)][-1]
    return command.muted, command.held


# -- hold


def test_hold_silences_our_side_first_and_is_done_when_the_far_end_agreed() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.effects.clear()
    assert isinstance(rig.do(Hold(call_id=call_id)), Done)
    assert rig.call().held
    order = [type(effect) for effect in rig.effects if isinstance(effect, CommandHost | SendSip)]
    assert order[:2] == [CommandHost, SendSip]
    assert last_shape(rig) == (False, True)
    offer = next(event for event in rig.far_events if isinstance(event, ReinviteReceived))
    assert offer.direction == "sendonly"

    assert isinstance(rig.do(Unhold(call_id=call_id)), Done)
    assert not rig.call().held
    assert last_shape(rig) == (False, False)
    again = [event for event in rig.far_events if isinstance(event, ReinviteReceived)][-1]
    assert again.direction == "sendrecv"
    assert Sdp.parse(again.sdp).version == Sdp.parse(offer.sdp).version + 1
    assert Sdp.parse(again.sdp).attribute("setup") == "actpass"


def test_hold_of_a_held_call_is_done_without_a_message() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.do(Hold(call_id=call_id))
    rig.sip.clear()
    assert isinstance(rig.do(Hold(call_id=call_id)), Done)
    assert rig.sip == []


def test_a_hold_that_the_far_end_refuses_lets_the_sound_pass_again_and_tells_its_status() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.reinvite_status = 488
    reply = refused(rig.do(Hold(call_id=call_id)), "far_end")
    assert reply.status == 488
    assert not rig.call().held
    assert last_shape(rig) == (False, False)


def test_a_second_hold_while_one_is_under_way_is_refused() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.reinvite_status = None
    first = rig.ask(Hold(call_id=call_id))
    refused(rig.do(Unhold(call_id=call_id)), "wrong_state")
    rig.settle_reinvite(rig.far.live()[0].session_id, 200)
    rig.run()
    assert isinstance(rig.answer_to(first), Done)
    assert rig.call().held


def test_a_hold_without_a_connection_is_refused_changes_nothing_and_can_be_asked_again() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.core.disconnected(Problem.UNREACHABLE, "cut off", rig.now)
    refused(rig.do(Hold(call_id=call_id)), "not_registered")
    assert rig.kinds() == []
    assert not rig.call().held
    rig.core.connected(rig.now)
    rig.run()
    assert isinstance(rig.do(Hold(call_id=call_id)), Done)


def test_whoever_waits_for_a_hold_is_told_once_when_the_call_ends_instead() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.reinvite_status = None
    hold = rig.ask(Hold(call_id=call_id))
    rig.run()
    rig.do(Hangup(call_id=call_id), KIOSK)
    refused(rig.answer_to(hold), "wrong_state")


def test_the_far_ends_hold_is_shown_and_answered_with_our_description() -> None:
    rig = Rig()
    answered_call(rig)
    far = rig.far.live()[0].session_id
    rig.far.reinvite(far, FAR_HELD, rig.now)
    rig.run()
    assert rig.call().held_by_remote
    assert rig.kinds() == ["ApplyAnswer"]  # answered at once; its host is told to send nothing
    rig.far.reinvite(far, FAR_HELD.replace("sendonly", "sendrecv").replace("1 2 IN", "1 3 IN"), rig.now)
    rig.run()
    assert not rig.call().held_by_remote


def test_the_far_ends_new_connection_is_answered_by_the_calls_host() -> None:
    rig = Rig()
    answered_call(rig)
    rig.far.reinvite(rig.far.live()[0].session_id, FAR_HELD.replace("ufrag:far", "ufrag:new"), rig.now)
    rig.run()
    assert rig.kinds() == ["MakeAnswer"]
    assert rig.sip[-1] == "200 INVITE"


@pytest.mark.parametrize("error", ["", "no sound"])
@pytest.mark.parametrize("is_withdrawn", [False, True])
def test_a_new_connection_that_is_ready_when_nobody_wants_it_any_more_does_no_harm(
    error: str, is_withdrawn: bool
) -> None:
    rig = Rig()
    answered_call(rig)
    rig.host_answers = False
    session = rig.far.live()[0].session_id
    rig.far.reinvite(session, FAR_HELD.replace("ufrag:far", "ufrag:new"), rig.now)
    rig.run()
    if is_withdrawn:
        rig.core.disconnected(Problem.UNREACHABLE, "cut", rig.now)
    else:
        rig.hang_up_far(session)
    rig.answer_media(error=error)
    assert "200 INVITE" not in rig.sip
    assert (rig.call().state is CallState.ANSWERED) == is_withdrawn


@pytest.mark.parametrize("wish", ["no description", "v=0\r\n", FAR_HELD.replace("m=audio", "m=video")])
def test_a_change_that_cannot_be_read_is_refused_and_the_call_goes_on_as_it_was(wish: str) -> None:
    rig = Rig()
    call_id = answered_call(rig)
    before = rig.call()
    rig.far.reinvite(rig.far.live()[0].session_id, wish + "a=ice-ufrag:far\r\n", rig.now)
    rig.run()
    assert rig.sip[-1] == "488 INVITE"
    assert rig.call() == before
    assert isinstance(rig.do(Hold(call_id=call_id)), Done)


def test_a_new_connection_that_the_window_cannot_make_is_refused_and_the_call_goes_on() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.host_error = "no sound"
    rig.far.reinvite(rig.far.live()[0].session_id, FAR_HELD.replace("ufrag:far", "ufrag:new"), rig.now)
    rig.run()
    assert rig.sip[-1] == "488 INVITE"
    assert (rig.call().state, rig.call().held_by_remote) == (CallState.ANSWERED, False)
    rig.host_error = ""
    assert isinstance(rig.do(Hold(call_id=call_id)), Done)


# -- mute and tones


def test_mute_reaches_only_the_window_that_has_the_sound() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    assert isinstance(rig.do(Mute(call_id=call_id), WALL), Done)
    assert rig.call().muted
    assert [instance for instance, _ in rig.commands] == ["kiosk"]
    assert isinstance(rig.do(Unmute(call_id=call_id)), Done)
    assert not rig.call().muted
    assert rig.sip == []


def test_a_mute_that_fails_is_refused_and_not_shown() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.host_error = "gone"
    refused(rig.do(Mute(call_id=call_id)), "no_media")
    assert not rig.call().muted


def test_mute_while_a_hold_is_under_way_does_not_open_the_microphone() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.reinvite_status = None
    rig.ask(Hold(call_id=call_id))
    rig.run()
    rig.do(Mute(call_id=call_id))
    assert last_shape(rig) == (True, True)
    rig.settle_reinvite(rig.far.live()[0].session_id, 200)
    rig.run()
    assert last_shape(rig) == (True, True)


def test_unhold_while_a_mute_is_under_way_does_not_open_the_microphone() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.do(Hold(call_id=call_id))
    rig.host_answers = False
    rig.ask(Mute(call_id=call_id))
    rig.do(Unhold(call_id=call_id))
    rig.answer_media()
    assert rig.call().muted
    assert last_shape(rig) == (True, False)


def test_tones_go_to_the_calls_host() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    assert isinstance(rig.do(SendDtmf(call_id=call_id, tones="12#a")), Done)
    [(instance, command)] = rig.commands
    assert instance == "kiosk"
    assert isinstance(command, PlayDtmf)
    assert command.tones == "12#A"


def test_tones_may_take_as_long_as_they_sound() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.host_answers = False
    request = rig.ask(SendDtmf(call_id=call_id, tones="0123456789*#ABCD" * 2), KIOSK, deadline=rig.now + 20)
    rig.run()
    for _ in range(8):  # 32 tones of 0.24 s
        for window in (DESK, KIOSK, WALL):
            rig.core.window_heard(window, rig.now)
        rig.wait(1.0)
    assert rig.answer_to(request) is None
    rig.answer_media()
    assert isinstance(rig.answer_to(request), Done)


@pytest.mark.parametrize("tones", ["", "E", "1 2", "1" * 33, "1\n"])
def test_what_are_no_tones_is_refused(tones: str) -> None:
    rig = Rig()
    call_id = answered_call(rig)
    refused(rig.do(SendDtmf(call_id=call_id, tones=tones)), "bad_request")
    assert rig.kinds() == []
