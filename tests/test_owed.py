"""Calls that were given up without a connection: their far ends are told over the next one."""

from agents.sip.digest import make_challenge
from agents.sip.events import SessionEnded
from agents.sip.message import Request, make_response, parse
from agents.sip.owed import LONGEST

from .sip_calls import ends_of, outgoing_call
from .sip_pair import End, Pair, new_sessions
from .sip_service import ACCOUNT, NONCE, registered_phone


def given_up() -> tuple[Pair, End, End, str]:
    """Return a phone that gave up a call without a connection, and the service's session of that call."""
    pair, phone, service = registered_phone()
    _, other = outgoing_call(pair, phone, service)
    phone.core.disconnected(pair.now)
    pair.wait(33)
    assert [event.cause for event in ends_of(phone)] == ["transport"]
    assert "BYE" not in phone.sent
    return pair, phone, service, other


def reconnect(pair: Pair, phone: End) -> None:
    phone.core.connected(pair.now)
    pair.run()


def byes(phone: End) -> list[Request]:
    messages = [parse(frame) for frame in phone.frames]
    return [one for one in messages if isinstance(one, Request) and one.method == "BYE"]


def test_the_far_end_of_a_call_that_was_given_up_is_told_once_there_is_a_connection() -> None:
    pair, phone, service, other = given_up()
    reconnect(pair, phone)
    assert service.events[-1] == SessionEnded(other, "remote_bye", None, "")
    assert len(ends_of(phone)) == 1

    phone.core.disconnected(pair.now)
    reconnect(pair, phone)
    assert len(byes(phone)) == 1


def test_a_call_that_was_hung_up_and_given_up_is_told_as_well() -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service)
    phone.core.disconnected(pair.now)
    phone.core.hangup(call, pair.now)
    pair.wait(60)
    assert [(event.cause, event.status) for event in ends_of(phone)] == [("local_bye", 408)]
    reconnect(pair, phone)
    assert service.events[-1] == SessionEnded(other, "remote_bye", None, "")
    assert len(ends_of(phone)) == 1


def test_a_far_end_that_asks_who_hangs_up_is_told() -> None:
    pair, phone, service, other = given_up()
    pair.drops = lambda message: isinstance(message, Request) and message.method == "BYE"
    reconnect(pair, phone)
    [first] = byes(phone)
    pair.drops = lambda _: False
    challenge = ("Www-Authenticate", make_challenge(ACCOUNT.domain, NONCE))
    phone.core.receive(make_response(first, 401, headers=[challenge]).encode(), pair.now)
    pair.run()
    [_, second] = byes(phone)
    assert second.cseq.number == first.cseq.number + 1
    assert "Authorization" in second.headers
    assert service.events[-1] == SessionEnded(other, "remote_bye", None, "")


def test_a_bye_that_the_next_connection_loses_is_sent_over_the_one_after_it() -> None:
    pair, phone, service, other = given_up()
    pair.drops = lambda message: isinstance(message, Request) and message.method == "BYE"
    reconnect(pair, phone)
    phone.core.disconnected(pair.now)
    pair.drops = lambda _: False
    reconnect(pair, phone)
    assert service.events[-1] == SessionEnded(other, "remote_bye", None, "")
    first, second = byes(phone)
    assert second.cseq.number == first.cseq.number + 1


def test_a_bye_that_nobody_answers_is_not_repeated() -> None:
    pair, phone, _, _ = given_up()
    pair.drops = lambda message: isinstance(message, Request) and message.method == "BYE"
    reconnect(pair, phone)
    pair.wait(40)
    phone.core.disconnected(pair.now)
    reconnect(pair, phone)
    assert len(byes(phone)) == 1


def test_after_half_an_hour_nobody_is_told_any_more() -> None:
    pair, phone, _, _ = given_up()
    pair.wait(LONGEST)
    reconnect(pair, phone)
    assert byes(phone) == []


def test_what_is_owed_is_bounded() -> None:
    pair, phone, service = registered_phone()
    pair.drops = lambda message: isinstance(message, Request) and message.method == "BYE"
    for _ in range(3):
        service.core.sessions = new_sessions("service", first_cseq=100_000_000, repeat_2xx=False)
        reconnect(pair, phone)
        service.events.clear()
        phone.events.clear()
        for _ in range(30):
            outgoing_call(pair, phone, service)
        phone.core.disconnected(pair.now)
        pair.wait(33)
    phone.frames.clear()
    reconnect(pair, phone)
    assert len(byes(phone)) == 64
