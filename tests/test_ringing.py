"""What can be done with a call that rings, other than to answer it."""

from typing import Any

import pytest

from agents.phone.ringing import _TAKING_TIME, CHOICE_TIME, reply_body
from agents.sip.events import SessionEnded
from agents.sip.ringcentral import AgentMessage, Command
from shared.errors import ActionRefused
from shared.messages import (
    Answer,
    CallState,
    Cause,
    Decline,
    Done,
    Forward,
    Replied,
    ReplyKind,
    SendReply,
    StartReply,
    ToVoicemail,
)

from .fakes import KIOSK, WALL, Rig
from .service_talk import P_RC, QUEUE, SID, closed, ringing
from .talks import live, refused


def last(rig: Rig) -> tuple[int, dict[str, str]]:
    """Return the command that was sent last, and its attributes but for our own name."""
    document = rig.documents[-1]
    assert (document.sid, document.sender) == (SID, P_RC.recipient)
    body = dict(document.body)
    assert body.pop("Cln") == "800000000101"
    return document.command, body


def test_a_call_shows_what_the_service_says_of_it() -> None:
    rig = Rig()
    ringing(rig, QUEUE, ("p-rc-api-ids", "party-id=p-1-2;session-id=s-1"))
    call = rig.call()
    assert call.call_info == {
        "callAttributes": "queue-call,reject",
        "callerIdName": "ADA",
        "queueName": "Sales=all",
    }
    assert (call.local_name, call.session_id, call.party_id) == ("Front Desk", "s-1", "p-1-2")
    assert rig.documents[0].command == Command.CLIENT_RECEIVE_CONFIRM


@pytest.mark.parametrize(
    ("action", "command", "body", "cause"),
    [
        (Decline, 12, {}, Cause.DECLINED),
        (ToVoicemail, 11, {}, Cause.VOICEMAIL),
        (Forward, 10, {"FwdDly": "0", "Phn": "16505550199", "PhnTp": "3"}, Cause.FORWARDED),
    ],
)
def test_a_diverted_call_is_done_when_the_service_has_taken_it(
    action: Any, command: int, body: dict[str, str], cause: Cause
) -> None:
    rig = Rig()
    call_id, session = ringing(rig)
    more = {"target": "16505550199"} if action is Forward else {}
    request = rig.ask(action(call_id=call_id, **more), WALL)
    rig.run()
    assert last(rig) == (command, body)
    assert rig.answer_to(request) is None
    assert rig.call().state is CallState.RINGING
    rig.tell(closed())
    rig.hang_up_far(session)
    assert isinstance(rig.answer_to(request), Done)
    assert (rig.call().state, rig.call().cause) == (CallState.DISPOSED, cause)


def test_a_caller_who_gives_up_before_the_service_has_the_command_was_not_declined() -> None:
    rig = Rig()
    call_id, session = ringing(rig)
    rig.message_status = None
    request = rig.ask(Decline(call_id=call_id))
    rig.run()
    rig.hang_up_far(session)
    refused(rig.answer_to(request), "wrong_state")
    assert rig.call().cause is Cause.CANCELLED


def test_a_service_that_refuses_the_command_leaves_the_call_ringing() -> None:
    rig = Rig()
    call_id, _ = ringing(rig)
    rig.message_status = 403
    reply = refused(rig.do(ToVoicemail(call_id=call_id)), "far_end")
    assert reply.status == 403
    assert rig.call().state is CallState.RINGING
    rig.message_status = 200
    assert isinstance(rig.do(Answer(call_id=call_id)), Done)


def test_a_command_that_comes_to_nothing_is_unknown_and_the_call_can_be_answered() -> None:
    rig = Rig()
    call_id, _ = ringing(rig)
    request = rig.ask(Decline(call_id=call_id))
    rig.run()
    live(rig, _TAKING_TIME)
    refused(rig.answer_to(request), "unknown")
    assert isinstance(rig.do(Answer(call_id=call_id)), Done)


def test_a_lost_connection_leaves_the_outcome_of_a_command_unknown() -> None:
    rig = Rig()
    call_id, _ = ringing(rig)
    rig.message_status = None
    request = rig.ask(ToVoicemail(call_id=call_id))
    rig.run()
    rig.core.disconnected("unreachable", "cut", rig.now)  # type: ignore[arg-type]
    rig.run()
    refused(rig.answer_to(request), "unknown")


def test_two_windows_cannot_want_different_things_of_one_call() -> None:
    rig = Rig()
    call_id, _ = ringing(rig)
    rig.ask(ToVoicemail(call_id=call_id), KIOSK)
    for action in (Answer(call_id=call_id), Decline(call_id=call_id)):
        assert "kiosk" in refused(rig.do(action), "wrong_state").message


def test_a_queue_call_can_only_be_answered_or_declined() -> None:
    rig = Rig()
    call_id, _ = ringing(rig, QUEUE)
    for action in (
        ToVoicemail(call_id=call_id),
        Forward(call_id=call_id, target="102"),
        SendReply(call_id=call_id, text="later"),
        StartReply(call_id=call_id),
    ):
        refused(rig.do(action), "not_allowed")
    assert [document.command for document in rig.documents] == [Command.CLIENT_RECEIVE_CONFIRM]
    rig.ask(Decline(call_id=call_id))
    rig.run()
    assert last(rig) == (12, {})


