"""What a leader keeps of calls that are over: their ids for a while, and nothing that grows with each."""

import sys

from shared.messages import Answer, Done, Hangup

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
