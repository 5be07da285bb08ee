"""Calls whose INVITE has no offer: the 200 makes it, and the ACK answers (RFC 3261 §13.2.1)."""

import pytest

from agents.sip.events import InviteReceived, SessionAnswered, SessionConfirmed, SessionEnded
from shared.errors import ActionRefused

from .sip_pair import ANSWER, OFFER, End, Pair, pair_of_sessions, start_call


def answered_with_an_offer() -> tuple[Pair, End, End, str]:
    pair, alice, bob = pair_of_sessions()
    call = start_call(pair, "")
    ringing = bob.take(InviteReceived)
    assert ringing.sdp == ""
    bob.core.answer(ringing.session_id, OFFER, pair.now)
    pair.run()
    assert alice.take(SessionAnswered).sdp == OFFER
    return pair, alice, bob, call


def test_the_ack_waits_for_our_answer_and_carries_it() -> None:
    pair, alice, bob, call = answered_with_an_offer()
    assert alice.sent == ["INVITE"]
    alice.core.acknowledge(call, ANSWER)
    pair.run()
    assert bob.take(SessionConfirmed).sdp == ANSWER
    assert alice.sent == ["INVITE", "ACK"]
    assert "Content-Type: application/sdp" in alice.frames[-1]
    assert "Content-Type" not in alice.frames[0]


def test_a_copy_of_the_200_is_answered_by_the_same_ack() -> None:
    pair, alice, _bob, call = answered_with_an_offer()
    pair.wait(1.6)
    assert alice.sent == ["INVITE"]
    alice.core.acknowledge(call, ANSWER)
    pair.wait(10)
    acks = [frame for frame in alice.frames if frame.startswith("ACK ")]
    assert len(acks) == 1
    assert alice.events == []


def test_who_hangs_up_before_it_answers_acknowledges_first() -> None:
    pair, alice, bob, call = answered_with_an_offer()
    alice.core.hangup(call, pair.now)
    pair.run()
    assert alice.sent == ["INVITE", "ACK", "BYE"]
    assert bob.take(SessionConfirmed).sdp == ""
    assert bob.take(SessionEnded).cause == "remote_bye"


def test_an_answer_that_nobody_waits_for_is_refused() -> None:
    pair, alice, bob, call = answered_with_an_offer()
    alice.core.acknowledge(call, ANSWER)
    with pytest.raises(ActionRefused, match="no offer"):
        alice.core.acknowledge(call, ANSWER)
    pair.run()
    with pytest.raises(ActionRefused, match="no offer"):
        bob.core.acknowledge(bob.take(SessionConfirmed).session_id, ANSWER)


def test_an_ordinary_200_is_acknowledged_at_once() -> None:
    pair, alice, bob = pair_of_sessions()
    call = start_call(pair)
    bob.core.answer(bob.take(InviteReceived).session_id, ANSWER, pair.now)
    pair.run()
    assert alice.sent == ["INVITE", "ACK"]
    with pytest.raises(ActionRefused, match="no offer"):
        alice.core.acknowledge(call, ANSWER)
