"""Messages of a call that cross each other, come twice, or come never."""

import pytest

from agents.sip.dialog import Endpoint
from agents.sip.events import DialogRequestDone, InviteReceived, ReinviteDone, SessionEnded
from agents.sip.message import Message, Request, make_response, parse
from agents.sip.reason import make_reason
from agents.sip.transaction import Send

from .sip_calls import outgoing_call
from .sip_pair import (
    ANSWER,
    CHALLENGE,
    HELD,
    OFFER,
    End,
    established_call,
    pair_of_sessions,
    pair_with_password,
    start_call,
)
from .sip_service import registered_phone


def sent_now(end: End) -> list[Message]:
    """Return the messages that an end wants to send, undelivered."""
    return [effect.message for effect in end.core.effects() if isinstance(effect, Send)]


def request_of(end: End, method: str) -> Request:
    """Return the request of this kind that an end wants to send, undelivered."""
    (request,) = [one for one in sent_now(end) if isinstance(one, Request) and one.method == method]
    return request


def test_an_answer_that_is_repeated_during_the_next_change_is_acknowledged_and_not_taken_for_its_answer() -> (
    None
):
    pair, alice, _bob = pair_of_sessions()
    call, _ = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    first = request_of(alice, "INVITE")
    accepted = make_response(first, 200, headers=[("Contact", "<sip:bob@bob.invalid>")], body=ANSWER)
    alice.core.receive(accepted, pair.now)
    (ack,) = sent_now(alice)
    alice.core.reinvite(call, OFFER, pair.now)
    second = request_of(alice, "INVITE")

    alice.core.receive(accepted, pair.now)

    assert [one.headers.items() for one in sent_now(alice)] == [ack.headers.items()]
    alice.core.receive(make_response(second, 488), pair.now)
    assert [event.status for event in alice.core.effects() if isinstance(event, ReinviteDone)] == [488]


def test_a_change_that_gets_no_further_than_100_is_taken_back_after_32_seconds() -> None:
    pair, alice, _bob = pair_of_sessions()
    call, _ = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    invite = request_of(alice, "INVITE")
    alice.core.receive(make_response(invite, 100), pair.now)
    pair.drops = lambda _message: True
    pair.wait(32)
    assert alice.sent == ["CANCEL"]

    alice.core.receive(make_response(invite, 487), pair.now)
    pair.run()

    assert alice.take(ReinviteDone).status == 487
    alice.core.reinvite(call, HELD, pair.now)


def test_a_far_end_that_says_100_and_nothing_more_has_no_call() -> None:
    pair, alice, _bob = pair_of_sessions()
    call, _ = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    alice.core.receive(make_response(request_of(alice, "INVITE"), 100), pair.now)
    pair.drops = lambda _message: True

    pair.wait(64)

    assert alice.take(ReinviteDone).status == 408
    assert alice.take(SessionEnded).cause == "timeout"


def test_a_second_attempt_is_numbered_above_what_was_sent_meanwhile() -> None:
    pair, alice, _bob = pair_with_password()
    call, _answered = established_call(pair)
    alice.core.request_in_dialog(call, "INFO", pair.now)
    first = request_of(alice, "INFO")
    alice.core.request_in_dialog(call, "INFO", pair.now)
    second = request_of(alice, "INFO")

    alice.core.receive(make_response(first, 407, headers=[CHALLENGE]), pair.now)

    again = request_of(alice, "INFO")
    assert again.cseq.number == second.cseq.number + 1
    alice.core.hangup(call, pair.now)
    assert request_of(alice, "BYE").cseq.number == again.cseq.number + 1


def test_a_phone_that_answers_too_late_is_hung_up_also_where_that_is_challenged() -> None:
    pair, alice, _bob = pair_with_password()
    pair.drops = lambda _message: True
    call = start_call(pair)
    invite = parse(alice.frames[0])
    assert isinstance(invite, Request)
    alice.core.receive(make_response(invite, 180, to_tag="one"), pair.now)
    alice.core.hangup(call, pair.now)
    alice.core.receive(make_response(request_of(alice, "CANCEL"), 200), pair.now)
    late = make_response(invite, 200, to_tag="two", headers=[("Contact", "<sip:two@bob.invalid>")])
    alice.core.receive(late, pair.now)
    bye = request_of(alice, "BYE")

    alice.core.receive(make_response(bye, 407, headers=[CHALLENGE]), pair.now)

    assert "Proxy-Authorization" in request_of(alice, "BYE").headers


