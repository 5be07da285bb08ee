"""Requests within a call that are challenged."""

from agents.sip.events import ReinviteDone, SessionEnded
from agents.sip.message import Request, make_response
from agents.sip.transaction import Send

from .sip_pair import ANSWER, CHALLENGE, HELD, End, established_call, only_frame, pair_with_password


def challenge(end: End, request: Request, now: float) -> Request:
    """Challenge a request and return the second attempt."""
    end.core.receive(make_response(request, 407, to_tag="x", headers=[CHALLENGE]), now)
    again = next(
        effect.message
        for effect in end.core.effects()
        if isinstance(effect, Send) and effect.method == request.method
    )
    assert again.cseq.number == request.cseq.number + 1
    assert "Proxy-Authorization" in again.headers
    assert isinstance(again, Request)
    return again


def test_a_challenged_reinvite_is_sent_again_and_the_call_counts_on() -> None:
    pair, alice, bob = pair_with_password()
    call, answered = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)

    bob.core.receive(challenge(alice, only_frame(alice), pair.now), pair.now)
    bob.core.accept_reinvite(answered, ANSWER, pair.now)
    pair.run()

    assert alice.take(ReinviteDone).status == 200
    alice.core.hangup(call, pair.now)
    pair.run()
    assert alice.take(SessionEnded).status == 200


def test_a_challenged_bye_is_sent_again() -> None:
    pair, alice, bob = pair_with_password()
    call, _ = established_call(pair)
    alice.core.hangup(call, pair.now)

    again = challenge(alice, only_frame(alice), pair.now)
    bob.core.receive(again, pair.now)
    pair.run()

    assert alice.take(SessionEnded) == SessionEnded(call, "local_bye", 200, "OK")


def test_a_bye_that_is_challenged_for_ever_ends_the_call_here() -> None:
    pair, alice, _ = pair_with_password()
    call, _answered = established_call(pair)
    alice.core.hangup(call, pair.now)

    again = challenge(alice, only_frame(alice), pair.now)
    alice.core.receive(make_response(again, 407, headers=[CHALLENGE]), pair.now)

    assert alice.core.effects() == [SessionEnded(call, "local_bye", 407, "Proxy Authentication Required")]


def test_a_challenged_info_is_sent_again_under_the_same_id() -> None:
    pair, alice, _bob = pair_with_password()
    call, _ = established_call(pair)
    request_id = alice.core.request_in_dialog(call, "INFO", pair.now, body="{}")

    again = challenge(alice, only_frame(alice), pair.now)
    assert alice.core.number_of(call, request_id) == again.cseq.number
    alice.core.receive(make_response(again, 200), pair.now)

    (done,) = alice.core.effects()
    assert (done.request_id, done.status) == (request_id, 200)
    assert alice.core.number_of(call, request_id) is None
    assert alice.core.number_of("gone", request_id) is None
    assert again.body == "{}"
