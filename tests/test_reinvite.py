"""Changes of a call that go wrong; test_session_changes has those that go well."""

import pytest

from agents.sip.events import (
    DialogRequestDone,
    DialogRequestReceived,
    InviteReceived,
    ReinviteConfirmed,
    ReinviteDone,
    ReinviteReceived,
    SessionEnded,
)
from agents.sip.message import Request, parse
from shared.errors import ActionRefused

from .sip_pair import (
    ANSWER,
    HELD,
    OFFER,
    End,
    established_call,
    is_answer,
    new_sessions,
    pair_of_sessions,
    start_call,
)


def test_a_reinvite_without_an_answer_ends_the_call() -> None:
    pair, alice, _ = pair_of_sessions()
    call, _answered = established_call(pair)
    pair.drops = lambda message: isinstance(message, Request) and message.method == "INVITE"

    alice.core.reinvite(call, HELD, pair.now)
    pair.wait(33)

    assert alice.take(ReinviteDone) == ReinviteDone(call, 408, "Request Timeout", "", is_answered=False)
    assert alice.take(SessionEnded).cause == "timeout"
    assert alice.sent[-1] == "BYE"


def test_a_far_end_that_does_not_know_the_call_of_an_info_has_no_call() -> None:
    pair, alice, _bob = pair_of_sessions()
    call, _answered = established_call(pair)
    pair.right = End(new_sessions("forgetful"))
    alice.core.request_in_dialog(call, "INFO", pair.now)
    pair.run()
    assert alice.take(DialogRequestDone).status == 481
    assert alice.take(SessionEnded).cause == "remote_bye"


def test_an_answer_to_a_reinvite_that_comes_when_the_call_is_over_is_acknowledged() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    pair.run()
    bob.core.accept_reinvite(answered, ANSWER, pair.now)
    (late,) = bob.core.effects()
    bob.core.hangup(answered, pair.now)
    pair.run()
    assert [type(event) for event in alice.events] == [ReinviteDone, SessionEnded]
    alice.sent.clear()

    alice.core.receive(late.message, pair.now)
    pair.run()

    assert alice.sent == ["ACK"]


def test_requests_without_an_answer_are_told_as_408() -> None:
    pair, alice, _ = pair_of_sessions()
    call, _answered = established_call(pair)
    pair.drops = lambda message: isinstance(message, Request)
    alice.core.request_in_dialog(call, "INFO", pair.now)

    pair.wait(33)
    assert alice.take(DialogRequestDone).status == 408
    alice.core.hangup(call, pair.now)
    pair.wait(33)
    assert alice.take(SessionEnded) == SessionEnded(call, "local_bye", 408, "Request Timeout")


def test_a_connection_that_is_lost_ends_a_reinvite_but_not_the_call() -> None:
    pair, alice, bob = pair_of_sessions()
    call, _ = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    pair.run()
    bob.take(ReinviteReceived)

    for end in (alice, bob):
        end.core.disconnected(pair.now)
        end.events += end.core.effects()

    assert alice.events == [ReinviteDone(call, 503, "Connection Lost", "", is_answered=False)]
    assert bob.events == []
    assert alice.core.session(call).is_confirmed


def test_a_reinvite_that_waits_after_a_glare_ends_with_the_connection_too() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    bob.core.reinvite(answered, HELD, pair.now)
    pair.run()

    alice.core.disconnected(pair.now)

    assert alice.core.effects() == [ReinviteDone(call, 503, "Connection Lost", "", is_answered=False)]
    assert alice.core.next_deadline() is None


def test_a_peer_that_is_always_busy_with_its_own_change_is_given_up() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    pair.drops = lambda message: is_answer(491, "INVITE", message) and message.via.sent_by == "bob.invalid"
    bob.core.reinvite(answered, HELD, pair.now)

    alice.core.reinvite(call, HELD, pair.now)
    pair.wait(25)

    assert alice.take(ReinviteDone).status == 491
    assert alice.core.session(call).is_confirmed


def test_an_answer_to_a_reinvite_without_ack_ends_the_call() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    pair.run()
    bob.take(ReinviteReceived)
    pair.drops = lambda message: isinstance(message, Request) and message.method == "ACK"
    bob.core.accept_reinvite(answered, ANSWER, pair.now)

    pair.wait(33)

    assert bob.take(SessionEnded).cause == "timeout"
    assert bob.sent[-1] == "BYE"
    # Each copy of the answer got its ACK.
    assert alice.sent.count("ACK") == bob.sent.count("200 INVITE") > 5


def test_a_second_reinvite_before_the_first_is_answered_gets_500_and_when_to_come_again() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    pair.run()

    bob.core.receive(alice.core.session(call).next_request("INVITE"), pair.now)
    pair.run()

    assert bob.sent[-1] == "500 INVITE"
    assert "Retry-After: " in bob.frames[-1]
    bob.core.accept_reinvite(answered, ANSWER, pair.now)


