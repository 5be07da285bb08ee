"""What a leader leaves behind, and what its successor makes of it."""

from typing import Any

import msgspec
import pytest

from agents.phone import Estate, decode_estate
from agents.sip.message import parse
from shared.errors import MessageError
from shared.messages import (
    Answer,
    CallState,
    Cause,
    Done,
    Hangup,
    Hold,
    Mute,
    Problem,
    Refused,
    ShapeMedia,
    Unhold,
    Unmute,
    Window,
)

from .fakes import DESK, KIOSK, Rig, settings
from .talks import answered


def estate_of(rig: Rig) -> Estate:
    return decode_estate(rig.core.estate())


def answered_at(window: Window, **changes: Any) -> tuple[Rig, str]:
    """Return a rig with one call whose sound is at ``window``, and the far end's session."""
    rig = Rig(settings=settings(**changes))
    return rig, answered(rig, window).session


def test_a_call_whose_sound_is_elsewhere_outlives_its_leader_under_the_same_id() -> None:
    rig, _ = answered_at(KIOSK)
    before = rig.call()
    rig.take_over(estate=estate_of(rig))
    after = rig.call()
    assert (after.call_id, after.state, after.media_host) == (before.call_id, CallState.ANSWERED, "kiosk")


def test_the_successor_tells_the_far_end_where_it_is_with_a_later_sequence_number() -> None:
    rig, _ = answered_at(KIOSK)
    rig.do(Hold(call_id=rig.call().call_id), KIOSK)
    numbers = [parse(frame).cseq[0] for frame in rig.frames if frame.startswith("INVITE")]
    sent = len(rig.frames)
    rig.take_over(estate=estate_of(rig))
    later = [frame for frame in rig.frames[sent:] if frame.startswith("INVITE")]
    assert len(later) == 1
    assert parse(later[0]).cseq[0] > max(numbers)
    assert "a=sendonly" in later[0]  # it was on hold, and stays so
    assert rig.call().held


def test_a_successor_that_slept_while_another_led_is_heard_by_the_far_end_all_the_same() -> None:
    rig, _ = answered_at(KIOSK)
    call_id, old = rig.call().call_id, estate_of(rig)
    rig.take_over(estate=old)
    for action in (Hold, Unhold) * 10:
        assert isinstance(rig.do(action(call_id=call_id), KIOSK), Done)
    numbers = [parse(frame).cseq[0] for frame in rig.frames if frame.startswith("INVITE")]
    sent = len(rig.frames)
    rig.take_over(estate=old)  # it knows nothing of what the leader between has sent
    [moved] = [frame for frame in rig.frames[sent:] if frame.startswith("INVITE")]
    assert parse(moved).cseq[0] > max(numbers)
    assert rig.far.live()
    assert isinstance(rig.do(Hold(call_id=call_id), KIOSK), Done)


def test_the_successor_does_with_the_call_all_that_the_leader_could() -> None:
    rig, _ = answered_at(KIOSK)
    rig.take_over(estate=estate_of(rig))
    call_id = rig.call().call_id
    for action in (
        Hold(call_id=call_id),
        Unhold(call_id=call_id),
        Mute(call_id=call_id),
        Hangup(call_id=call_id),
    ):
        assert isinstance(rig.do(action, KIOSK), Done), action
    assert rig.call().cause is Cause.HUNG_UP_HERE
    assert "BYE" in rig.sip


def test_a_held_call_stays_silent_whatever_the_successor_does_to_it_next() -> None:
    rig, _ = answered_at(KIOSK)
    call_id = rig.call().call_id
    rig.do(Hold(call_id=call_id), KIOSK)
    rig.take_over(estate=estate_of(rig))
    rig.kinds()
    rig.do(Mute(call_id=call_id), KIOSK)
    assert [(each.muted, each.held) for _, each in rig.commands if isinstance(each, ShapeMedia)] == [
        (True, True)
    ]


@pytest.mark.parametrize(("first", "then"), [((), Hold), ((), Mute), ((Hold,), Unhold), ((Mute,), Unmute)])
def test_what_a_leader_told_the_host_and_died_before_it_was_shown_is_taken_back(
    first: tuple[type[Hold]], then: type[Hold]
) -> None:
    rig, _ = answered_at(KIOSK)
    call_id = rig.call().call_id
    for action in first:
        rig.do(action(call_id=call_id), KIOSK)
    shown = rig.call().muted, rig.call().held
    rig.reinvite_status, rig.host_answers = None, False
    rig.do(then(call_id=call_id), KIOSK)
    rig.reinvite_status, rig.host_answers = 200, True
    rig.kinds()
    rig.take_over(estate=estate_of(rig))
    assert (rig.call().muted, rig.call().held) == shown
    told = [(each.muted, each.held) for _, each in rig.commands if isinstance(each, ShapeMedia)]
    assert told == [shown]


def test_the_far_ends_hang_up_reaches_the_successor() -> None:
    rig, session = answered_at(KIOSK)
    rig.take_over(estate=estate_of(rig))
    rig.hang_up_far(session)
    assert rig.call().cause is Cause.HUNG_UP_THERE


def test_a_call_whose_sound_died_with_its_leader_is_lost_where_sound_must_not_move() -> None:
    rig, _ = answered_at(DESK, move_sound=False)
    rig.take_over(estate=estate_of(rig))
    assert (rig.call().state, rig.call().cause) == (CallState.DISPOSED, Cause.LOST)


def test_the_far_end_of_a_call_that_was_lost_is_told_as_soon_as_the_phone_is_registered() -> None:
    rig, _ = answered_at(DESK, move_sound=False)
    sent = len(rig.frames)
    rig.take_over(estate=estate_of(rig))
    methods = [frame.split(" ", 1)[0] for frame in rig.frames[sent:]]
    assert methods.count("BYE") == 1
    assert methods.index("BYE") > methods.index("REGISTER")


