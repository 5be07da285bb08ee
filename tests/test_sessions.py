"""Calls between two session layers: how they begin, are answered or not, and end."""

import pytest

from agents.sip.events import InviteReceived, SessionAnswered, SessionConfirmed, SessionEnded, SessionProgress
from agents.sip.message import Request, parse
from agents.sip.reason import make_reason
from shared.errors import ActionRefused

from .sip_pair import ANSWER, OFFER, established_call, pair_of_sessions, start_call


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


def test_the_callee_may_make_the_offer() -> None:
    pair, alice, bob = pair_of_sessions()
    start_call(pair, sdp="")
    ringing = bob.take(InviteReceived)
    assert ringing.sdp == ""
    bob.core.answer(ringing.session_id, OFFER, pair.now)
    pair.run()

    assert alice.take(SessionAnswered).sdp == OFFER
