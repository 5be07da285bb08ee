"""Sound moves to another window when the process that had it dies."""

from agents.phone import Estate, decode_estate
from agents.sip.message import parse
from agents.sip.sdp import Sdp
from shared.messages import (
    Answer,
    ApplyAnswer,
    CallState,
    Cause,
    CloseMedia,
    Done,
    Hangup,
    Hold,
    MakeOffer,
    MediaState,
    Mute,
    Problem,
    Refused,
    ReInvite,
    ShapeMedia,
    Unhold,
)

from .fakes import DESK, FAR_OFFER, KIOSK, WALL, Rig
from .talks import answered, live

SURVIVORS = (DESK, WALL)  # of the kiosk, which dies


def answered_at_kiosk() -> tuple[Rig, str]:
    """Return a rig with one call whose sound is at the kiosk, and the far end's session."""
    rig = Rig()
    talk = answered(rig, KIOSK)
    rig.commands.clear()
    rig.frames.clear()
    return rig, talk.session


def invites(rig: Rig) -> list[str]:
    """Return the descriptions in the re-INVITEs that left us."""
    return [parse(frame).body for frame in rig.frames if frame.startswith("INVITE")]


def die(rig: Rig, instance: str) -> None:
    rig.core.window_gone(instance, rig.now)
    rig.run()


def estate_of(rig: Rig) -> Estate:
    return decode_estate(rig.core.estate())


def test_the_call_of_a_window_that_died_goes_on_at_another_which_the_far_end_is_told() -> None:
    rig, _ = answered_at_kiosk()
    die(rig, "kiosk")
    assert (rig.call().state, rig.call().media_host) == (CallState.ANSWERED, "desk")
    assert rig.call().media is MediaState.CONNECTING
    assert [type(command).__name__ for to, command in rig.commands if to == "desk"] == [
        "MakeOffer",
        "ShapeMedia",
        "ApplyAnswer",
    ]
    assert len(invites(rig)) == 1
    assert isinstance(rig.do(Hold(call_id=rig.call().call_id), WALL), Done)


def test_the_new_offer_is_told_what_the_call_spoke_before_and_continues_its_description() -> None:
    rig, _ = answered_at_kiosk()
    [legacy] = estate_of(rig).calls
    before = Sdp.parse(legacy.local_sdp)
    die(rig, "kiosk")
    [offer] = [command for _, command in rig.commands if isinstance(command, MakeOffer)]
    assert offer.like == legacy.local_sdp
    [sent] = map(Sdp.parse, invites(rig))
    origin = before.lines[1].split()
    assert sent.lines[1].split()[:2] == origin[:2]
    assert sent.version > before.version


def test_what_was_muted_and_held_stays_so_before_any_sound_passes() -> None:
    rig, _ = answered_at_kiosk()
    for action in (Mute(call_id=rig.call().call_id), Hold(call_id=rig.call().call_id)):
        rig.do(action, KIOSK)
    rig.commands.clear()
    rig.frames.clear()
    die(rig, "kiosk")
    kinds = [type(command) for _, command in rig.commands]
    assert kinds.index(ShapeMedia) < len(kinds) - 1
    assert [(each.muted, each.held) for _, each in rig.commands if isinstance(each, ShapeMedia)] == [
        (True, True)
    ]
    assert [Sdp.parse(body).direction for body in invites(rig)] == ["sendonly"]
    assert (rig.call().muted, rig.call().held) == (True, True)


def test_a_call_is_lost_and_the_far_end_told_when_no_other_window_has_sound() -> None:
    rig, _ = answered_at_kiosk()
    die(rig, "desk")  # wall is left, and has none
    die(rig, "kiosk")
    rig.core.window_heard(WALL, rig.now)
    rig.wait(1.1)
    assert (rig.call().cause, rig.call().reason) == (
        Cause.LOST,
        "the process that had its sound has died",
    )
    assert "BYE" in rig.sip


def test_a_call_waits_for_a_window_whose_sound_is_still_loading() -> None:
    rig, _ = answered_at_kiosk()
    die(rig, "desk")
    die(rig, "kiosk")
    assert rig.call().state is CallState.ANSWERED
    rig.core.window_heard(WALL, rig.now)
    rig.core.host_attached("wall", rig.now)
    rig.run()
    assert (rig.call().state, rig.call().media_host) == (CallState.ANSWERED, "wall")
    assert len(invites(rig)) == 1
    live(rig, 3.0, SURVIVORS)
    assert rig.call().state is CallState.ANSWERED


