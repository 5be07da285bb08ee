"""What a session layer does beyond calls that go well: strangers, forks, lost connections, its end."""

import gc
import weakref
from typing import Any

import pytest

from agents.sip.events import InviteReceived, ReinviteConfirmed, ReinviteDone, ReinviteReceived, SessionEnded
from agents.sip.message import Request, Response, make_response, parse
from agents.sip.transaction import RequestReceived
from shared.errors import ActionRefused, SipError

from .sip_pair import ANSWER, HELD, End, Pair, established_call, new_sessions, pair_of_sessions, start_call


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