def test_a_call_at_a_leader_that_was_only_too_slow_goes_on() -> None:
    rig, _ = answered_at(DESK)
    rig.take_over(estate=estate_of(rig), predecessor_died=False)
    assert rig.call().state is CallState.ANSWERED
    assert isinstance(rig.do(Hold(call_id=rig.call().call_id), KIOSK), Done)


def test_a_call_at_a_leader_that_stays_silent_is_lost_after_the_presence_time() -> None:
    rig, _ = answered_at(DESK, move_sound=False)
    rig.take_over(estate=estate_of(rig), predecessor_died=False)
    rig.wait(2.1)
    assert rig.call().cause is Cause.LOST
    assert "BYE" in rig.sip


def test_a_call_that_rings_cannot_be_left_to_anybody() -> None:
    rig = Rig()
    rig.ring()
    assert estate_of(rig).calls == ()
    rig.take_over(estate=estate_of(rig))
    assert rig.call().cause is Cause.LOST


def test_a_call_that_ended_is_not_brought_back_by_an_old_estate() -> None:
    rig, session = answered_at(KIOSK)
    old = estate_of(rig)
    rig.hang_up_far(session)
    rig.take_over(estate=old)
    assert rig.call().cause is Cause.HUNG_UP_THERE


def test_a_call_that_the_far_end_hung_up_while_nobody_led_is_over() -> None:
    rig, _ = answered_at(KIOSK)
    rig.reinvite_status = 481
    rig.take_over(estate=estate_of(rig))
    assert (rig.call().cause, rig.call().status) == (Cause.HUNG_UP_THERE, 481)


def told(rig: Rig, session: str) -> bool:
    """Whether the far end knows that its call is over."""
    return session not in [one.session_id for one in rig.far.live()]


def test_a_call_that_was_hung_up_without_a_connection_stays_over_and_its_far_end_is_told() -> None:
    rig, session = answered_at(KIOSK)
    rig.core.disconnected(Problem.UNREACHABLE, "no network", rig.now)
    rig.do(Hangup(call_id=rig.call().call_id), KIOSK)
    rig.wait(settings().ended_calls_time + 1)
    assert rig.snapshot.calls == ()
    rig.take_over()
    assert rig.snapshot.calls == ()
    assert told(rig, session)


def test_a_call_that_was_given_up_without_a_connection_stays_over_and_its_far_end_is_told() -> None:
    rig, session = answered_at(KIOSK)
    rig.core.disconnected(Problem.UNREACHABLE, "no network", rig.now)
    rig.wait(60)
    rig.take_over()
    assert rig.snapshot.calls == ()
    assert told(rig, session)


def test_a_far_end_that_may_not_have_heard_the_bye_of_the_dead_is_told_by_the_successor_and_the_next() -> (
    None
):
    rig, session = answered_at(KIOSK)
    rig.is_cut = True
    rig.ask(Hangup(call_id=rig.call().call_id), KIOSK)
    rig.run()
    numbers = [parse(frame).cseq.number for frame in rig.frames if frame.startswith("BYE")]
    rig.take_over()
    rig.is_cut = False
    rig.take_over()
    later = [parse(frame).cseq.number for frame in rig.frames if frame.startswith("BYE")][len(numbers) :]
    assert len(later) == 1
    assert later[0] > max(numbers)
    assert told(rig, session)
    assert rig.call().cause is Cause.HUNG_UP_HERE


def test_a_call_that_was_hung_up_before_its_ack_came_is_ended_at_the_far_end_by_the_successor() -> None:
    rig = Rig()
    session = rig.ring()
    rig.is_cut = True  # our 200 is lost
    rig.do(Answer(call_id=rig.call().call_id), KIOSK)
    rig.ask(Hangup(call_id=rig.call().call_id), KIOSK)
    rig.run()
    rig.is_cut = False
    assert not told(rig, session)
    sent = len(rig.sip)
    rig.take_over()
    assert told(rig, session)
    later = rig.sip[sent:]
    assert later.index("200 INVITE") < later.index("BYE")


def test_a_far_end_that_has_answered_the_bye_is_not_told_again() -> None:
    rig, _ = answered_at(KIOSK)
    rig.do(Hangup(call_id=rig.call().call_id), KIOSK)
    rig.take_over()
    assert rig.sip.count("BYE") == 1


def test_a_session_that_cannot_be_read_loses_its_call_and_no_other() -> None:
    rig, _ = answered_at(KIOSK)
    [legacy] = estate_of(rig).calls
    for session in ("", "{}", "[]", '{"dialog": {}}', '{"dialog": {"local_cseq": "x"}}'):
        broken = msgspec.structs.replace(legacy, session=session)
        other, _ = answered_at(KIOSK)
        other.take_over(estate=Estate(epoch=other.epoch, calls=(broken,)))
        assert Cause.LOST in [call.cause for call in other.snapshot.calls], session
        assert isinstance(other.do(Hangup(call_id="none")), Refused)


@pytest.mark.parametrize("frame", [b"", b"{", b"\xff", b"[" * 10_000, b'{"epoch": "x"}'])
def test_an_estate_that_does_not_decode_is_an_error_that_quotes_nothing(frame: bytes) -> None:
    with pytest.raises(MessageError, match=f"estate of {len(frame)} bytes"):
        decode_estate(frame)


def test_the_repr_of_an_estate_shows_no_secret() -> None:
    rig, _ = answered_at(KIOSK)
    assert "canary" in rig.core.estate().decode()  # it holds them: that is why windows do not get it
    assert "canary" not in repr(estate_of(rig))
