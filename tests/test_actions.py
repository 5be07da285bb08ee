"""What each action does, and when it is refused: the phone core between media hosts and a SIP far end."""

import pytest

from agents.phone import CommandHost, SendSip
from agents.sip.events import (
    InviteReceived,
    ReinviteReceived,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
)
from agents.sip.sdp import Sdp
from shared.messages import (
    Action,
    Answer,
    CallState,
    Cause,
    Decline,
    Dial,
    Done,
    Hangup,
    Hold,
    MediaDone,
    Mute,
    PlayDtmf,
    Problem,
    Refused,
    SendDtmf,
    SendReply,
    ShapeMedia,
    Unhold,
    Unmute,
    Window,
)

from .fakes import DESK, FAR_ANSWER, FAR_HELD, HOST_ANSWER, KIOSK, WALL, Rig

OF_A_CALL = [Answer, Decline, Hangup, Hold, Unhold, Mute, Unmute]


def answered_call(rig: Rig) -> str:
    """Let an inbound call be answered at the kiosk; return its id."""
    rig.ring()
    call_id = rig.call().call_id
    assert isinstance(rig.do(Answer(call_id=call_id), KIOSK), Done)
    rig.kinds()
    rig.sip.clear()
    rig.far_events.clear()
    return call_id


def refused(reply: object, code: str) -> Refused:
    """Return ``reply``, which must be a refusal with ``code``."""
    assert isinstance(reply, Refused), reply
    assert reply.code == code, reply
    return reply


def last_shape(rig: Rig) -> tuple[bool, bool]:
    """Return (muted, held) as the media host was told last."""
    command = [command for _, command in rig.commands if isinstance(command, ShapeMedia)][-1]
    return command.muted, command.held


# -- dial


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


# -- answer and decline


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


# -- hang up


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
    assert rig.kinds() == []  # the same connection: no media host is bothered
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


def test_a_text_that_cannot_be_sent_is_refused() -> None:
    rig = Rig()
    document = '<Msg><Hdr SID="1" Req="" From="#9@sip.test" To="101" Cmd="6"/><Bdy Phn="1"/></Msg>'
    rig.ring(headers=[("P-rc", document)])
    refused(rig.do(SendReply(call_id=rig.call().call_id, text="\ud800")), "bad_request")


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


# -- all of them


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


# -- a call without an offer


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
