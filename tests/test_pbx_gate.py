from itertools import count

from agents.pbx.gate import Gate, Verdict
from agents.sip.digest import Credentials, authorize, parse_challenge
from agents.sip.message import Headers, Request


def make_gate() -> Gate:
    numbers = count(1)
    return Gate("sip.test", {"801": "secret"}.get, lambda: f"n{next(numbers)}", nonce_time=10.0)


def invite() -> Request:
    return Request("INVITE", "sip:102@sip.test", Headers())


def good(challenge: str) -> str:
    credentials = Credentials("801", "secret")
    return authorize(parse_challenge(challenge), credentials, method="INVITE", uri="sip:sip.test", cnonce="")


def test_a_right_answer_opens_once() -> None:
    gate = make_gate()
    answer = good(gate.challenge("f1", 0.0))

    assert gate.check(answer, invite(), "f1", 1.0) == (Verdict.GOOD, "801")
    assert gate.check(answer, invite(), "f1", 1.0) == (Verdict.STALE, "")


def test_the_hash_is_over_the_uri_in_the_answer_not_the_request_uri() -> None:
    gate = make_gate()
    assert gate.check(good(gate.challenge("f1", 0.0)), invite(), "f1", 0.0)[0] is Verdict.GOOD


def test_no_answer_is_missing_and_another_scheme_is_wrong() -> None:
    gate = make_gate()
    assert gate.check(None, invite(), "f1", 0.0) == (Verdict.MISSING, "")
    assert gate.check("Basic abc", invite(), "f1", 0.0) == (Verdict.WRONG, "")


def test_an_answer_for_another_method_is_wrong() -> None:
    gate = make_gate()
    answer = good(gate.challenge("f1", 0.0))
    assert gate.check(answer, Request("BYE", "sip:a@b", Headers()), "f1", 0.0)[0] is Verdict.WRONG


def test_an_old_nonce_and_one_of_a_closed_flow_are_stale() -> None:
    gate = make_gate()
    old, closed = good(gate.challenge("f1", 0.0)), good(gate.challenge("f2", 0.0))
    gate.forget("f2")

    assert gate.check(old, invite(), "f1", 11.0)[0] is Verdict.STALE
    assert gate.check(closed, invite(), "f2", 1.0)[0] is Verdict.STALE


def test_a_flow_that_only_asks_for_challenges_keeps_few_of_them() -> None:
    gate = make_gate()
    first = good(gate.challenge("f1", 0.0))
    last = [good(gate.challenge("f1", 0.0)) for _ in range(8)][-1]

    assert gate.check(first, invite(), "f1", 0.0)[0] is Verdict.STALE
    assert gate.check(last, invite(), "f1", 0.0)[0] is Verdict.GOOD
    assert "n8" not in repr(gate)
