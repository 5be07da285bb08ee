import pytest

from agents.sip.authentication import Authenticator
from agents.sip.digest import Credentials, make_challenge, parse_authorization
from agents.sip.message import Headers, Request, Response, make_response

from .sip_pair import id_factory

CHALLENGE = make_challenge("sip.test", "n1", algorithm="SHA-256", qop="auth")


def authenticator() -> Authenticator:
    return Authenticator(Credentials("me", "s3cr3t"), realm="sip.test", new_id=id_factory("x"))


def request() -> Request:
    fields = {
        "Via": "SIP/2.0/WSS a.invalid;branch=z9hG4bK-1",
        "From": "<sip:a@h>;tag=1",
        "To": "<sip:b@h>",
        "Call-Id": "call",
        "CSeq": "5 INFO",
    }
    return Request("INFO", "sip:b@h", Headers(fields.items()), "{}")


def challenged(first: Request, status: int = 407, challenge: str = CHALLENGE) -> Response:
    name = "Proxy-Authenticate" if status == 407 else "Www-Authenticate"
    return make_response(first, status, headers=[(name, challenge)])


def test_the_second_attempt_is_a_new_request_with_the_answer() -> None:
    again = authenticator().retry(request(), challenged(request()))

    assert again is not None
    assert again.via.sent_by == "a.invalid"
    assert again.via.branch not in ("", "z9hG4bK-1")
    assert again.cseq == (6, "INFO")
    assert (again.call_id, again.from_, again.body) == ("call", request().from_, "{}")
    answer = parse_authorization(again.headers.get("Proxy-Authorization") or "")
    assert (answer.username, answer.uri, answer.nc) == ("me", "sip:b@h", "00000001")


def test_a_nonce_that_is_used_again_is_counted() -> None:
    us = authenticator()
    counts = []
    for _ in range(2):
        again = us.retry(request(), challenged(request()))
        assert again is not None
        counts.append(parse_authorization(again.headers.get("Proxy-Authorization") or "").nc)

    assert counts == ["00000001", "00000002"]


def test_the_nonces_of_two_servers_are_counted_each() -> None:
    us = authenticator()
    counts = []
    for nonce in ("n1", "n2", "n1"):
        challenge = make_challenge("sip.test", nonce, qop="auth")
        again = us.retry(request(), challenged(request(), 407, challenge))
        assert again is not None
        counts.append(parse_authorization(again.headers.get("Proxy-Authorization") or "").nc)

    assert counts == ["00000001", "00000001", "00000002"]


def test_all_requests_with_one_nonce_have_the_cnonce_that_a_session_hash_begins_with() -> None:
    us = authenticator()
    cnonces = []
    for nonce in ("n1", "n1", "n2"):
        challenge = make_challenge("sip.test", nonce, algorithm="MD5-sess", qop="auth")
        again = us.retry(request(), challenged(request(), 407, challenge))
        assert again is not None
        cnonces.append(parse_authorization(again.headers.get("Proxy-Authorization") or "").cnonce)

    assert cnonces[0] == cnonces[1]
    assert cnonces[0] != cnonces[2]


def test_both_the_proxy_and_the_far_end_may_ask() -> None:
    us = authenticator()
    first = us.retry(request(), challenged(request(), 407))
    assert first is not None
    second = us.retry(first, challenged(first, 401))

    assert second is not None
    assert "Authorization" in second.headers
    assert "Proxy-Authorization" in second.headers


@pytest.mark.parametrize(
    "challenge",
    [
        make_challenge("evil.test", "n1"),
        make_challenge("SIP.TEST", "n1"),
        make_challenge("sip.test", "n1", algorithm="MD4"),
        'Basic realm="sip.test"',
        'Digest realm="sip.test", nonce="open',
        "",
    ],
)
def test_what_is_not_ours_to_answer_is_not_answered(challenge: str) -> None:
    assert authenticator().retry(request(), challenged(request(), 407, challenge)) is None


def test_only_a_challenge_is_answered() -> None:
    response = make_response(request(), 403, headers=[("Proxy-Authenticate", CHALLENGE)])

    assert authenticator().retry(request(), response) is None


def test_a_refused_password_is_not_sent_again_unless_the_nonce_was_stale() -> None:
    us = authenticator()
    first = us.retry(request(), challenged(request()))
    assert first is not None

    assert us.retry(first, challenged(first)) is None
    assert us.retry(first, challenged(first, 407, make_challenge("sip.test", "n1", stale=True))) is None
    assert us.retry(first, challenged(first, 407, make_challenge("sip.test", "n2", stale=True))) is not None