def test_a_call_whose_sound_is_moving_cannot_be_held_until_it_has_moved() -> None:
    rig, _ = answered_at_kiosk()
    call_id = rig.call().call_id
    die(rig, "desk")
    die(rig, "kiosk")
    for action in (Hold(call_id=call_id), Unhold(call_id=call_id)):  # not even what seems to be so already
        reply = rig.do(action, WALL)
        assert isinstance(reply, Refused)
        assert reply.code == "wrong_state"
    rig.core.window_heard(WALL, rig.now)
    rig.core.host_attached("wall", rig.now)
    rig.run()
    assert isinstance(rig.do(Hold(call_id=call_id), WALL), Done)


def test_the_window_with_the_fewest_calls_takes_it() -> None:
    rig, _ = answered_at_kiosk()
    rig.core.window_heard(WALL.__class__(instance="hall", name="hall", pid=9, media=True), rig.now)
    rig.core.host_attached("hall", rig.now)
    rig.ring()
    rig.do(Answer(call_id=rig.snapshot.calls[-1].call_id), DESK)
    die(rig, "kiosk")
    assert [call.media_host for call in rig.snapshot.calls] == ["hall", "desk"]


def test_a_second_death_on_the_way_moves_it_on() -> None:
    rig, _ = answered_at_kiosk()
    rig.core.window_heard(WALL.__class__(instance="hall", name="hall", pid=9, media=True), rig.now)
    rig.core.host_attached("hall", rig.now)
    rig.host_answers = False
    die(rig, "kiosk")
    assert rig.call().media_host == "desk"
    rig.host_answers = True
    die(rig, "desk")
    assert (rig.call().state, rig.call().media_host) == (CallState.ANSWERED, "hall")
    assert len(invites(rig)) == 1


def test_a_window_that_cannot_describe_its_sound_loses_the_call() -> None:
    rig, _ = answered_at_kiosk()
    rig.host_error = "no sound card"
    die(rig, "kiosk")
    assert rig.call().cause is Cause.LOST
    assert "BYE" in rig.sip


def test_a_window_that_cannot_use_the_far_ends_answer_loses_the_call() -> None:
    rig, _ = answered_at_kiosk()
    rig.reinvite_status = None
    die(rig, KIOSK.instance)
    rig.host_error = "no way to the far end"
    rig.settle_reinvite(rig.far.live()[0].session_id, 200)
    rig.run()
    assert (rig.call().state, rig.call().cause) == (CallState.DISPOSED, Cause.LOST)
    assert rig.far.live() == []


def test_a_new_connection_that_dies_with_its_window_leaves_a_held_call_held() -> None:
    rig, session = answered_at_kiosk()
    rig.do(Hold(call_id=rig.call().call_id), KIOSK)
    rig.reinvite_status = None
    rig.ask(ReInvite(call_id=rig.call().call_id), KIOSK)
    rig.run()
    die(rig, KIOSK.instance)
    rig.reinvite_status = 200
    rig.settle_reinvite(session, 200)
    rig.run()
    assert rig.call().held
    assert [Sdp.parse(sdp).direction for sdp in invites(rig)] == ["sendonly"] * 3


def test_a_call_that_ends_while_its_far_end_is_busy_is_forgotten() -> None:
    rig, session = answered_at_kiosk()
    rig.reinvite_status = 500
    die(rig, KIOSK.instance)
    assert rig.core._parts.anchors._again
    rig.hang_up_far(session)
    live(rig, 1.0, SURVIVORS)
    assert not rig.core._parts.anchors._again


def test_a_far_end_that_refuses_the_move_has_lost_the_call() -> None:
    rig, _ = answered_at_kiosk()
    rig.reinvite_status = 488
    die(rig, "kiosk")
    assert rig.call().cause is Cause.LOST
    assert rig.sip[-1] == "BYE"


def test_a_far_end_that_is_still_busy_with_the_dead_process_is_asked_again() -> None:
    rig, _ = answered_at_kiosk()
    rig.reinvite_status = 500
    die(rig, "kiosk")
    assert rig.call().state is CallState.ANSWERED
    live(rig, 1.0, SURVIVORS)
    assert len(invites(rig)) >= 2
    rig.reinvite_status = 200
    live(rig, 4.0, SURVIVORS)
    assert (rig.call().state, rig.call().media_host) == (CallState.ANSWERED, "desk")
    before = len(invites(rig))
    live(rig, 30.0, SURVIVORS)
    assert len(invites(rig)) == before


def test_a_far_end_that_stays_busy_has_lost_the_call_in_the_end() -> None:
    rig, _ = answered_at_kiosk()
    rig.reinvite_status = 500
    die(rig, "kiosk")
    live(rig, 17.0, SURVIVORS)
    assert rig.call().cause is Cause.LOST
    assert "500" in rig.call().reason
    before = len(invites(rig))
    live(rig, 30.0, SURVIVORS)
    assert len(invites(rig)) == before


