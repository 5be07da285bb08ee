"""Keys that the far end presses: heard by the host of its sound or told by INFO, and shown once."""

import pytest

from agents.phone import decode_estate
from shared.messages import Keys, KeysPressed

from .fakes import Rig
from .test_phone_transfers import Talk, answered


def talk() -> Talk:
    return answered(Rig())


def hear(rig: Rig, newest: str, count: int, instance: str = "desk") -> Keys:
    """Let a host say what it has heard; return what windows see."""
    call_id = rig.call().call_id
    message = KeysPressed(epoch=rig.epoch, call_id=call_id, instance=instance, newest=newest, count=count)
    rig.core.keys_pressed(message, rig.now)
    rig.run()
    return rig.call().keys


def test_what_a_host_hears_is_shown_once_however_often_it_says_so() -> None:
    rig = talk().rig
    assert (hear(rig, "1", 1).newest, rig.call().keys.count) == ("1", 1)
    version = rig.sequence
    assert hear(rig, "1", 1).count == 1
    assert rig.sequence == version
    assert hear(rig, "1234", 4) == Keys(newest="1234", count=4, host="desk", host_count=4)


def test_the_next_leader_counts_on_and_a_new_host_begins_anew() -> None:
    rig = talk().rig
    hear(rig, "12", 2)
    rig.take_over(estate=decode_estate(rig.core.estate()), predecessor_died=False)
    assert hear(rig, "123", 3).newest == "123"
    assert hear(rig, "9", 1, instance="kiosk") == Keys(newest="1239", count=4, host="kiosk", host_count=1)


@pytest.mark.parametrize("newest", ["", "x", "1" * 33, "1\n"])
def test_what_is_no_keys_is_ignored(newest: str) -> None:
    assert hear(talk().rig, newest, 3) == Keys()


def test_keys_by_info_are_shown_as_well() -> None:
    one = talk()
    for kind, body in (
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"),
        ("application/dtmf-relay", "Signal= a\r\nDuration=160\r\n"),
        ("application/dtmf-relay", "Signal=nothing\r\n"),
        ("text/plain", "Signal=7\r\n"),
    ):
        one.rig.far.request_in_dialog(
            one.session, "INFO", one.rig.now, headers=[("Content-Type", kind)], body=body
        )
        one.rig.run()
    assert (one.rig.call().keys.newest, one.rig.call().keys.count) == ("5A", 2)
    assert hear(one.rig, "8", 1).newest == "5A8"
