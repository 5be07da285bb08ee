"""What the service does with an answered call on request, and changes of its sound."""

from typing import Any

import msgspec
import pytest

from agents.phone.in_call import _RESULT_TIME
from agents.phone.tones import takes_events
from agents.sip.events import DialogRequestDone, DialogRequestReceived, ReinviteReceived
from agents.sip.message import make_response
from agents.sip.sdp import Sdp
from shared.messages import (
    Answer,
    CallState,
    Cause,
    Dial,
    Done,
    Flip,
    Flipped,
    Hangup,
    Hold,
    Mute,
    Park,
    Parked,
    Problem,
    ReInvite,
    Request,
    SendDtmf,
    StartRecording,
    StopRecording,
    Transfer,
    Unhold,
)

from .fakes import FAR_ANSWER, FAR_OFFER, WALL, Rig
from .test_actions import refused
from .test_phone_transfers import Talk, answered
from .test_ringing import wait


def asked(rig: Rig, *, status: int = 200) -> dict[str, Any]:
    """Answer the oldest INFO, and return what it asks for."""
    event = next(event for event in rig.far_events if is_info(event))
    rig.far_events.remove(event)
    rig.far.respond(event.key, make_response(event.request, status), rig.now)
    rig.run()
    content_type = event.request.headers.get("Content-Type")
    if content_type == "application/dtmf-relay":
        return dict(line.split("=") for line in event.request.body.splitlines())
    assert content_type == "application/json;charset=utf-8"
    document: dict[str, Any] = msgspec.json.decode(event.request.body)
    return dict(document["request"])


def is_info(event: object) -> bool:
    return isinstance(event, DialogRequestReceived) and event.request.method == "INFO"


def tell(talk: Talk, reqid: int, command: str, code: int = 0, **result: Any) -> None:
    """Let the service say what became of a request."""
    facts = {"code": code, "description": "Failed" if code else "Succeeded", **result}
    inform(talk, msgspec.json.encode({"response": {"reqid": reqid, "command": command, "result": facts}}))


def inform(talk: Talk, body: bytes) -> None:
    headers = [("Content-Type", "application/json;charset=utf-8")]
    talk.rig.far.request_in_dialog(
        talk.session, "INFO", talk.rig.now, headers=headers, body=body.decode() + "\r\n"
    )
    talk.rig.run()


def ask(rig: Rig, action: Any) -> Request:
    request = rig.ask(action, WALL)
    rig.run()
    return request


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
    wait(rig, _RESULT_TIME)
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


# -- keys by INFO


def without_events(sdp: str) -> str:
    return "".join(line for line in sdp.splitlines(keepends=True) if "telephone-event" not in line)


def talk_without_events(rig: Rig) -> Talk:
    session = rig.ring(without_events(FAR_OFFER))
    talk = Talk(rig, rig.call().call_id, session)
    assert isinstance(rig.do(Answer(call_id=talk.call_id)), Done)
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


# -- another connection


def test_a_re_invite_offers_a_new_connection_and_applies_the_answer() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.kinds()
    rig.sip.clear()
    assert isinstance(rig.do(ReInvite(call_id=talk.call_id)), Done)
    assert rig.sip == ["INVITE", "ACK"]
    assert rig.kinds() == ["MakeOffer", "ApplyAnswer"]
    [reinvite] = [event for event in rig.far_events if isinstance(event, ReinviteReceived)]
    assert (reinvite.direction, Sdp.parse(reinvite.sdp).attribute("setup")) == ("sendrecv", "actpass")


def test_a_re_invite_of_a_held_call_keeps_it_held_and_its_version_rises() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.do(Hold(call_id=talk.call_id))
    assert isinstance(rig.do(ReInvite(call_id=talk.call_id)), Done)
    held, renewed = [event for event in rig.far_events if isinstance(event, ReinviteReceived)]
    assert renewed.direction == "sendonly"
    assert Sdp.parse(renewed.sdp).version > Sdp.parse(held.sdp).version
    assert talk.view.held


def test_a_re_invite_that_the_far_end_refuses_leaves_the_call_as_it_was() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.reinvite_status = 488
    assert refused(rig.do(ReInvite(call_id=talk.call_id)), "far_end").status == 488
    rig.reinvite_status = 200
    assert isinstance(rig.do(ReInvite(call_id=talk.call_id)), Done)


