"""Keys: what the far end presses is shown once, and what we press goes by INFO where the sound takes none."""

import pytest

from agents.phone import decode_estate
from agents.phone.tones import takes_events
from shared.messages import Done, Keys, KeysPressed, SendDtmf

from .fakes import FAR_OFFER, Rig
from .service_talk import ask, asked, is_info
from .talks import Talk, answered, refused


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


def without_events(sdp: str) -> str:
    return "".join(line for line in sdp.splitlines(keepends=True) if "telephone-event" not in line)


def talk_without_events(rig: Rig) -> Talk:
    talk = answered(rig, sdp=without_events(FAR_OFFER))
    rig.kinds()
    return talk


def test_keys_go_by_info_one_after_the_other_where_the_sound_takes_none() -> None:
    rig = Rig()
    talk = talk_without_events(rig)
    request = ask(rig, SendDtmf(call_id=talk.call_id, tones="1a#"))
    keys = []
    for _ in range(3):
        assert rig.answer_to(request) is None
        [_] = [event for event in rig.far_events if is_info(event)]
        keys.append(asked(rig))
    assert keys == [{"Signal": key, "Duration": "160"} for key in "1A#"]
    assert isinstance(rig.answer_to(request), Done)
    assert rig.kinds() == []


def test_a_far_end_that_takes_no_keys_at_all_is_told_with_its_status() -> None:
    rig = Rig()
    talk = talk_without_events(rig)
    request = ask(rig, SendDtmf(call_id=talk.call_id, tones="12"))
    asked(rig, status=415)
    assert refused(rig.answer_to(request), "far_end").status == 415
    assert [event for event in rig.far_events if is_info(event)] == []


def test_two_sequences_of_keys_by_info_are_not_mixed() -> None:
    rig = Rig()
    talk = talk_without_events(rig)
    ask(rig, SendDtmf(call_id=talk.call_id, tones="12"))
    refused(rig.do(SendDtmf(call_id=talk.call_id, tones="34")), "wrong_state")


@pytest.mark.parametrize(
    ("sdp", "takes"), [(FAR_OFFER, True), (without_events(FAR_OFFER), False), ("", True)]
)
def test_a_description_says_whether_it_takes_keys(sdp: str, takes: bool) -> None:
    assert takes_events(sdp) is takes
