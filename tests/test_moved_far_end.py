"""Which changes of a call move the far end, so that what we send later goes to where it is then."""

import pytest

from agents.sip.message import Request, make_response
from agents.sip.transaction import Send
from shared.errors import SipError

from .sip_pair import ANSWER, HELD, End, Pair, established_call, only_frame, pair_of_sessions

MOVED = "<sip:alice@moved.invalid;transport=wss>"


def change_from_elsewhere(pair: Pair, call: str, method: str) -> Request:
    """Return alice's offer of other sound, which names another Contact."""
    change: Request = pair.left.core.session(call).next_request(
        method, headers=[("Content-Type", "application/sdp")], body=HELD
    )
    change.headers.set("Contact", MOVED)
    return change


def target_of(end: End, session_id: str) -> str:
    request: Request = end.core.session(session_id).next_request("INFO")
    return request.uri


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_change_that_is_refused_does_not_move_the_far_end(method: str) -> None:
    pair, _, bob = pair_of_sessions()
    call, answered = established_call(pair)

    bob.core.receive(change_from_elsewhere(pair, call, method), pair.now)
    assert target_of(bob, answered) == "sip:alice@alice.invalid;transport=wss"
    bob.core.reject_reinvite(answered, 488, pair.now)
    assert target_of(bob, answered) == "sip:alice@alice.invalid;transport=wss"

    bob.core.receive(change_from_elsewhere(pair, call, method), pair.now)
    bob.core.accept_reinvite(answered, ANSWER, pair.now)
    assert target_of(bob, answered) == "sip:alice@moved.invalid;transport=wss"


def test_a_change_that_crosses_ours_does_not_move_the_far_end() -> None:
    pair, _, bob = pair_of_sessions()
    call, answered = established_call(pair)
    bob.core.reinvite(answered, HELD, pair.now)

    bob.core.receive(change_from_elsewhere(pair, call, "INVITE"), pair.now)

    assert [effect.status for effect in bob.core.effects() if isinstance(effect, Send)] == [None, 491]
    assert target_of(bob, answered) == "sip:alice@alice.invalid;transport=wss"


def test_an_update_without_an_offer_moves_the_far_end() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    update = alice.core.session(call).next_request("UPDATE")
    update.headers.set("Contact", MOVED)

    bob.core.receive(update, pair.now)

    assert target_of(bob, answered) == "sip:alice@moved.invalid;transport=wss"


def test_a_change_from_an_address_that_cannot_be_read_gets_400_and_the_call_goes_on() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    change = change_from_elsewhere(pair, call, "INVITE")
    change.headers.set("Contact", '"open <sip:b@c>')

    with pytest.raises(SipError):
        bob.core.receive(change, pair.now)

    assert [effect.status for effect in bob.core.effects()] == [400]
    bob.core.hangup(answered, pair.now)
    pair.run()
    assert alice.events[-1].cause == "remote_bye"


@pytest.mark.parametrize("status", [488, 491, 500])
def test_a_refusal_of_our_change_does_not_move_the_far_end(status: int) -> None:
    pair, alice, _bob = pair_of_sessions()
    call, _answered = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    refusal = make_response(only_frame(alice), status, headers=[("Contact", "<sip:bob@moved.invalid>")])

    alice.core.receive(refusal, pair.now)

    assert target_of(alice, call) == "sip:bob@bob.invalid;transport=wss"