def test_a_hold_that_is_under_way_at_the_death_is_settled_before_the_move() -> None:
    rig, session = answered_at_kiosk()
    rig.reinvite_status = None
    request = rig.ask(Hold(call_id=rig.call().call_id), WALL)
    rig.run()
    die(rig, "kiosk")
    assert [type(command) for to, command in rig.commands if to == "desk"] == []
    rig.reinvite_status = 200
    rig.settle_reinvite(session, 200)
    rig.run()
    assert isinstance(rig.answer_to(request), Done)
    assert rig.call().held
    assert [Sdp.parse(body).direction for body in invites(rig)] == ["sendonly", "sendonly"]
    assert rig.call().media_host == "desk"


def test_a_new_connection_that_the_dead_process_offered_is_not_applied_elsewhere() -> None:
    rig, session = answered_at_kiosk()
    rig.reinvite_status = None
    rig.ask(ReInvite(call_id=rig.call().call_id), WALL)
    rig.run()
    die(rig, "kiosk")
    rig.reinvite_status = 200
    rig.settle_reinvite(session, 200)
    rig.run()
    applied = [to for to, command in rig.commands if isinstance(command, ApplyAnswer)]
    assert applied == ["desk"]
    assert len(invites(rig)) == 2


def test_a_call_at_the_leader_that_died_goes_on_with_its_successor() -> None:
    rig = Rig()
    rig.ring()
    rig.do(Answer(call_id=rig.call().call_id), DESK)
    before = rig.call()
    rig.frames.clear()
    rig.take_over(estate=estate_of(rig))
    assert (rig.call().call_id, rig.call().state) == (before.call_id, CallState.ANSWERED)
    assert rig.call().media_host == "kiosk"
    assert len(invites(rig)) == 1
    methods = [frame.split(" ", 1)[0] for frame in rig.frames]
    assert methods.index("INVITE") > methods.index("REGISTER")
    assert isinstance(rig.do(Hangup(call_id=before.call_id), WALL), Done)


def test_a_leader_that_dies_during_the_move_leaves_it_to_its_successor() -> None:
    rig = Rig()
    rig.core.window_heard(WALL.__class__(instance="hall", name="hall", pid=9, media=True), rig.now)
    rig.core.host_attached("hall", rig.now)
    rig.ring()
    rig.do(Answer(call_id=rig.call().call_id), KIOSK)
    rig.ring()
    rig.do(Answer(call_id=rig.snapshot.calls[-1].call_id), DESK)
    rig.host_answers = False
    die(rig, "kiosk")
    moving = estate_of(rig).calls[0]
    assert (moving.is_orphan, moving.call.media_host) == (True, "hall")
    rig.host_answers = True
    rig.commands.clear()
    rig.frames.clear()
    rig.take_over(estate=estate_of(rig))
    rig.core.host_attached("hall", rig.now)
    rig.run()
    assert [call.state for call in rig.snapshot.calls] == [CallState.ANSWERED] * 2
    offers = [to for to, command in rig.commands if isinstance(command, MakeOffer)]
    assert offers == ["hall", "hall"]  # the only one left with sound
    assert len(invites(rig)) == 2


def test_a_call_moves_as_soon_as_there_is_a_connection_to_the_service_again() -> None:
    rig, _ = answered_at_kiosk()
    rig.core.disconnected(Problem.UNREACHABLE, "cut", rig.now)
    rig.run()
    die(rig, "kiosk")
    assert invites(rig) == []
    assert rig.call().state is CallState.ANSWERED
    rig.core.connected(rig.now)
    rig.run()
    assert len(invites(rig)) == 1
    assert rig.call().media_host == "desk"


def test_a_window_that_is_closed_takes_its_calls_with_it() -> None:
    rig, _ = answered_at_kiosk()
    rig.core.window_left("kiosk", rig.now)
    rig.run()
    assert rig.call().cause is Cause.HUNG_UP_HERE
    assert [to for to, command in rig.commands if isinstance(command, CloseMedia)] == ["kiosk"]
    assert rig.sip[-1] == "BYE"


def test_a_ringing_call_that_the_dead_window_was_answering_rings_on() -> None:
    rig = Rig()
    rig.ring(FAR_OFFER)
    rig.host_answers = False
    request = rig.ask(Answer(call_id=rig.call().call_id), KIOSK)
    rig.run()
    die(rig, "kiosk")
    assert isinstance(rig.answer_to(request), Refused)
    assert rig.call().state is CallState.RINGING


def test_a_far_end_that_hangs_up_during_the_move_has_ended_the_call() -> None:
    rig, session = answered_at_kiosk()
    rig.reinvite_status = None
    die(rig, "kiosk")
    rig.hang_up_far(session)
    assert rig.call().cause is Cause.HUNG_UP_THERE


def test_a_far_end_that_knows_the_call_no_more_when_it_moves_has_lost_it() -> None:
    rig, _ = answered_at_kiosk()
    rig.reinvite_status = 481
    die(rig, "kiosk")
    assert rig.call().cause is Cause.LOST
