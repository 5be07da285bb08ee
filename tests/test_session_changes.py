"""Changes of a call between two session layers, and requests within it: re-INVITE, UPDATE, INFO."""

import pytest

from agents.sip.events import (
    DialogRequestDone,
    DialogRequestReceived,
    ReinviteConfirmed,
    ReinviteDone,
    ReinviteReceived,
    SessionEnded,
)
from agents.sip.message import make_response
from shared.errors import ActionRefused

from .sip_pair import ANSWER, HELD, OFFER, End, established_call, new_sessions, pair_of_sessions


def test_hold_is_a_reinvite_that_the_far_end_accepts() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)

    alice.core.reinvite(call, HELD, pair.now)
    pair.run()
    request = bob.take(ReinviteReceived)
    assert (request.direction, request.sdp) == ("sendonly", HELD)
    bob.core.accept_reinvite(answered, ANSWER, pair.now)
    pair.run()

    assert alice.take(ReinviteDone) == ReinviteDone(call, 200, "OK", ANSWER)
    assert bob.take(ReinviteConfirmed).session_id == answered
    assert alice.sent == ["INVITE", "ACK"]
    assert bob.sent == ["100 INVITE", "200 INVITE"]
    # Long after, nothing is repeated and the call is still up.
    pair.wait(60)
    assert alice.sent == ["INVITE", "ACK"]
    assert alice.core.session(call).is_confirmed


def test_the_callee_may_hold_too() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)

    bob.core.reinvite(answered, HELD, pair.now)
    pair.run()
    alice.core.accept_reinvite(call, ANSWER, pair.now)
    pair.run()

    assert bob.take(ReinviteDone).status == 200


def test_a_refused_reinvite_leaves_the_call_as_it_was() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)

    alice.core.reinvite(call, HELD, pair.now)
    pair.run()
    bob.core.reject_reinvite(answered, 488, pair.now)
    pair.run()

    assert alice.take(ReinviteDone).status == 488
    assert alice.core.session(call).is_confirmed
    alice.core.hangup(call, pair.now)
    pair.run()
    assert alice.take(SessionEnded).cause == "local_bye"


def test_two_reinvites_at_once_are_tried_again_and_both_succeed() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)

    alice.core.reinvite(call, HELD, pair.now)
    bob.core.reinvite(answered, HELD, pair.now)
    pair.run()
    assert alice.sent.count("491 INVITE") == bob.sent.count("491 INVITE") == 1
    assert not alice.events
    assert not bob.events

    pair.wait(2.0)  # who made the Call-Id waits longer than 2.1 s, the other less than 2 s
    alice.take(ReinviteReceived)
    alice.core.accept_reinvite(call, ANSWER, pair.now)
    pair.wait(2.1)
    assert bob.take(ReinviteDone).status == 200
    bob.take(ReinviteReceived)
    bob.core.accept_reinvite(answered, ANSWER, pair.now)
    pair.run()
    assert alice.events[-1] == ReinviteDone(call, 200, "OK", ANSWER)


def test_a_second_reinvite_while_one_is_under_way_is_refused_here() -> None:
    pair, alice, _ = pair_of_sessions()
    call, _answered = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)

    with pytest.raises(ActionRefused, match="under way"):
        alice.core.reinvite(call, OFFER, pair.now)


def test_a_reinvite_waits_for_the_ack_of_the_peers_one() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    pair.run()
    bob.core.accept_reinvite(answered, ANSWER, pair.now)

    bob.core.reinvite(answered, OFFER, pair.now)
    assert [effect.method for effect in bob.core.effects()] == ["INVITE"]  # the 200 alone
    pair.wait(1)

    assert bob.sent[-1] == "INVITE"
    assert alice.events[-1].sdp == OFFER


def test_a_reinvite_into_a_forgotten_call_ends_it() -> None:
    pair, alice, bob = pair_of_sessions()
    call, _answered = established_call(pair)
    pair.right = forgetful = End(new_sessions("forgetful"))

    alice.core.reinvite(call, HELD, pair.now)
    pair.run()

    assert forgetful.sent == ["481 INVITE", "481 BYE"]
    assert alice.take(ReinviteDone).status == 481
    assert alice.take(SessionEnded).cause == "remote_bye"
    assert not bob.events


def test_a_bye_during_a_reinvite_answers_both() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    pair.run()
    bob.take(ReinviteReceived)

    alice.core.hangup(call, pair.now)
    pair.run()

    assert bob.sent == ["100 INVITE", "200 BYE", "487 INVITE"]
    assert bob.take(SessionEnded).cause == "remote_bye"
    assert alice.take(ReinviteDone).status == 487
    assert alice.take(SessionEnded).cause == "local_bye"
    with pytest.raises(ActionRefused):
        bob.core.accept_reinvite(answered, ANSWER, pair.now)


def test_an_update_without_offer_is_answered_and_with_one_it_is_like_a_reinvite() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)

    alice.core.request_in_dialog(call, "UPDATE", pair.now)
    pair.run()
    assert alice.take(DialogRequestDone).status == 200
    alice.core.request_in_dialog(call, "UPDATE", pair.now, body=HELD)
    pair.run()
    assert bob.take(ReinviteReceived).direction == "sendonly"
    bob.core.accept_reinvite(answered, ANSWER, pair.now)
    pair.run()

    done = alice.take(DialogRequestDone)
    assert done.response is not None
    assert done.response.body == ANSWER
    pair.wait(5)
    assert bob.sent.count("200 UPDATE") == 2  # an UPDATE has no ACK, so nothing is repeated


def test_a_request_in_the_dialog_reaches_the_owner_and_is_answered_by_it() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)

    request_id = alice.core.request_in_dialog(call, "INFO", pair.now, body="{}")
    pair.run()
    received = bob.take(DialogRequestReceived)
    assert (received.session_id, received.request.body) == (answered, "{}")
    bob.core.respond(received.key, make_response(received.request, 200), pair.now)
    pair.run()

    done = alice.take(DialogRequestDone)
    assert (done.request_id, done.status) == (request_id, 200)


def test_requests_that_were_under_way_are_told_before_the_end() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    alice.core.request_in_dialog(call, "INFO", pair.now)
    pair.run()

    bob.core.hangup(answered, pair.now)
    pair.run()

    assert [type(event) for event in alice.events] == [DialogRequestDone, SessionEnded]


def test_a_request_out_of_order_is_refused() -> None:
    pair, alice, bob = pair_of_sessions()
    call, _answered = established_call(pair)
    stale = alice.core.session(call).next_request("INFO")
    alice.core.request_in_dialog(call, "INFO", pair.now)
    pair.run()

    bob.core.receive(stale, pair.now)
    pair.run()

    assert bob.sent[-1] == "500 INFO"
