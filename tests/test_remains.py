"""What two ends keep of calls that are over, and what they still do about them."""

import gc
import sys
from types import FunctionType, ModuleType
from typing import Any

from agents.sip.events import InviteReceived, SessionEnded
from agents.sip.message import Message, Request, Response, parse
from agents.sip.session import Session

from .sip_pair import ANSWER, End, Pair, established_call, pair_of_sessions, start_call

_CALLS = 100


def held_by(root: object) -> list[Any]:
    """Return all objects below ``root`` that are its own."""
    found: dict[int, Any] = {}
    todo = [root]
    while todo:
        one = todo.pop()
        if id(one) not in found and not isinstance(one, type | ModuleType | FunctionType):
            found[id(one)] = one
            todo += gc.get_referents(one)
    return list(found.values())


def ended_call(pair: Pair) -> tuple[Message, Message]:
    """Make a call and hang it up; return the INVITE's answer and its ACK."""
    call, _answered = established_call(pair)
    answer, ack = parse(pair.right.frames[-1]), parse(pair.left.frames[-1])
    pair.left.core.hangup(call, pair.now)
    pair.run()
    for end in (pair.left, pair.right):
        end.events.clear()
        end.sent.clear()
    return answer, ack


def test_neither_end_keeps_a_message_of_calls_that_are_over_nor_much_else() -> None:
    pair, alice, bob = pair_of_sessions()
    before = [sum(map(sys.getsizeof, held_by(end.core))) for end in (alice, bob)]

    for _ in range(_CALLS):
        ended_call(pair)

    for end, size in zip((alice, bob), before, strict=True):
        kept = held_by(end.core)
        assert not [one for one in kept if isinstance(one, Request | Response | Session)]
        assert (sum(map(sys.getsizeof, kept)) - size) / _CALLS < 2_000


def test_an_answer_that_comes_again_after_the_end_has_its_ack_again() -> None:
    pair, alice, bob = pair_of_sessions()
    answer, ack = ended_call(pair)

    alice.core.receive(answer, pair.now)
    pair.run()

    assert alice.sent == ["ACK"]
    assert parse(alice.frames[-1]) == ack
    assert not bob.sent
    assert not alice.events


def test_another_phone_that_answers_after_the_end_is_hung_up() -> None:
    pair, alice, _bob = pair_of_sessions()
    answer, _ack = ended_call(pair)
    answer.headers.set("To", "<sip:bob@sip.test>;tag=another-phone")

    alice.core.receive(answer, pair.now)
    pair.run()

    assert alice.sent == ["ACK", "BYE"]
    assert [parse(frame).to.tag for frame in alice.frames[-2:]] == ["another-phone"] * 2
    assert not alice.events


def test_an_answer_that_comes_more_than_32_seconds_later_is_no_news() -> None:
    pair, alice, _bob = pair_of_sessions()
    answer, _ack = ended_call(pair)
    pair.wait(33)

    alice.core.receive(answer, pair.now)
    pair.run()

    assert not alice.sent
    assert len(alice.core._table) == 0


def test_a_late_copy_of_an_answer_that_crossed_the_cancel_is_acknowledged() -> None:
    pair, alice, bob = pair_of_sessions()
    call = start_call(pair)
    alice.core.hangup(call, pair.now)
    bob.core.answer(bob.take(InviteReceived).session_id, ANSWER, pair.now)
    pair.run()
    assert alice.take(SessionEnded).cause == "local_cancel"
    alice.sent.clear()
    answer = next(frame for frame in bob.frames if "SIP/2.0 200" in frame and "INVITE" in frame)

    alice.core.receive(parse(answer), pair.now)
    pair.run()

    assert alice.sent == ["ACK"]


def test_a_cancel_of_a_call_that_is_over_is_accepted_with_the_tag_of_its_answer() -> None:
    pair, alice, bob = pair_of_sessions()
    call, _answered = established_call(pair)
    answer = parse(bob.frames[-1])
    cancel = _cancel_of(alice)
    alice.core.hangup(call, pair.now)
    pair.run()
    bob.sent.clear()

    bob.core.receive(cancel, pair.now)
    pair.run()

    assert bob.sent == ["200 CANCEL"]
    assert parse(bob.frames[-1]).to.tag == answer.to.tag


def _cancel_of(end: End) -> Message:
    invite = next(frame for frame in end.frames if frame.startswith("INVITE"))
    cancel = parse(invite.replace("INVITE", "CANCEL"))
    cancel.headers.remove("Content-Length")
    cancel.body = ""
    return cancel
