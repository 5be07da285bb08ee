"""One leader's term: taking over, windows that come and go, the registration, and what strangers send."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.phone import CommandHost, DropLine, ForgetInstance
from agents.sip.events import SessionEnded
from shared.messages import (
    Answer,
    CallState,
    Cause,
    CloseMedia,
    Dial,
    Done,
    Hangup,
    Hold,
    MediaChanged,
    MediaDone,
    MediaState,
    Mute,
    Outcome,
    Problem,
    Quality,
    QualityChanged,
    Refused,
    RegistrationState,
    Window,
    encode,
)

from .fakes import DESK, EPOCH, FAR_OFFER, KIOSK, WALL, Rig, a_call, settings, snapshot
from .talks import answered_call

# -- taking over from a leader that died


def inherited() -> Rig:
    """Return the core of a leader that saw a predecessor with a live and an ended call."""
    seed = snapshot(
        EPOCH - 1,
        40,
        a_call("live", state="answered", media_host="kiosk", media="connected", answered_at=1.0),
        a_call("over", state="disposed", cause="declined"),
        leader="dead",
        windows=(KIOSK,),
        outcomes=(Outcome(action_id="done-before", call_id="live"),),
    )
    return Rig(seed=seed)


def test_a_new_leader_reports_the_calls_of_the_dead_one_as_lost_and_frees_their_sound() -> None:
    rig = inherited()
    live = rig.snapshot.call("live")
    assert live is not None
    assert (live.state, live.cause, live.media) == (CallState.DISPOSED, Cause.LOST, MediaState.NONE)
    assert "died" in live.reason
    closed = [(at, command.call_id) for at, command in rig.commands if isinstance(command, CloseMedia)]
    assert set(closed) == {("kiosk", "live")}


def test_a_call_that_was_over_already_is_left_as_it_was_and_leaves_soon() -> None:
    rig = inherited()
    over = rig.snapshot.call("over")
    assert over is not None
    assert over.cause is Cause.DECLINED
    rig.wait(1.5)
    assert rig.snapshot.call("over") is None
    assert rig.snapshot.call("live") is not None
    rig.wait(5.0)
    assert rig.snapshot.call("live") is None


def test_a_new_leader_keeps_the_windows_but_not_the_process_that_died() -> None:
    seed = snapshot(2, 1, leader="kiosk", windows=(KIOSK, WALL))
    rig = Rig(seed=seed)
    first = rig.core.snapshot(rig.snapshot.version)
    assert "wall" in {window.instance for window in first.windows}
    fresh = snapshot(2, 1, leader="dead", windows=(KIOSK.__class__(instance="dead", name="d", pid=9),))
    assert "dead" not in {window.instance for window in Rig(seed=fresh).snapshot.windows}


def test_a_new_leader_does_not_do_again_what_the_dead_one_did() -> None:
    rig = inherited()
    reply = rig.do(Dial(target="102"), action_id="done-before")
    assert isinstance(reply, Done)
    assert reply.call_id == "live"
    assert "INVITE" not in rig.sip


def test_a_new_leader_registers_with_the_same_instance_id() -> None:
    one, two = Rig(), inherited()
    for rig in (one, two):
        assert '+sip.instance="<urn:uuid:line>"' in rig.frames[0]
    assert one.sip == two.sip == ["REGISTER"]


# -- windows that go


def test_the_call_of_a_window_that_died_is_lost_where_sound_must_not_move_and_the_far_end_told() -> None:
    rig = Rig(settings=settings(move_sound=False))
    answered_call(rig)
    rig.core.window_gone("kiosk", rig.now)
    rig.run()
    assert (rig.call().state, rig.call().cause) == (CallState.DISPOSED, Cause.LOST)
    assert rig.sip[-1] == "BYE"
    assert any(isinstance(event, SessionEnded) for event in rig.far_events)


def test_a_window_that_is_silent_for_the_presence_time_is_gone_with_its_call() -> None:
    rig = Rig(settings=settings(move_sound=False))
    answered_call(rig)
    rig.wait(1.0)
    for window in (DESK, WALL):
        rig.core.window_heard(window, rig.now)
    rig.wait(1.5)
    assert {window.instance for window in rig.snapshot.windows} == {"desk", "wall"}
    assert rig.call().cause is Cause.LOST
    assert ForgetInstance("kiosk") in rig.effects


def test_there_is_a_limit_to_how_many_windows_and_hosts_are_remembered() -> None:
    rig = Rig()
    before = len(rig.snapshot.windows)
    for number in range(2_000):
        rig.core.window_heard(Window(instance=f"stranger-{number}", name="", pid=0), rig.now)
        rig.core.host_attached(f"stranger-{number}", rig.now)
    rig.run()
    assert before < len(rig.snapshot.windows) <= 1_000
    assert ForgetInstance("stranger-1999") in rig.effects
    rig.core.window_heard(DESK, rig.now)  # who is here already stays
    assert DESK.instance in {window.instance for window in rig.snapshot.windows}


def test_a_call_at_another_window_outlives_the_window_that_went() -> None:
    rig = Rig()
    answered_call(rig)
    rig.core.window_gone("desk", rig.now)
    rig.run()
    assert rig.call().state is CallState.ANSWERED
    assert rig.core.other_windows() == 2


def test_a_window_that_dies_while_it_answers_leaves_the_call_ringing_for_the_others() -> None:
    rig = Rig()
    rig.ring()
    rig.host_answers = False
    rig.ask(Answer(call_id=rig.call().call_id), KIOSK)
    rig.run()
    rig.core.window_gone("kiosk", rig.now)
    rig.run()
    assert rig.call().state is CallState.RINGING
    rig.host_answers = True
    assert isinstance(rig.do(Answer(call_id=rig.call().call_id), DESK), Done)


def test_a_media_host_that_does_not_answer_is_given_up_after_four_seconds() -> None:
    rig = Rig()
    rig.ring()
    rig.host_answers = False
    request = rig.ask(Answer(call_id=rig.call().call_id), KIOSK, deadline=rig.now + 9)
    rig.run()
    for _ in range(5):
        assert rig.answer_to(request) is None
        for window in (DESK, KIOSK, WALL):
            rig.core.window_heard(window, rig.now)
        rig.wait(0.9)
    reply = rig.answer_to(request)
    assert isinstance(reply, Refused)
    assert "no answer for 4 s" in reply.message
    assert rig.call().state is CallState.RINGING


def test_a_media_hosts_answer_counts_once_and_not_after_its_time() -> None:
    rig = Rig()
    rig.ring()
    rig.do(Answer(call_id=rig.call().call_id), KIOSK)
    [(_, command)] = rig.commands
    before = rig.snapshot
    late = MediaDone(epoch=EPOCH, command_id=command.command_id, error="late")
    rig.core.media_done(late, rig.now)
    rig.core.media_done(MediaDone(epoch=EPOCH, command_id="never asked", sdp="v=0"), rig.now)
    rig.run()
    assert rig.snapshot == before


def test_what_a_host_says_of_a_calls_connection_is_shown_until_the_call_is_over() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    assert rig.call().media is MediaState.CONNECTING
    connected = MediaChanged(epoch=EPOCH, call_id=call_id, state=MediaState.CONNECTED)
    rig.core.media_changed(connected, rig.now)
    assert rig.call().media is MediaState.CONNECTED
    rig.do(Hangup(call_id=call_id))
    rig.core.media_changed(connected, rig.now)
    assert rig.call().media is MediaState.NONE


def test_a_window_that_still_has_the_sound_of_a_call_that_nobody_knows_is_told_to_end_it() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.commands.clear()
    for known in (call_id, "forgotten"):
        rig.core.media_changed(
            MediaChanged(epoch=EPOCH, call_id=known, state=MediaState.CONNECTED, instance="kiosk"), rig.now
        )
    rig.run()
    [(host, command)] = rig.commands
    assert isinstance(command, CloseMedia)
    assert (host, command.call_id) == ("kiosk", "forgotten")


def test_how_well_a_call_is_heard_is_shown_and_stays_when_it_is_over() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    assert rig.call().quality is None
    rig.core.take_changed()
    good = Quality(codec="opus", sent=100, received=98, lost=2, mos=4.2)
    measured = QualityChanged(epoch=EPOCH, call_id=call_id, quality=good)
    rig.core.quality_changed(measured, rig.now)
    assert rig.call().quality == good
    assert rig.core.take_changed()
    rig.core.quality_changed(measured, rig.now)
    assert not rig.core.take_changed()  # nothing new is no new state
    rig.do(Hangup(call_id=call_id))
    last = Quality(codec="opus", sent=120, received=118, lost=2, mos=4.1)
    rig.core.quality_changed(QualityChanged(epoch=EPOCH, call_id=call_id, quality=last), rig.now)
    assert rig.call().quality == last
    rig.core.quality_changed(QualityChanged(epoch=EPOCH, call_id="nobody's", quality=last), rig.now)


def test_hanging_up_everything_leaves_no_call_and_tells_the_service() -> None:
    rig = Rig()
    answered_call(rig)
    rig.ring()
    rig.core.hang_up(rig.now)
    rig.run()
    assert [call.state.is_final for call in rig.snapshot.calls] == [True, True]
    assert rig.sip[-2:] == ["BYE", "603 INVITE"]


# -- the registration


@pytest.mark.parametrize(
    ("status", "remedy"), [(403, "password"), (404, "account file"), (603, "five devices"), (416, "operator")]
)
def test_a_refused_registration_says_what_to_do(status: int, remedy: str) -> None:
    rig = Rig(register=False)
    rig.register_status = status
    rig.core.connected(rig.now)
    rig.run()
    registration = rig.snapshot.registration
    assert (registration.state, registration.problem) == (RegistrationState.FAILED, Problem.REFUSED)
    assert registration.status == status
    assert remedy in registration.detail
    assert "\n" not in registration.detail


def test_a_service_that_is_only_out_of_order_for_now_is_tried_again() -> None:
    rig = Rig(register=False)
    rig.register_status = 503
    rig.core.connected(rig.now)
    rig.run()
    assert rig.snapshot.registration.problem is Problem.UNREACHABLE
    assert "trying again" in rig.snapshot.registration.detail
    rig.register_status = 200
    rig.wait(3.0)
    registered = rig.snapshot.registration
    assert (registered.state, registered.problem) == (RegistrationState.REGISTERED, Problem.NONE)


def test_a_registrar_that_does_not_answer_costs_the_connection() -> None:
    rig = Rig(register=False)
    rig.far.receive = lambda message, now: None  # type: ignore[method-assign]
    rig.core.connected(rig.now)
    rig.wait(5.0)
    assert [effect for effect in rig.effects if isinstance(effect, DropLine)]


def test_a_lost_connection_is_shown_and_an_answered_call_stays() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.core.disconnected(Problem.UNREACHABLE, "cut off", rig.now)
    rig.run()
    registration = rig.snapshot.registration
    assert (registration.state, registration.detail) == (RegistrationState.CONNECTING, "cut off")
    assert rig.call().state is CallState.ANSWERED
    assert isinstance(rig.do(Mute(call_id=call_id)), Done)
    rig.core.connected(rig.now)
    rig.run()
    assert isinstance(rig.do(Hold(call_id=call_id)), Done)


def test_leaving_removes_the_binding() -> None:
    rig = Rig()
    rig.core.unregister(rig.now)
    rig.run()
    assert rig.core.registration.state is RegistrationState.UNREGISTERED
    assert ";expires=0" in rig.frames[-1]


# -- strangers, secrets, order


@given(st.lists(st.text(max_size=60), max_size=5), st.binary(max_size=100))
def test_no_frame_from_the_service_stops_the_phone(lines: list[str], junk: bytes) -> None:
    rig = Rig()
    rig.core.received("\r\n".join(lines), rig.now)
    rig.core.received(junk.decode("latin-1"), rig.now)
    rig.run()
    rig.ring()
    assert rig.call().state is CallState.RINGING


@pytest.mark.parametrize(
    "sdp", ["", "v=0\r\n", "no sdp at all", FAR_OFFER.replace("m=audio", "m=video"), "v=0\r\nm=audio\r\n"]
)
def test_an_odd_description_in_a_reinvite_does_not_stop_the_phone(sdp: str) -> None:
    rig = Rig()
    answered_call(rig)
    rig.far.reinvite(rig.far.live()[0].session_id, sdp, rig.now)
    rig.run()
    rig.ring()
    assert CallState.RINGING in [call.state for call in rig.snapshot.calls]


def test_no_secret_is_in_the_state_or_in_the_repr_of_what_is_to_be_done() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.do(Hold(call_id=call_id))
    rig.do(Dial(target="102"))
    shown = encode(rig.snapshot).decode()
    told = " ".join(repr(effect) for effect in rig.effects if not isinstance(effect, CommandHost))
    assert "answered" in shown
    assert {"SendSip", "AnswerAction"} <= set(re.findall(r"\w+", told))
    for text in (shown, told):
        assert "canary" not in text


def test_nothing_is_published_when_nothing_changed() -> None:
    rig = Rig()
    rig.run()
    assert not rig.core.take_changed()
    rig.core.tick(rig.now)
    rig.core.window_heard(DESK, rig.now)
    assert not rig.core.take_changed()
    rig.ring()
    assert not rig.core.take_changed()  # taken by the rig when it published


def test_time_that_passes_early_or_twice_does_no_harm() -> None:
    rig = Rig()
    answered_call(rig)
    for _ in range(3):
        rig.core.tick(rig.now)
        assert rig.core.effects(rig.now) == []
