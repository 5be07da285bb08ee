import pytest

from agents.sip.message import Headers, Request, Response, make_response, parse
from agents.sip.transaction import (
    MAX_SERVER_TRANSACTIONS,
    AckReceived,
    RequestReceived,
    ResponseReceived,
    Send,
    TimedOut,
    TransactionKey,
    Transactions,
)
from shared.errors import SipError


def request(method: str = "OPTIONS", branch: str = "z9hG4bK-1", number: int = 1) -> Request:
    fields = {
        "Via": f"SIP/2.0/WSS a.invalid;branch={branch}",
        "Max-Forwards": "70",
        "From": "<sip:a@h>;tag=1",
        "To": "<sip:b@h>",
        "Call-Id": "call",
        "CSeq": f"{number} {method}",
        "Route": "<sip:proxy;lr>",
    }
    return Request(method, "sip:b@h", Headers(fields.items()))


def answer(to: Request, status: int, tag: str = "2") -> Response:
    return make_response(to, status, to_tag=tag)


def started(method: str) -> tuple[Transactions, Request, TransactionKey]:
    core, sent = Transactions(), request(method)
    key = core.request(sent, 0.0)
    core.effects()
    return core, sent, key


def served(method: str) -> tuple[Transactions, Request, TransactionKey]:
    core, received = Transactions(), request(method)
    core.receive(received, 0.0)
    (effect,) = core.effects()
    assert isinstance(effect, RequestReceived)
    return core, received, effect.key


def sent(core: Transactions) -> list[str]:
    return [f"{e.status} {e.method}" if e.status else e.method for e in core.effects() if isinstance(e, Send)]


def test_a_peer_that_floods_us_is_told_to_wait_and_costs_no_memory() -> None:
    core = Transactions()
    for number in range(MAX_SERVER_TRANSACTIONS + 10):
        core.receive(request("INVITE", f"z9hG4bK-{number}"), 0.0)

    refused = [effect for effect in core.effects() if isinstance(effect, Send)]
    assert [effect.status for effect in refused] == [503] * 10
    assert "Retry-After: 32\r\n" in refused[0].text
    assert len(core) == MAX_SERVER_TRANSACTIONS


def test_a_request_is_sent_once_and_times_out_after_32_seconds() -> None:
    core, _, key = started("OPTIONS")

    assert core.next_deadline() == 32.0
    core.tick(31.9)
    assert core.effects() == []
    core.tick(32.0)
    assert core.effects() == [TimedOut(key)]
    assert len(core) == 0


def test_each_answer_is_reported_and_the_final_one_ends_the_transaction() -> None:
    core, options, _key = started("OPTIONS")

    core.receive(answer(options, 100), 1.0)
    core.receive(answer(options, 200), 2.0)
    core.receive(answer(options, 200), 3.0)

    assert [effect.response.status for effect in core.effects() if isinstance(effect, ResponseReceived)] == [
        100,
        200,
    ]
    assert core.next_deadline() is None


def test_a_provisional_answer_does_not_stop_the_clock_of_other_requests() -> None:
    core, options, key = started("OPTIONS")
    core.receive(answer(options, 100), 1.0)
    core.effects()

    core.tick(32.0)

    assert core.effects() == [TimedOut(key)]


def test_a_provisional_answer_lets_an_invite_ring_for_ever() -> None:
    core, invite, _key = started("INVITE")

    core.receive(answer(invite, 180), 1.0)
    core.effects()

    assert core.next_deadline() is None


@pytest.mark.parametrize("wrong", ["z9hG4bK-9", ""])
def test_an_answer_to_nothing_we_sent_is_dropped(wrong: str) -> None:
    core, invite, _ = started("INVITE")
    stray = answer(invite, 200)
    stray.headers.set("Via", f"SIP/2.0/WSS a.invalid;branch={wrong}")

    core.receive(stray, 1.0)

    assert core.effects() == []


@pytest.mark.parametrize(
    "vias",
    [
        ["SIP/2.0/WSS b.invalid;branch=z9hG4bK-1"],
        ["SIP/2.0/WSS a.invalid:5061;branch=z9hG4bK-1"],
        ["SIP/2.0/WSS a.invalid;branch=z9hG4bK-1", "SIP/2.0/WSS b.invalid;branch=z9hG4bK-2"],
        ["SIP/2.0/WSS a.invalid;branch=z9hG4bK-1, SIP/2.0/WSS b.invalid;branch=z9hG4bK-2"],
    ],
)
@pytest.mark.parametrize("status", [180, 200, 486])
def test_an_answer_that_another_one_was_meant_to_get_is_dropped(status: int, vias: list[str]) -> None:
    core, invite, key = started("INVITE")
    astray = answer(invite, status)
    astray.headers.remove("Via")
    for via in vias:
        astray.headers.add("Via", via)

    core.receive(astray, 1.0)

    assert core.effects() == []  # no ACK either (RFC 3261 §8.1.3.3, §18.1.2)
    core.receive(answer(invite, status), 2.0)
    assert [effect.key for effect in core.effects() if isinstance(effect, ResponseReceived)] == [key]


def test_an_answer_whose_via_says_where_we_are_seen_from_is_ours() -> None:
    core, invite, key = started("OPTIONS")
    seen = answer(invite, 200)
    seen.headers.set("Via", "SIP / 2.0 / WSS A.invalid;branch=z9hG4bK-1;received=192.0.2.1;rport=4711")

    core.receive(seen, 1.0)

    assert core.effects() == [ResponseReceived(key, seen)]


