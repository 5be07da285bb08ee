import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.sip.digest import (
    Challenge,
    Credentials,
    Verdict,
    authorize,
    choose_challenge,
    digest_response,
    make_challenge,
    parse_authorization,
    parse_challenge,
    split_challenges,
    verify,
)
from shared.errors import SipError

US = Credentials("802396666666", "p\u00e4ss:word")
REALM = "sip.test"


def answer(challenge: Challenge, **changes: object) -> str:
    options: dict[str, object] = {
        "method": "INVITE",
        "uri": "sip:bob@sip.test",
        "cnonce": "c0",
        "body": "v=0\r\n",
    }
    return authorize(challenge, US, **{**options, **changes})  # type: ignore[arg-type]


def judge(header: str, **changes: object) -> Verdict:
    options: dict[str, object] = {
        "password": {US.username: US.password}.get,
        "realm": REALM,
        "is_nonce_good": lambda nonce, nc: nonce == "n0",
        "body": "v=0\r\n",
    }
    return verify(parse_authorization(header), "INVITE", **{**options, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616_come_out(algorithm: str, expected: str) -> None:
    response = digest_response(
        algorithm,
        Credentials("Mufasa", "Circle of Life"),
        "http-auth@example.org",
        "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        method="GET",
        uri="/dir/index.html",
        qop="auth",
        nc="00000001",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )

    assert response == expected


def test_the_example_of_rfc_2617_comes_out() -> None:
    response = digest_response(
        None,
        Credentials("Mufasa", "Circle Of Life"),
        "testrealm@host.com",
        "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        method="GET",
        uri="/dir/index.html",
        qop="auth",
        nc="00000001",
        cnonce="0a4f113b",
    )

    assert response == "6629fae49393a05397450978507c4ef1"


@pytest.mark.parametrize("name", ["MD5", "SHA-256", "SHA-512-256"])
@pytest.mark.parametrize("is_session", [False, True])
@pytest.mark.parametrize("qop", [None, "auth", "auth-int"])
def test_every_form_is_the_formula_of_rfc_7616(name: str, is_session: bool, qop: str | None) -> None:
    def digest(*parts: str) -> str:
        kind = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}[name]
        return hashlib.new(kind, ":".join(parts).encode()).hexdigest()

    secret = digest(US.username, REALM, US.password)
    secret = digest(secret, "n0", "c0") if is_session else secret
    action = ("BYE", "sip:b@h", digest("body")) if qop == "auth-int" else ("BYE", "sip:b@h")
    middle = ("n0", "00000001", "c0", qop) if qop else ("n0",)

    assert digest(secret, *middle, digest(*action)) == digest_response(
        f"{name}-sess" if is_session else name,
        US,
        REALM,
        "n0",
        method="BYE",
        uri="sip:b@h",
        qop=qop,
        nc="00000001",
        cnonce="c0",
        body="body",
    )


@pytest.mark.parametrize("text", ['Digest a={}"', "Digest {}a", "{}", "Digest a=b,{}", "Digest a{}= "])
@pytest.mark.parametrize("filling", [" ", ",", "a ", 'a="', "a=,", "\\"])
def test_a_hostile_header_takes_no_time_to_speak_of(text: str, filling: str) -> None:
    # Were it not for linear expressions, the first one would take 20 s, and run into the test's time limit.
    value = text.replace("{}", filling * (60_000 // len(filling)))

    with contextlib.suppress(SipError):
        parse_challenge(value)
    with contextlib.suppress(SipError):
        parse_authorization(value)
    split_challenges(value)


def test_without_algorithm_and_qop_the_answer_is_ringcentrals_to_the_letter() -> None:
    challenge = parse_challenge('Digest realm="sip.test", nonce="bm9uY2U="')
    secret = hashlib.md5(b"802396666666:sip.test:p\xc3\xa4ss:word").hexdigest()
    action = hashlib.md5(b"REGISTER:sip:sip.test").hexdigest()
    response = hashlib.md5(f"{secret}:bm9uY2U=:{action}".encode()).hexdigest()

    assert answer(challenge, method="REGISTER", uri="sip:sip.test") == (
        'Digest algorithm="MD5", username="802396666666", realm="sip.test", nonce="bm9uY2U=", '
        f'uri="sip:sip.test", response="{response}"'
    )


@pytest.mark.parametrize("algorithm", [None, "MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256"])
@pytest.mark.parametrize("qop", [None, "auth", "auth-int", "auth,auth-int"])
def test_both_sides_agree(algorithm: str | None, qop: str | None) -> None:
    text = make_challenge(REALM, "n0", algorithm=algorithm, qop=qop, opaque="o0")
    challenge = parse_challenge(text)
    assert challenge.is_supported

    header = answer(challenge, nc=10)

    assert judge(header) is Verdict.ACCEPTED
    assert 'opaque="o0"' in header
    assert ("nc=0000000a" in header) == (qop is not None)
    assert judge(header.replace(US.username, "somebody")) is Verdict.REFUSED
    assert judge(header, realm="other") is Verdict.REFUSED
    assert judge(header, is_nonce_good=lambda nonce, nc: False) is Verdict.STALE
    assert judge(header, password=lambda user: "wrong") is Verdict.REFUSED
    assert judge(header.replace("sip:bob", "sip:eve")) is Verdict.REFUSED
    if qop == "auth-int":
        assert judge(header, body="v=1\r\n") is Verdict.REFUSED


def test_a_wrong_answer_to_a_stale_nonce_is_refused_not_stale() -> None:
    header = answer(parse_challenge(make_challenge(REALM, "old")))

    assert judge(header, password=lambda user: "wrong") is Verdict.REFUSED


@pytest.mark.parametrize(("name", "value"), [("algorithm", "MD4"), ("qop", "auth-conf")])
def test_an_unknown_algorithm_or_qop_is_refused(name: str, value: str) -> None:
    header = answer(parse_challenge(make_challenge(REALM, "n0", algorithm="MD5")))
    changed = header.replace("algorithm=MD5", "") + f", {name}={value}"

    assert judge(changed.replace(", ,", ",")) is Verdict.REFUSED


def test_a_challenge_is_read_with_commas_in_quotes_and_in_any_case() -> None:
    challenge = parse_challenge(
        'DIGEST NONCE="a,b\\"c" ,realm="sip.test",qop="auth , auth-int", '
        'STALE=True,algorithm=SHA-256, opaque=""'
    )

    assert challenge == Challenge(REALM, 'a,b"c', "SHA-256", ("auth", "auth-int"), "", True)


def test_a_second_nonce_does_not_override_the_first() -> None:
    assert parse_challenge('Digest realm="a", nonce="1", nonce="2"').nonce == "1"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Digest",
        'Basic realm="x"',
        'Digest realm="x"',
        'Digest nonce="x"',
        'Digest realm="x", nonce="y',
        "Digest a b",
    ],
)
def test_what_is_no_challenge_is_refused(value: str) -> None:
    with pytest.raises(SipError):
        parse_challenge(value)


def test_an_answer_that_lacks_something_is_refused() -> None:
    with pytest.raises(SipError, match="uri"):
        parse_authorization('Digest username="a", realm="b", nonce="c", response="d"')


def test_several_challenges_in_one_value_are_told_apart() -> None:
    value = 'Digest realm="a", nonce="1", qop="auth,auth-int", Basic realm="b", Digest realm="c",nonce="2"'

    assert split_challenges(value) == [
        'Digest realm="a", nonce="1", qop="auth,auth-int"',
        'Basic realm="b"',
        'Digest realm="c",nonce="2"',
    ]


def test_the_topmost_challenge_of_our_realm_that_we_can_answer_is_chosen() -> None:
    values = [
        'Basic realm="sip.test"',
        'Digest realm="evil.test", nonce="0"',
        'Digest realm="sip.test", nonce="1", algorithm=MD4',
        'Digest realm="sip.test", nonce="2", qop="auth-conf"',
        'Digest realm="sip.test", nonce="3", algorithm=SHA-256, Digest realm="sip.test", nonce="4"',
    ]

    chosen = choose_challenge(values, realm=REALM)

    assert chosen is not None
    assert chosen.nonce == "3"
    assert choose_challenge(values[:4], realm=REALM) is None


def test_no_secret_is_in_a_repr() -> None:
    challenge = parse_challenge(make_challenge(REALM, "n0nce"))
    shown = repr((US, challenge, parse_authorization(answer(challenge))))

    assert US.password not in shown
    assert "n0nce" not in shown
    assert "response" not in shown


@given(st.text(max_size=120))
def test_any_text_is_a_challenge_or_refused(text: str) -> None:
    split_challenges(text)
    choose_challenge([text, "Digest " + text], realm="")
    for read in (parse_challenge, parse_authorization):
        with contextlib.suppress(SipError):
            read("Digest " + text)
