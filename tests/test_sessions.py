"""Calls between two session layers, joined by text and a clock of their own."""

import gc
import weakref
from typing import Any

import pytest

from agents.sip.events import (
    DialogRequestDone,
    DialogRequestReceived,
    InviteReceived,
    ReinviteConfirmed,
    ReinviteDone,
    ReinviteReceived,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionProgress,
)
from agents.sip.message import Request, Response, make_response, parse
from agents.sip.reason import make_reason
from agents.sip.transaction import RequestReceived
from shared.errors import ActionRefused, SipError

from .sip_pair import (
    ANSWER,
    HELD,
    OFFER,
    End,
    Pair,
    established_call,
    new_sessions,
    pair_of_sessions,
    start_call,
)


def is_request(method: str):  # type: ignore[no-untyped-def]
    return lambda message: isinstance(message, Request) and message.method == method


def test_a_call_is_made_answered_and_hung_up_by_the_caller() -> None:
    pair, alice, bob = pair_of_sessions()

    call = start_call(pair)
    ringing = bob.take(InviteReceived)
    assert (ringing.remote_number, ringing.local_number, ringing.sdp) == ("alice", "bob", OFFER)
    bob.core.progress(ringing.session_id, 180, pair.now)
    pair.run()
    assert alice.take(SessionProgress).status == 180
    bob.core.answer(ringing.session_id, ANSWER, pair.now)
    pair.run()
    assert alice.take(SessionAnswered).sdp == ANSWER
    assert bob.take(SessionConfirmed).sdp == ""
    alice.core.hangup(call, pair.now)
    pair.run()

    assert alice.take(SessionEnded) == SessionEnded(call, "local_bye", 200, "OK")
    assert bob.take(SessionEnded) == SessionEnded(ringing.session_id, "remote_bye", None, "")
    assert alice.sent == ["INVITE", "ACK", "BYE"]
    assert bob.sent == ["100 INVITE", "180 INVITE", "200 INVITE", "200 BYE"]
    assert not alice.events
    assert not bob.events


def test_a_callee_hangs_up_with_its_own_cseq() -> None:
    pair, alice, bob = pair_of_sessions(first_cseq=100_000_000)
    _call, answered = established_call(pair)

    bob.core.hangup(answered, pair.now)
    pair.run()

    assert parse(bob.frames[-1]).cseq == (100_000_000, "BYE")
    assert alice.take(SessionEnded).cause == "remote_bye"
    assert bob.take(SessionEnded).cause == "local_bye"


def test_a_refused_call_ends_with_the_status_and_its_ack_is_automatic() -> None:
    pair, alice, bob = pair_of_sessions()
    call = start_call(pair)

    bob.core.reject(bob.take(InviteReceived).session_id, 486, pair.now)
    pair.run()

    assert alice.take(SessionEnded) == SessionEnded(call, "rejected", 486, "Busy Here")
    assert bob.take(SessionEnded).cause == "local_reject"
    assert alice.sent == ["INVITE", "ACK"]


def test_a_caller_that_gives_up_cancels() -> None:
    pair, alice, bob = pair_of_sessions()
    call = start_call(pair)

    alice.core.hangup(call, pair.now)
    pair.run()

    assert alice.sent == ["INVITE", "CANCEL", "ACK"]
    assert bob.sent == ["100 INVITE", "200 CANCEL", "487 INVITE"]
    assert alice.take(SessionEnded).cause == "local_cancel"
    bob.take(InviteReceived)
    assert bob.take(SessionEnded).cause == "remote_cancel"


def test_a_cancel_waits_for_the_first_provisional_answer() -> None:
    pair, alice, bob = pair_of_sessions()
    call = alice.core.invite("sip:bob@b", from_="<sip:a@b>", to="<sip:bob@b>", sdp=OFFER, now=pair.now)
    alice.core.hangup(call, pair.now)
    invite, *others = alice.core.effects()
    assert not others

    bob.core.receive(invite.message, pair.now)
    pair.run()

    assert alice.sent == ["CANCEL", "ACK"]
    assert alice.take(SessionEnded).cause == "local_cancel"


def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up() -> None:
    pair, alice, bob = pair_of_sessions()
    call = start_call(pair)
    ringing = bob.take(InviteReceived).session_id
    alice.core.hangup(call, pair.now)
    bob.core.answer(ringing, ANSWER, pair.now)

    pair.run()

    assert sorted(alice.sent) == ["ACK", "BYE", "CANCEL", "INVITE"]
    assert alice.take(SessionEnded).cause == "local_cancel"
    assert [type(event) for event in bob.events] == [SessionConfirmed, SessionEnded]
    assert not alice.events