def test_a_call_without_a_message_channel_can_be_declined_but_not_sent_to_voicemail() -> None:
    rig = Rig()
    rig.ring()
    call_id = rig.call().call_id
    refused(rig.do(ToVoicemail(call_id=call_id)), "not_allowed")
    rig.sip.clear()
    assert isinstance(rig.do(Decline(call_id=call_id)), Done)
    assert rig.sip == ["603 INVITE"]
    [ended] = [event for event in rig.far_events if isinstance(event, SessionEnded)]
    assert ended.status == 603


def test_only_a_ringing_inbound_call_can_be_sent_elsewhere() -> None:
    rig = Rig()
    call_id, _ = ringing(rig)
    rig.do(Answer(call_id=call_id))
    refused(rig.do(ToVoicemail(call_id=call_id)), "wrong_state")
    refused(rig.do(Forward(call_id="nothing", target="1")), "no_such_call")


def test_forward_refuses_what_is_no_number() -> None:
    rig = Rig()
    call_id, _ = ringing(rig)
    refused(rig.do(Forward(call_id=call_id, target='1"/><x')), "bad_request")
    assert len(rig.documents) == 1


def test_start_reply_is_done_when_the_service_has_it_and_the_call_rings_on() -> None:
    rig = Rig()
    call_id, _ = ringing(rig)
    assert isinstance(rig.do(StartReply(call_id=call_id)), Done)
    assert last(rig) == (13, {})
    assert rig.call().state is CallState.RINGING


@pytest.mark.parametrize(
    ("body", "replied"),
    [
        ({"Sts": "0", "Resp": "1"}, Replied(answer="yes")),
        (
            {"Sts": "0", "Resp": "2", "Phn": "+1650", "Nm": "ADA"},
            Replied(answer="no", number="+1650", name="ADA"),
        ),
        (
            {"Sts": "0", "Resp": "3", "ExtNfo": "16505550177"},
            Replied(answer="urgent", callback="16505550177"),
        ),
        ({"Sts": "1", "Resp": "1"}, Replied()),
        ({"Sts": "0", "Resp": "9", "ExtNfo": "1"}, Replied()),
        ({}, Replied()),
    ],
)
def test_a_reply_returns_what_the_caller_chose(body: dict[str, str], replied: Replied) -> None:
    rig = Rig()
    call_id, session = ringing(rig)
    request = rig.ask(SendReply(call_id=call_id, text='On my "way" & <soon>'), WALL)
    rig.run()
    assert last(rig) == (14, {"RepTp": "0", "Bdy": 'On my "way" & <soon>'})
    rig.hang_up_far(session)
    assert rig.answer_to(request) is None
    assert rig.call().cause is Cause.REPLIED
    rig.tell(closed(**body))
    reply = rig.answer_to(request)
    assert isinstance(reply, Done)
    assert reply.value == replied


def test_a_choice_that_is_never_heard_of_leaves_the_reply_unknown() -> None:
    rig = Rig()
    call_id, session = ringing(rig)
    request = rig.ask(SendReply(call_id=call_id, text="later"))
    rig.run()
    rig.hang_up_far(session)
    live(rig, CHOICE_TIME)
    assert "chose" in refused(rig.answer_to(request), "unknown").message


def test_what_another_caller_chose_is_not_taken_for_this_one() -> None:
    rig = Rig()
    call_id, session = ringing(rig)
    request = rig.ask(SendReply(call_id=call_id, text="later"))
    rig.run()
    rig.hang_up_far(session)
    other = AgentMessage("1", "", "#1@sip.test", "101", Command.SESSION_CLOSE, {"Sts": "0", "Resp": "1"})
    rig.tell(other)
    assert rig.answer_to(request) is None


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (SendReply(call_id="c", kind=ReplyKind.ON_MY_WAY), {"RepTp": "2"}),
        (SendReply(call_id="c", kind=ReplyKind.ON_OTHER_LINE), {"RepTp": "3"}),
        (SendReply(call_id="c", kind=ReplyKind.IN_A_MEETING), {"RepTp": "5"}),
        (SendReply(call_id="c", kind=ReplyKind.ON_OTHER_LINE_NO_CALL), {"RepTp": "6"}),
        (
            SendReply(call_id="c", kind=ReplyKind.CALL_YOU_BACK_LATER, direction="from_caller"),
            {"RepTp": "4", "Dir": "1"},
        ),
        (
            SendReply(call_id="c", kind=ReplyKind.CALL_YOU_BACK, delay=2, units="hours"),
            {"RepTp": "1", "Dir": "0", "Vl": "2", "Units": "1"},
        ),
    ],
)
def test_each_structured_reply_is_written_as_the_service_expects_it(
    reply: SendReply, body: dict[str, str]
) -> None:
    assert list(reply_body(reply).items()) == list(body.items())


@pytest.mark.parametrize(
    "reply",
    [
        SendReply(call_id="c"),
        SendReply(call_id="c", text=" "),
        SendReply(call_id="c", text="x" * 501),
        SendReply(call_id="c", kind=ReplyKind.ON_MY_WAY, text="and a text"),
        SendReply(call_id="c", kind=ReplyKind.CALL_YOU_BACK),
        SendReply(call_id="c", kind=ReplyKind.CALL_YOU_BACK, delay=1000),
    ],
)
def test_a_reply_that_makes_no_sense_is_refused_before_anything_is_sent(reply: SendReply) -> None:
    with pytest.raises(ActionRefused) as caught:
        reply_body(reply)
    assert caught.value.code == "bad_request"