def test_a_reinvite_before_the_call_is_up_gets_500() -> None:
    pair, alice, bob = pair_of_sessions()
    start_call(pair)
    ringing = bob.take(InviteReceived).session_id
    bob.core.progress(ringing, 180, pair.now)
    pair.run()
    early = parse(alice.frames[0])
    early.headers.set("To", parse(bob.frames[-1]).headers.get("To") or "")
    early.headers.set("CSeq", "2 INVITE")
    early.headers.set("Via", "SIP/2.0/WSS alice.invalid;branch=z9hG4bK-early")

    bob.core.receive(early, pair.now)
    pair.run()

    assert bob.sent[-1] == "500 INVITE"


def test_a_change_that_is_asked_for_before_the_ack_of_our_answer_is_sent_after_it() -> None:
    pair, alice, bob = pair_of_sessions()
    start_call(pair)
    answered = bob.take(InviteReceived).session_id
    bob.core.answer(answered, ANSWER, pair.now)
    bob.core.reinvite(answered, HELD, pair.now)
    with pytest.raises(ActionRefused):
        bob.core.reinvite(answered, HELD, pair.now)
    pair.run()
    assert bob.sent == ["100 INVITE", "200 INVITE", "INVITE"]
    asked = next(event for event in alice.events if isinstance(event, ReinviteReceived))
    alice.core.accept_reinvite(asked.session_id, ANSWER, pair.now)
    pair.run()
    assert [event.status for event in bob.events if isinstance(event, ReinviteDone)] == [200]


def test_a_reinvite_that_its_sender_takes_back_is_answered_487() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    pair.run()
    bob.take(ReinviteReceived)
    cancel = parse(alice.frames[-1].replace("INVITE", "CANCEL"))

    bob.core.receive(cancel, pair.now)
    pair.run()

    assert bob.sent[-2:] == ["200 CANCEL", "487 INVITE"]
    assert alice.take(ReinviteDone).status == 487
    with pytest.raises(ActionRefused, match="withdrawn"):
        bob.core.accept_reinvite(answered, ANSWER, pair.now)


def test_a_reinvite_that_asks_for_our_offer_brings_the_answer_in_its_ack() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    invite = alice.core.session(call).next_request("INVITE")
    bob.core.receive(invite, pair.now)
    (_, event) = bob.core.effects()
    assert event == ReinviteReceived(answered, "", "sendrecv")
    bob.core.accept_reinvite(answered, OFFER, pair.now)
    bob.core.effects()
    ack = alice.core.session(call).dialog.ack(invite, alice.core._context.endpoint, "ack")
    ack.body = ANSWER

    bob.core.receive(ack, pair.now)

    assert bob.core.effects() == [ReinviteConfirmed(answered, ANSWER)]


def test_what_a_phone_that_rings_sends_us_reaches_the_owner() -> None:
    pair, alice, bob = pair_of_sessions()
    call = start_call(pair)
    ringing = bob.take(InviteReceived).session_id
    info = bob.core.session(ringing).next_request("INFO", body="early")

    alice.core.receive(info, pair.now)

    (event,) = alice.core.effects()
    assert isinstance(event, DialogRequestReceived)
    assert (event.session_id, event.request.body) == (call, "early")


def test_an_answer_whose_contact_cannot_be_read_counts_all_the_same() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    pair.run()
    bob.core.accept_reinvite(answered, ANSWER, pair.now)
    (send,) = bob.core.effects()
    send.message.headers.set("Contact", '"open <sip:b@c>')

    alice.core.receive(send.message, pair.now)
    pair.run()

    assert alice.take(ReinviteDone).status == 200
    alice.core.hangup(call, pair.now)
    pair.run()
    assert bob.events[-1].cause == "remote_bye"


def test_a_call_with_thousands_of_requests_takes_no_more_memory() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)

    for _ in range(200):
        alice.core.reinvite(call, HELD, pair.now)
        pair.run()
        bob.core.accept_reinvite(answered, ANSWER, pair.now)
        pair.run()
        pair.wait(40)

    assert alice.sent.count("ACK") == 200
    assert len(alice.core._context.owners) < 40
    assert len(alice.core._context.transactions) < 3


def test_an_ack_that_comes_after_the_end_is_no_news() -> None:
    pair, left, right = pair_of_sessions()
    left_id, right_id = established_call(pair)
    left.core.reinvite(left_id, HELD, pair.now)
    pair.run()
    right.core.accept_reinvite(right_id, ANSWER, pair.now)
    pair.drops = lambda message: isinstance(message, Request) and message.method == "ACK"
    pair.run()
    ack = parse(left.frames[-1])
    left.core.hangup(left_id, pair.now)
    pair.run()
    assert isinstance(right.events[-1], SessionEnded)
    right.core.receive(ack, pair.now)
    assert not any(isinstance(effect, ReinviteConfirmed) for effect in right.core.effects())