def test_a_cancel_that_says_so_means_answered_elsewhere() -> None:
    pair, alice, bob = pair_of_sessions()
    call = start_call(pair)
    bob.take(InviteReceived)

    alice.core.hangup(call, pair.now, headers=[make_reason(200, "Call completed elsewhere")])
    pair.run()

    ended = bob.take(SessionEnded)
    assert (ended.cause, ended.status, ended.reason) == (
        "answered_elsewhere",
        200,
        "Call completed elsewhere",
    )


def test_a_cancel_with_a_branch_of_its_own_still_finds_its_call() -> None:
    pair, alice, bob = pair_of_sessions()
    call = start_call(pair)
    alice.core.hangup(call, pair.now)
    cancel = alice.core.effects()[0].message
    cancel.headers.set("Via", "SIP/2.0/WSS alice.invalid;branch=z9hG4bK-quite-another")

    bob.core.receive(cancel, pair.now)
    pair.run()

    bob.take(InviteReceived)
    assert bob.take(SessionEnded).cause == "remote_cancel"


def test_an_unanswered_invite_times_out_after_32_seconds() -> None:
    pair, alice, _ = pair_of_sessions()
    pair.drops = is_request("INVITE")
    call = start_call(pair)

    pair.wait(31.9)
    assert not alice.events
    pair.wait(0.2)

    assert alice.take(SessionEnded) == SessionEnded(call, "timeout", 408, "Request Timeout")


def test_a_phone_that_rings_says_so_each_minute_so_that_no_proxy_gives_up() -> None:
    pair, _, bob = pair_of_sessions()
    start_call(pair)
    ringing = bob.take(InviteReceived).session_id
    bob.core.progress(ringing, 180, pair.now)
    pair.wait(59)
    assert bob.sent == ["100 INVITE", "180 INVITE"]
    pair.wait(122)
    assert bob.sent == ["100 INVITE", *["180 INVITE"] * 4]
    bob.core.answer(ringing, ANSWER, pair.now)
    pair.wait(200)
    assert bob.sent[5:] == ["200 INVITE"]


def test_a_server_of_ringcentrals_clients_says_once_that_it_rings() -> None:
    pair, _, bob = pair_of_sessions(repeat_2xx=False)
    start_call(pair)
    bob.core.progress(bob.take(InviteReceived).session_id, 183, pair.now)
    pair.wait(200)
    assert bob.sent == ["100 INVITE", "183 INVITE"]


def test_an_invitation_that_expires_stops_ringing() -> None:
    pair, alice, bob = pair_of_sessions()
    call = start_call(pair, headers=[("Expires", "20")])
    bob.core.progress(bob.take(InviteReceived).session_id, 180, pair.now)
    pair.wait(19.9)
    assert not bob.events
    pair.wait(0.2)
    assert bob.take(SessionEnded).cause == "remote_cancel"
    assert alice.events[-1] == SessionEnded(call, "rejected", 487, "Request Terminated")


@pytest.mark.parametrize("expires", ["", "soon", "-1", "99999999999"])
def test_an_expiry_that_is_none_lets_it_ring(expires: str) -> None:
    pair, _, bob = pair_of_sessions()
    start_call(pair, headers=[("Expires", expires)])
    bob.take(InviteReceived)
    pair.wait(300)
    assert not bob.events


def test_a_call_may_ring_for_longer_than_any_timer() -> None:
    pair, alice, bob = pair_of_sessions()
    start_call(pair)

    pair.wait(600)
    bob.core.answer(bob.take(InviteReceived).session_id, ANSWER, pair.now)
    pair.run()

    alice.take(SessionAnswered)


def test_an_answer_is_repeated_until_its_ack_and_each_copy_is_acknowledged() -> None:
    pair, alice, bob = pair_of_sessions()
    start_call(pair)
    pair.drops = is_request("ACK")
    bob.core.answer(bob.take(InviteReceived).session_id, ANSWER, pair.now)
    pair.run()

    pair.wait(1.6)  # 0.5 and 1.0 later
    assert bob.sent.count("200 INVITE") == 3
    assert alice.sent.count("ACK") == 3
    pair.drops = lambda _: False
    pair.wait(2.0)

    bob.take(SessionConfirmed)
    pair.wait(20)
    assert bob.sent.count("200 INVITE") == 4


