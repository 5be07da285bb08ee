"""What the service does with an answered call on request: recording, flipping, parking."""

from typing import Any

import pytest

from agents.phone.in_call import _RESULT_TIME
from shared.messages import (
    CallState,
    Cause,
    Dial,
    Done,
    Flip,
    Flipped,
    Hangup,
    Park,
    Parked,
    StartRecording,
    StopRecording,
)

from .fakes import Rig
from .service_talk import ask, asked, inform, is_info, tell
from .talks import answered, live, refused

# -- requests by INFO


def test_a_recording_is_state_once_the_service_says_that_it_records() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, StartRecording(call_id=talk.call_id))
    assert asked(rig) == {"reqid": 1, "command": "startcallrecord"}
    assert [rig.answer_to(request), talk.view.recording] == [None, False]
    tell(talk, 1, "startcallrecord")
    assert isinstance(rig.answer_to(request), Done)
    assert talk.view.recording
    request = ask(rig, StopRecording(call_id=talk.call_id))
    assert asked(rig) == {"reqid": 2, "command": "stopcallrecord"}
    tell(talk, 2, "stopcallrecord")
    assert isinstance(rig.answer_to(request), Done)
    assert not talk.view.recording


def test_a_recording_that_runs_is_not_asked_for_again() -> None:
    rig = Rig()
    talk = answered(rig)
    assert isinstance(rig.do(StopRecording(call_id=talk.call_id)), Done)
    assert [event for event in rig.far_events if is_info(event)] == []


def test_a_flip_returns_the_number_that_is_called_and_the_call_stays() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Flip(call_id=talk.call_id, target="16505550199"))
    assert asked(rig) == {"reqid": 1, "command": "callflip", "target": "16505550199"}
    tell(talk, 1, "callflip", number="+16505550199", target="16505550199")
    reply = rig.answer_to(request)
    assert isinstance(reply, Done)
    assert reply.value == Flipped(number="+16505550199")
    assert talk.view.state is CallState.ANSWERED


def test_a_parked_call_is_hung_up_here_and_its_place_is_returned() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Park(call_id=talk.call_id))
    assert asked(rig)["command"] == "callpark"
    rig.sip.clear()
    place: dict[str, Any] = {"park extension": "813"}
    tell(talk, 1, "callpark", **place)
    assert "BYE" in rig.sip
    reply = rig.answer_to(request)
    assert isinstance(reply, Done)
    assert reply.value == Parked(location="813")
    assert (talk.view.state, talk.view.cause) == (CallState.DISPOSED, Cause.PARKED)


def test_what_the_service_cannot_do_is_refused_with_its_words() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Park(call_id=talk.call_id))
    asked(rig)
    tell(talk, 1, "callpark", code=7)
    assert "Failed" in refused(rig.answer_to(request), "far_end").message
    assert talk.view.state is CallState.ANSWERED


def test_an_info_that_is_refused_is_told_with_its_status() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, StartRecording(call_id=talk.call_id))
    asked(rig, status=501)
    assert refused(rig.answer_to(request), "far_end").status == 501