def test_a_glare_that_crosses_our_bye_is_not_tried_again() -> None:
    pair, alice, _bob = pair_with_password()
    call, _ = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    invite = request_of(alice, "INVITE")
    alice.core.hangup(call, pair.now)
    request_of(alice, "BYE")

    alice.core.receive(make_response(invite, 491), pair.now)
    pair.now += 5
    alice.core.tick(pair.now)

    assert [one.method for one in sent_now(alice) if isinstance(one, Request)] == ["ACK"]


def test_a_challenge_that_crosses_our_bye_is_not_answered() -> None:
    pair, alice, _bob = pair_with_password()
    call, _ = established_call(pair)
    alice.core.reinvite(call, HELD, pair.now)
    alice.core.request_in_dialog(call, "INFO", pair.now)
    invite, info = (one for one in sent_now(alice) if isinstance(one, Request))
    alice.core.hangup(call, pair.now)
    request_of(alice, "BYE")

    alice.core.receive(make_response(invite, 407, headers=[CHALLENGE]), pair.now)
    alice.core.receive(make_response(info, 407, headers=[CHALLENGE]), pair.now)
    effects = alice.core.effects()
    assert [one.method for one in effects if isinstance(one, Send)] == ["ACK"]
    assert [one.status for one in effects if isinstance(one, ReinviteDone | DialogRequestDone)] == [407, 407]


def test_a_call_that_failed_ends_once_and_its_far_end_is_told_over_the_next_connection() -> None:
    pair, phone, service = registered_phone()
    call, _ = outgoing_call(pair, phone, service)
    service.core.silent = True
    phone.core.request_in_dialog(call, "INFO", pair.now)
    phone.core.receive(make_response(request_of(phone, "INFO"), 481).encode(), pair.now)
    phone.core.disconnected(pair.now)
    pair.wait(40)
    assert len([event for event in phone.events if isinstance(event, SessionEnded)]) == 1

    service.core.silent = False
    phone.core.connected(pair.now)
    pair.run()

    assert phone.sent[-1] == "BYE"


def test_a_call_whose_route_cannot_be_read_is_refused_before_it_rings() -> None:
    pair, phone, service = registered_phone()

    service.core.sessions.invite(
        "sip:us@x",
        from_="<sip:102@sip.test>",
        to="<sip:101@sip.test>",
        sdp=OFFER,
        headers=[("Record-Route", "<sip:edge.test;lr>, nonsense")],
        now=pair.now,
    )
    pair.run()

    assert phone.sent == ["400 INVITE"]


def test_an_offer_that_crosses_ours_before_the_answer_gets_491() -> None:
    pair, alice, bob = pair_of_sessions()
    start_call(pair)
    ringing = bob.take(InviteReceived).session_id
    bob.core.progress(ringing, 183, pair.now)
    pair.run()
    dialog = bob.core.session(ringing).dialog
    _, update = dialog.request("UPDATE", Endpoint("bob.invalid", "<sip:bob@bob.invalid>"), "u", body=OFFER)

    alice.core.receive(update, pair.now)
    pair.run()

    assert alice.sent[-1] == "491 UPDATE"


def test_a_change_that_crosses_our_bye_finds_no_call() -> None:
    pair, alice, bob = pair_of_sessions()
    call, other = established_call(pair)
    alice.core.hangup(call, pair.now)
    request_of(alice, "BYE")  # and it is lost

    bob.core.reinvite(other, HELD, pair.now)
    pair.run()

    assert alice.sent[0] == "481 INVITE"


@pytest.mark.parametrize(("status", "method"), [(180, "CANCEL"), (200, "BYE")])
def test_why_we_hang_up_is_said_also_when_that_has_to_wait(status: int, method: str) -> None:
    pair, alice, _bob = pair_of_sessions()
    pair.drops = lambda _message: True
    call = start_call(pair)
    invite = parse(alice.frames[0])
    assert isinstance(invite, Request)
    reason = make_reason(200, "Call completed elsewhere")

    alice.core.hangup(call, pair.now, headers=[reason])
    answer = make_response(invite, status, to_tag="b", headers=[("Contact", "<sip:bob@bob.invalid>")])
    alice.core.receive(answer, pair.now)

    assert request_of(alice, method).headers.get("Reason") == reason[1]