def test_an_answer_without_ack_is_hung_up_after_32_seconds() -> None:
    pair, alice, bob = pair_of_sessions()
    start_call(pair)
    pair.drops = is_request("ACK")
    bob.core.answer(bob.take(InviteReceived).session_id, ANSWER, pair.now)

    pair.wait(33)

    assert bob.take(SessionEnded).cause == "timeout"
    assert bob.sent[-1] == "BYE"
    alice.take(SessionAnswered)
    assert alice.take(SessionEnded).cause == "remote_bye"


def test_an_answer_is_sent_once_where_the_peer_wants_that() -> None:
    pair, _, bob = pair_of_sessions(repeat_2xx=False)
    start_call(pair)
    pair.drops = is_request("ACK")
    bob.core.answer(bob.take(InviteReceived).session_id, ANSWER, pair.now)

    pair.wait(31)

    assert bob.sent.count("200 INVITE") == 1


def test_a_callee_that_hangs_up_before_the_ack_waits_for_it() -> None:
    pair, alice, bob = pair_of_sessions()
    start_call(pair)
    ringing = bob.take(InviteReceived).session_id
    bob.core.answer(ringing, ANSWER, pair.now)
    bob.core.hangup(ringing, pair.now)
    assert [effect.method for effect in bob.core.effects()] == ["INVITE"]

    pair.wait(1)

    assert alice.sent[:2] == ["INVITE", "ACK"]
    assert bob.sent[-1] == "BYE"
    assert bob.take(SessionEnded).cause == "local_bye"


def test_both_may_hang_up_at_once() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)

    alice.core.hangup(call, pair.now)
    bob.core.hangup(answered, pair.now)
    pair.run()

    assert [event.cause for event in alice.events + bob.events] == ["local_bye", "local_bye"]


def test_hanging_up_twice_sends_one_bye() -> None:
    pair, alice, _ = pair_of_sessions()
    call, _answered = established_call(pair)

    alice.core.hangup(call, pair.now)
    alice.core.hangup(call, pair.now)
    pair.run()

    assert alice.sent == ["BYE"]
    with pytest.raises(ActionRefused, match="over"):
        alice.core.hangup(call, pair.now)


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


def test_the_callee_may_make_the_offer() -> None:
    pair, alice, bob = pair_of_sessions()
    start_call(pair, sdp="")
    ringing = bob.take(InviteReceived)
    assert ringing.sdp == ""
    bob.core.answer(ringing.session_id, OFFER, pair.now)
    pair.run()

    assert alice.take(SessionAnswered).sdp == OFFER


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


def test_a_request_in_an_unknown_dialog_is_answered_481() -> None:
    pair, alice, bob = pair_of_sessions()
    call, _answered = established_call(pair)
    bye = alice.core.session(call).next_request("BYE")
    bye.headers.set("From", "<sip:mallory@sip.test>;tag=guessed")

    bob.core.receive(bye, pair.now)
    pair.run()

    assert bob.sent == ["481 BYE"]
    assert not bob.events


def test_a_required_extension_that_nobody_knows_is_answered_420() -> None:
    pair, _, bob = pair_of_sessions()

    start_call(pair, headers=[("Require", "100rel, precondition")])

    assert bob.sent == ["420 INVITE"]
    assert "Unsupported: 100rel, precondition" in bob.frames[-1]


def test_the_same_invite_on_two_ways_rings_once() -> None:
    pair, alice, bob = pair_of_sessions()
    start_call(pair)
    copy = parse(alice.frames[0])
    copy.headers.set("Via", "SIP/2.0/WSS proxy.invalid;branch=z9hG4bK-other-way")

    bob.core.receive(copy, pair.now)
    pair.run()

    assert bob.sent == ["100 INVITE", "482 INVITE"]
    assert len(bob.events) == 1


def test_more_calls_than_fit_are_busy() -> None:
    pair, _, bob = pair_of_sessions(max_sessions=2)

    for _ in range(3):
        start_call(pair)

    assert bob.sent == ["100 INVITE", "100 INVITE", "486 INVITE"]


def test_a_second_phone_that_answers_the_same_call_is_hung_up() -> None:
    pair, alice, bob = pair_of_sessions()
    start_call(pair)
    bob.core.answer(bob.take(InviteReceived).session_id, ANSWER, pair.now)
    pair.run()
    alice.sent.clear()
    second = parse(bob.frames[-1])
    second.headers.set("To", "<sip:bob@sip.test>;tag=another-phone")

    alice.core.receive(second, pair.now)
    pair.run()

    assert alice.sent == ["ACK", "BYE"]
    assert alice.frames[-1].count("tag=another-phone") == 1
    assert len(alice.events) == 1