@pytest.mark.parametrize(
    "body",
    [
        b"Signal=5",
        b"[" * 200,
        b'{"response":{"reqid":"1"}}',
        b'{"response":{"reqid":2,"command":"startcallrecord","result":{"code":0}}}',
        b'{"response":{"reqid":1,"command":"callpark","result":{"code":0}}}',
    ],
)
def test_an_info_that_answers_nothing_changes_nothing(body: bytes) -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, StartRecording(call_id=talk.call_id))
    asked(rig)
    inform(talk, body)
    assert rig.answer_to(request) is None
    assert not talk.view.recording


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (b'{"code":"0"}', "unknown"),
        (b'{"code":null}', "unknown"),
        (b'{"code":1e400}', "unknown"),
        (b'{"code":0,"park extension":[1]}', "unknown"),
        (b"{}", "unknown"),
        (b"[]", "unknown"),
        (b'"x"', "unknown"),
        (b"1" * 5_000, "unknown"),
        (b'{"code":%s}' % (b"9" * 4_000), "far_end"),
        (b'{"code":%s}' % (b"9" * 5_000), "unknown"),
        (b'{"code":-1,"description":"' + b"x" * 9_000 + b'"}', "far_end"),
        (b'{"code":7,"description":"\\u001b[2J no \\u202e"}', "far_end"),
    ],
)
def test_a_result_that_cannot_be_read_is_an_error_at_once(result: bytes, code: str) -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Park(call_id=talk.call_id))
    asked(rig)
    inform(talk, b'{"response":{"reqid":1,"command":"callpark","result":%s}}' % result)
    message = refused(rig.answer_to(request), code).message
    assert message.isprintable()
    assert len(message) < 250
    assert talk.view.state is CallState.ANSWERED


def test_what_the_service_calls_a_place_or_a_number_is_shown_without_control_characters() -> None:
    rig = Rig()
    talk = answered(rig)
    flip = ask(rig, Flip(call_id=talk.call_id, target="102"))
    asked(rig)
    tell(talk, 1, "callflip", number="\x1b[31m+1650" + "5" * 100)
    park = ask(rig, Park(call_id=talk.call_id))
    asked(rig)
    place: dict[str, Any] = {"park extension": "8\r\n13\x07"}
    tell(talk, 2, "callpark", **place)
    replies = [rig.answer_to(request) for request in (flip, park)]
    assert [reply.value for reply in replies if isinstance(reply, Done)] == [
        Flipped(number="[31m+1650" + "5" * 55),
        Parked(location="8 13"),
    ]


def test_a_result_that_never_comes_is_unknown() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, StartRecording(call_id=talk.call_id))
    asked(rig)
    live(rig, _RESULT_TIME)
    refused(rig.answer_to(request), "unknown")
    assert isinstance(rig.do(Hangup(call_id=talk.call_id)), Done)


def test_the_same_is_not_asked_for_twice_at_once_and_a_flip_needs_a_number() -> None:
    rig = Rig()
    talk = answered(rig)
    ask(rig, StartRecording(call_id=talk.call_id))
    refused(rig.do(StartRecording(call_id=talk.call_id)), "wrong_state")
    refused(rig.do(Flip(call_id=talk.call_id, target="a b")), "bad_request")


def test_a_call_that_ends_takes_its_requests_with_it() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, StartRecording(call_id=talk.call_id))
    talk.hang_up_far()
    refused(rig.answer_to(request), "wrong_state")


def test_a_call_that_rings_cannot_be_parked_or_recorded() -> None:
    rig = Rig()
    done = rig.do(Dial(target="199"))
    assert isinstance(done, Done)
    for action in (Park(call_id=done.call_id), Park(call_id=done.call_id, slot="1")):
        refused(rig.do(action), "wrong_state")
    refused(rig.do(StartRecording(call_id=done.call_id)), "wrong_state")


# -- private parking


def test_a_call_is_parked_privately_by_a_transfer_to_the_slot() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Park(call_id=talk.call_id, slot="42"))
    assert talk.answer_refer(202).target == "prk42"
    talk.notify("200 OK")
    talk.hang_up_far()
    reply = rig.answer_to(request)
    assert isinstance(reply, Done)
    assert reply.value == Parked(location="42")
    assert talk.view.cause is Cause.PARKED


def test_a_private_park_of_a_far_end_that_still_rings_is_an_error_of_its_own() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Park(call_id=talk.call_id, slot="42"))
    talk.answer_refer(202)
    talk.notify("486 Busy Here")
    reply = refused(rig.answer_to(request), "wrong_state")
    assert reply.status == 486
    assert "rings" in reply.message
    assert talk.view.state is CallState.ANSWERED