def test_a_re_invite_without_sound_is_refused_and_may_be_asked_for_again() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.host_error = "no ports"
    refused(rig.do(ReInvite(call_id=talk.call_id)), "no_media")
    rig.host_error = ""
    assert isinstance(rig.do(ReInvite(call_id=talk.call_id)), Done)


def test_one_change_of_the_sound_at_a_time() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.host_answers = False
    ask(rig, ReInvite(call_id=talk.call_id))
    refused(rig.do(Hold(call_id=talk.call_id)), "wrong_state")
    refused(rig.do(ReInvite(call_id=talk.call_id)), "wrong_state")


@pytest.mark.parametrize("action", [Hold, ReInvite])
def test_a_change_that_a_lost_connection_cuts_is_unknown(action: Any) -> None:
    rig = Rig()
    talk = answered(rig)
    rig.reinvite_status = None
    request = ask(rig, action(call_id=talk.call_id))
    rig.core.disconnected(Problem.UNREACHABLE, "cut", rig.now)
    rig.run()
    refused(rig.answer_to(request), "unknown")
    assert not talk.view.held


def test_a_request_or_transfer_that_a_lost_connection_cuts_is_unknown() -> None:
    rig = Rig()
    talk = answered(rig)
    requests = [
        ask(rig, StartRecording(call_id=talk.call_id)),
        ask(rig, Transfer(call_id=talk.call_id, target="102")),
    ]
    rig.core.disconnected(Problem.UNREACHABLE, "cut", rig.now)
    rig.run()
    for request in requests:
        refused(rig.answer_to(request), "unknown")
    assert talk.view.state is CallState.ANSWERED


def test_after_a_lost_connection_the_far_end_is_told_where_we_are_and_a_hold_stays_one() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.do(Hold(call_id=talk.call_id))
    rig.far_events.clear()
    rig.core.disconnected(Problem.UNREACHABLE, "cut", rig.now)
    rig.core.connected(rig.now)
    rig.run()
    [reinvite] = [event for event in rig.far_events if isinstance(event, ReinviteReceived)]
    assert reinvite.direction == "sendonly"
    assert talk.view.held
    assert isinstance(rig.do(Unhold(call_id=talk.call_id)), Done)


# -- who holds whom


def test_a_far_end_whose_answer_to_an_unhold_says_hold_holds_us() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.do(Hold(call_id=talk.call_id))
    assert (talk.view.held, talk.view.held_by_remote) == (True, False)
    rig.reinvite_sdp = FAR_ANSWER.replace("sendrecv", "sendonly")
    rig.do(Unhold(call_id=talk.call_id))
    assert (talk.view.held, talk.view.held_by_remote) == (False, True)


def test_a_far_end_that_answers_on_hold_is_shown_so() -> None:
    rig = Rig()
    rig.do(Dial(target="199"))
    session = rig.far.live()[-1].session_id
    rig.far.answer(session, FAR_ANSWER.replace("sendrecv", "sendonly"), rig.now)
    rig.run()
    assert rig.call().held_by_remote


# -- sound before the answer


def test_what_the_far_end_says_before_it_answers_is_heard() -> None:
    rig = Rig()
    rig.do(Dial(target="199"))
    session = rig.far.live()[-1].session_id
    rig.far.progress(session, 183, rig.now, sdp=FAR_ANSWER)
    rig.run()
    assert rig.call().state is CallState.RINGING
    assert rig.kinds() == ["MakeOffer", "ApplyAnswer"]
    rig.far.answer(session, "", rig.now)
    rig.run()
    assert rig.call().state is CallState.ANSWERED
    assert rig.kinds() == ["ApplyAnswer"]  # for its direction


def test_somebody_else_who_answers_than_was_heard_gets_a_connection_of_its_own() -> None:
    rig = Rig()
    rig.do(Dial(target="199"))
    session = rig.far.live()[-1].session_id
    rig.far.progress(session, 183, rig.now, sdp=FAR_ANSWER)
    rig.run()
    rig.kinds()
    rig.far.answer(session, FAR_ANSWER.replace("ufrag:far", "ufrag:other"), rig.now)
    rig.run()
    assert rig.kinds() == ["MakeOffer", "ApplyAnswer"]
    assert rig.sip[-3:] == ["ACK", "INVITE", "ACK"]
    assert isinstance(rig.do(Mute(call_id=rig.call().call_id)), Done)


def test_an_empty_update_is_answered_at_once() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.far.request_in_dialog(talk.session, "UPDATE", rig.now)
    rig.run()
    done = [event for event in rig.far_events if isinstance(event, DialogRequestDone)]
    assert [event.status for event in done] == [200]