def test_a_failed_invite_is_acknowledged_here() -> None:
    core, invite, _key = started("INVITE")

    core.receive(answer(invite, 486), 1.0)

    ack, report = core.effects()
    assert isinstance(ack, Send)
    message = parse(ack.text)
    assert isinstance(message, Request)
    assert (message.method, message.uri, message.cseq) == ("ACK", "sip:b@h", (1, "ACK"))
    assert message.via == invite.via
    assert message.to.tag == "2"
    assert message.headers.get("Route") == "<sip:proxy;lr>"
    assert isinstance(report, ResponseReceived)


def test_a_2xx_is_passed_each_time_it_comes_for_32_seconds_and_its_ack_is_not_made_here() -> None:
    core, invite, _ = started("INVITE")

    core.receive(answer(invite, 200), 1.0)
    core.receive(answer(invite, 200, tag="other"), 2.0)
    core.receive(answer(invite, 180), 2.5)
    core.receive(answer(invite, 486), 2.6)
    assert [type(effect) for effect in core.effects()] == [ResponseReceived, ResponseReceived]

    core.tick(33.0)
    core.receive(answer(invite, 200), 34.0)
    assert core.effects() == []


def test_cancel_repeats_the_invites_hop_and_needs_a_provisional_answer() -> None:
    core, invite, key = started("INVITE")
    assert core.cancel(key, 1.0) is None
    core.receive(answer(invite, 180), 1.0)
    core.effects()

    core.cancel(key, 2.0, Headers([("Reason", "SIP;cause=200")]))

    (effect,) = core.effects()
    assert isinstance(effect, Send)
    cancel = parse(effect.text)
    assert isinstance(cancel, Request)
    assert (cancel.method, cancel.cseq, cancel.via, cancel.to.tag) == (
        "CANCEL",
        (1, "CANCEL"),
        invite.via,
        None,
    )
    assert cancel.headers.get("Reason") == "SIP;cause=200"
    core.tick(34.0)
    assert sorted(e.key.method for e in core.effects() if isinstance(e, TimedOut)) == ["CANCEL", "INVITE"]


def test_a_request_that_comes_again_gets_the_same_answer() -> None:
    core, invite, key = served("INVITE")
    core.receive(invite, 0.1)
    assert core.effects() == []

    core.respond(key, answer(invite, 180), 0.2)
    core.receive(invite, 0.3)
    assert sent(core) == ["180 INVITE", "180 INVITE"]


def test_a_request_is_answered_finally_once() -> None:
    core, options, key = served("OPTIONS")

    assert core.respond(key, answer(options, 100), 0.1)
    assert core.respond(key, answer(options, 200), 0.1)
    assert not core.respond(key, answer(options, 500), 0.1)
    assert sent(core) == ["100 OPTIONS", "200 OPTIONS"]
    assert len(core) == 0


def test_the_ack_of_a_failure_ends_here_and_its_lack_is_no_news() -> None:
    core, invite, key = served("INVITE")
    core.respond(key, answer(invite, 407), 0.0)
    assert not core.respond(key, answer(invite, 200), 0.1)
    core.effects()

    core.receive(request("ACK"), 1.0)
    assert core.effects() == []
    assert len(core) == 0

    core, invite, key = served("INVITE")
    core.respond(key, answer(invite, 407), 0.0)
    core.effects()
    core.tick(32.0)  # RingCentral's clients never acknowledge one
    assert core.effects() == []
    assert len(core) == 0


@pytest.mark.parametrize("branch", ["z9hG4bK-1", "z9hG4bK-new"])
def test_the_ack_of_a_2xx_is_passed_on_with_the_invites_branch_too(branch: str) -> None:
    core, invite, key = served("INVITE")
    core.respond(key, answer(invite, 200), 0.0)
    core.effects()

    ack = request("ACK", branch)
    core.receive(ack, 1.0)

    assert core.effects() == [AckReceived(ack)]


def test_a_2xx_may_be_sent_again_but_no_other_answer_after_it() -> None:
    core, invite, key = served("INVITE")

    assert core.respond(key, answer(invite, 200), 0.0)
    assert core.respond(key, answer(invite, 200), 0.5)
    assert not core.respond(key, answer(invite, 487), 0.6)
    core.receive(invite, 0.7)
    assert sent(core) == ["200 INVITE", "200 INVITE"]
    core.tick(32.0)
    assert not core.respond(key, answer(invite, 200), 32.1)


def test_the_same_branch_from_another_host_is_another_transaction() -> None:
    core, _, _ = served("OPTIONS")
    other = request("OPTIONS")
    other.headers.set("Via", "SIP/2.0/WSS b.invalid;branch=z9hG4bK-1")

    core.receive(other, 0.0)

    assert [type(effect) for effect in core.effects()] == [RequestReceived]


def test_a_cancel_names_its_invite() -> None:
    core, _, key = served("INVITE")

    assert core.invite_of(request("CANCEL")) == key
    assert core.invite_of(request("CANCEL", "z9hG4bK-9")) is None


def test_a_lost_connection_ends_all_and_says_so() -> None:
    core, _invite, key = started("INVITE")
    core.receive(request("OPTIONS", "z9hG4bK-5"), 0.0)
    core.effects()

    core.disconnected()

    assert core.effects() == [TimedOut(key, is_transport=True)]
    assert len(core) == 0
    assert core.next_deadline() is None


def test_what_cannot_be_written_leaves_nothing_behind() -> None:
    core, broken = Transactions(), request()
    broken.headers.add("X", "a\r\nInjected: b")

    with pytest.raises(SipError):
        core.request(broken, 0.0)

    assert core.effects() == []
    assert len(core) == 0


def test_a_frame_is_not_in_the_repr() -> None:
    core = Transactions()
    core.request(request(), 0.0)

    [send] = core.effects()
    assert isinstance(send, Send)
    assert "sip:b@h" in send.text
    assert "sip:b@h" not in repr(send)