def test_a_connection_that_is_lost_ends_calls_that_ring_but_not_answered_ones() -> None:
    pair, alice, bob = pair_of_sessions()
    call, _answered = established_call(pair)
    start_call(pair)
    bob.take(InviteReceived)

    alice.core.disconnected(pair.now)
    bob.core.disconnected(pair.now)
    alice.events += alice.core.effects()
    bob.events += bob.core.effects()

    assert [event.cause for event in alice.events] == ["transport"]
    assert [event.cause for event in bob.events] == ["transport"]
    assert alice.core.session(call).is_confirmed


def test_an_answered_call_moves_to_another_process_and_goes_on_there() -> None:
    pair, alice, bob = pair_of_sessions()
    call, answered = established_call(pair)
    exported = alice.core.export(call)

    successor = End(new_sessions("successor"))
    assert successor.core.restore(exported) == call
    moved = Pair(successor, bob)
    successor.core.reinvite(call, HELD, moved.now)
    moved.run()
    bob.take(ReinviteReceived)
    bob.core.accept_reinvite(answered, ANSWER, moved.now)
    moved.run()
    assert successor.take(ReinviteDone).status == 200
    bob.take(ReinviteConfirmed)
    bob.core.hangup(answered, moved.now)
    moved.run()

    assert "successor.invalid" in bob.frames[-1].split("\r\n")[0]  # the new Contact is where requests go now
    assert successor.take(SessionEnded).cause == "remote_bye"


def test_a_call_that_is_not_answered_cannot_move() -> None:
    pair, alice, _ = pair_of_sessions()
    call = start_call(pair)

    with pytest.raises(ActionRefused):
        alice.core.export(call)


@pytest.mark.parametrize("data", [{}, {"session_id": "x", "direction": "inbound", "dialog": {"call_id": 1}}])
def test_what_is_no_exported_call_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(SipError):
        new_sessions("alice").restore(data)


def test_requests_outside_of_sessions_are_the_owners() -> None:
    pair, alice, bob = pair_of_sessions()
    message = parse(
        "REGISTER sip:sip.test SIP/2.0\r\nVia: SIP/2.0/WSS a;branch=z9hG4bK-1\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:a@b>\r\nCall-Id: x\r\nCSeq: 1 REGISTER\r\n\r\n"
    )
    assert isinstance(message, Request)

    key = alice.core.request(message, pair.now)
    pair.run()
    received = bob.take(RequestReceived)
    bob.core.respond(received.key, make_response(received.request, 100), pair.now)
    bob.core.respond(received.key, make_response(received.request, 200, to_tag="t"), pair.now)
    pair.run()

    assert [(event.key, event.response.status) for event in alice.events] == [(key, 100), (key, 200)]


def test_a_request_that_cannot_be_read_is_answered_400() -> None:
    _, _, bob = pair_of_sessions()
    broken = parse(
        "INVITE sip:bob@b SIP/2.0\r\nVia: SIP/2.0/WSS a;branch=z9hG4bK-1\r\nFrom: <sip:a@b>;tag=1\r\n"
        'To: "open <sip:bob@b>\r\nCall-Id: x\r\nCSeq: 1 INVITE\r\n\r\n'
    )

    with pytest.raises(SipError):
        bob.core.receive(broken, 0.0)

    (answer,) = bob.core.effects()
    assert isinstance(answer.message, Response)
    assert answer.message.status == 400


def test_ended_sessions_are_forgotten_and_freed_without_the_garbage_collector() -> None:
    pair, alice, bob = pair_of_sessions()
    known: list[weakref.ref[Any]] = []
    for _ in range(3):
        call, answered = established_call(pair)
        known += [weakref.ref(alice.core.session(call)), weakref.ref(bob.core.session(answered))]
        alice.core.hangup(call, pair.now)
        pair.run()

    gc.disable()
    pair.wait(70)
    assert not any(session() for session in known)
    gc.enable()

    for end in (alice, bob):
        assert end.core.next_deadline() is None
        assert len(end.core._table) == 0
        assert not end.core._table._by_call_id
        assert not end.core._context.owners
        assert len(end.core._context.transactions) == 0
