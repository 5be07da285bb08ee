"""What a leader keeps of calls that are over: their ids for a while, and nothing that grows with each."""

import sys

import msgspec
import pytest

from shared.errors import MessageError
from shared.messages import (
    MAX_FRAME_BYTES,
    Answer,
    CallState,
    Done,
    Hangup,
    Refused,
    Request,
    SendDtmf,
    decode_to_leader,
    encode,
)

from .fakes import DESK, KIOSK, WALL, Rig, settings


def have_calls(rig: Rig, count: int) -> None:
    """Have so many calls, one a second; forget what the test's own world remembers of them."""
    for _ in range(count):
        rig.ring()
        call_id = rig.call().call_id
        assert isinstance(rig.do(Answer(call_id=call_id), KIOSK), Done)
        assert isinstance(rig.do(Hangup(call_id=call_id), KIOSK), Done)
        rig.wait(1.0)
        rig.far.tick(rig.now)
        for window in (DESK, KIOSK, WALL):
            rig.core.window_heard(window, rig.now)
        for seen in (rig.far_events, rig.sip, rig.frames, rig.commands, rig.replies, rig.effects):
            seen.clear()


def test_a_call_that_is_over_leaves_the_ids_of_its_actions_and_its_own() -> None:
    rig = Rig(settings=settings(ended_calls_time=0.5))
    have_calls(rig, 200)  # until all that is bounded is full
    before = sys.getallocatedblocks()
    have_calls(rig, 200)
    assert (sys.getallocatedblocks() - before) / 200 < 6


def test_a_state_that_is_made_again_takes_no_more_memory() -> None:
    rig = Rig()
    for _ in range(3):
        rig.ring()
    version, estate = rig.snapshot.version, rig.core.estate()
    before = sys.getallocatedblocks()
    for _ in range(300):
        assert len(rig.core.snapshot(version).calls) == 3
        assert rig.core.estate() == estate
    assert sys.getallocatedblocks() - before < 30


def test_no_text_of_others_makes_a_state_longer_than_a_frame() -> None:
    rig = Rig()
    for index in range(20):
        ids = f"party-id=p-{'a' * 20_000}{index};session-id=s-{'b' * 20_000}"
        rig.ring(headers=[("p-rc-api-ids", ids)])
        assert isinstance(rig.do(SendDtmf(call_id="x" * 50_000, tones="1" * 50_000)), Refused)
        rig.do(Hangup(call_id="x" * 50_000))
    assert len(encode(rig.snapshot)) < MAX_FRAME_BYTES / 4


def test_calls_that_end_faster_than_they_are_forgotten_do_not_make_a_state_longer_than_a_frame() -> None:
    rig = Rig()
    for _ in range(300):
        rig.hang_up_far(rig.ring())
    assert len(rig.snapshot.calls) == 100
    assert all(call.state.is_final for call in rig.snapshot.calls)
    rig.ring()
    assert rig.snapshot.calls[-1].state is CallState.RINGING


@pytest.mark.parametrize("name", ["action_id", "instance"])
def test_a_request_whose_names_are_long_is_not_read(name: str) -> None:
    request = Request(action_id="a", instance="desk", epoch=1, deadline=1.0, action=Hangup(call_id="c1"))
    with pytest.raises(MessageError):
        decode_to_leader(encode(msgspec.structs.replace(request, **{name: "x" * 65})))
