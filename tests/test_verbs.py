"""What is typed into a window, and the action that comes of it; a call's end in words."""

import asyncio
from typing import Any

import pytest

from coordinator.command.console import describe, in_words
from coordinator.command.verbs import HELP, Verbs
from shared.errors import ActionRefused
from shared.messages import (
    Action,
    CallState,
    Cause,
    Decline,
    Done,
    Flip,
    Forward,
    Hangup,
    Hold,
    Park,
    ReInvite,
    Replied,
    ReplyKind,
    SendReply,
    StartRecording,
    StopRecording,
    ToVoicemail,
    Transfer,
    Version,
)
from shared.phone import Phone
from shared.replica import CallAdded

from .fakes import FakeAgent, a_call, snapshot


def phone_with(*calls: object) -> tuple[Phone, FakeAgent]:
    agent = FakeAgent(snapshot=snapshot(1, 1))
    phone = Phone(agent)
    phone.apply([CallAdded(call) for call in calls])  # type: ignore[arg-type]
    return phone, agent


def typed(line: str, *calls: object, value: Replied | None = None) -> tuple[list[Action], str]:
    """Type a line; return the actions that it made and what it said."""
    phone, agent = phone_with(*calls)
    agent.answer = lambda _: Done(action_id="a", version=Version(1, 1), value=value)
    verb, *words = line.split()
    said = asyncio.run(Verbs(phone).run(verb, words))
    return agent.asked, said


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ("decline", Decline(call_id="r1")),
        ("voicemail", ToVoicemail(call_id="r1")),
        ("forward 102", Forward(call_id="r1", target="102")),
        ("forward 102 r1", Forward(call_id="r1", target="102")),
        ("reply on_my_way", SendReply(call_id="r1", kind=ReplyKind.ON_MY_WAY)),
        ("reply r1 in_a_meeting", SendReply(call_id="r1", kind=ReplyKind.IN_A_MEETING)),
        ("reply see you soon", SendReply(call_id="r1", text="see you soon")),
        (
            "reply call_you_back from_caller 2 hours",
            SendReply(
                call_id="r1", kind=ReplyKind.CALL_YOU_BACK, direction="from_caller", delay=2, units="hours"
            ),
        ),
        ("hold", Hold(call_id="a1")),
        ("transfer 103", Transfer(call_id="a1", target="103")),
        ("hangup", Hangup(call_id="a1")),
        ("record", StartRecording(call_id="a1")),
        ("stop a1", StopRecording(call_id="a1")),
        ("flip 103", Flip(call_id="a1", target="103")),
        ("park", Park(call_id="a1")),
        ("hide 42", Park(call_id="a1", slot="42")),
        ("renew", ReInvite(call_id="a1")),
    ],
)
def test_a_line_becomes_an_action_for_the_call_that_it_fits(line: str, action: Action) -> None:
    asked, _ = typed(line, a_call("r1"), a_call("a1", state="answered"))
    assert asked == [action]


def test_a_reply_says_what_the_caller_chose() -> None:
    value = Replied(answer="urgent", callback="16505550177")
    assert typed("reply soon", a_call("r1"), value=value)[1] == "urgent 16505550177"


@pytest.mark.parametrize("line", ["sing", "forward", "hold a1 b2", "reply", "complete"])
def test_what_is_not_understood_does_nothing(line: str) -> None:
    phone, agent = phone_with(a_call("a1", state="answered"))
    verb, *words = line.split()
    with pytest.raises(ActionRefused):
        asyncio.run(Verbs(phone).run(verb, words))
    assert agent.asked == []


def test_a_verb_that_fits_no_call_says_so() -> None:
    with pytest.raises(ActionRefused, match="there is no call for that"):
        typed("voicemail", a_call("a1", state="answered"))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"state": "ringing"}, "ringing"),
        (
            {"state": "answered", "held": True, "muted": True, "held_by_remote": True, "recording": True},
            "answered, held, held by the far end, muted, being recorded",
        ),
        ({"state": "disposed", "cause": "answered_elsewhere"}, "ended: answered elsewhere"),
        ({"state": "disposed", "cause": "hung_up_there"}, "ended: the far end hung up"),
        (
            {"state": "failed", "cause": "rejected", "status": 486, "reason": "Busy Here"},
            "failed: refused with 486 Busy Here",
        ),
        (
            {"state": "disposed", "cause": "lost", "reason": "a process that it needs has died"},
            "ended: lost: a process that it needs has died",
        ),
        ({"state": "failed", "cause": "timeout"}, "failed: no answer from the far end"),
    ],
)
def test_the_state_of_a_call_is_told_in_words(facts: dict[str, Any], words: str) -> None:
    assert in_words(a_call(**facts)) == words
    [*_, line] = describe(snapshot(1, 1, a_call(**facts)))
    assert line == f"  call c1 inbound +16505550123: {words}"


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_words(cause: Cause) -> None:
    words = in_words(a_call(state="disposed", cause=cause))
    assert words.startswith("ended: ")
    assert "_" not in words
    assert CallState.DISPOSED not in words


def test_help_names_every_reply() -> None:
    assert [kind for kind in ReplyKind if kind not in HELP and kind != "text"] == []
