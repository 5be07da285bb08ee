import base64
import itertools
import json

import pytest

from agents.pbx.rest.errors import ApiError
from agents.pbx.rest.tokens import Client, Grant, Lifetimes, Tokens

KEY = b"k" * 32
LIFE = Lifetimes(access=10.0, refresh=100.0, jwt=1000.0)


#: A header with an unknown field: 2,000 lists, each in the one before.
DEEP = base64.urlsafe_b64encode(b'{"alg":"HS256","x":' + b"[" * 2000).decode().rstrip("=") + ".e30.e30"


def make(*, key: bytes = KEY, audience: str = "us", client: str = "app", most: int = 10) -> Tokens:
    numbers = itertools.count(1)
    return Tokens(
        Client(client, "secret"),
        key,
        audience=audience,
        extensions=("101", "102"),
        new_token=lambda: f"token-{next(numbers)}",
        lifetimes=LIFE,
        most=most,
    )


def login(tokens: Tokens, now: float = 0.0) -> Grant:
    return tokens.login(tokens.make_jwt("101", now), now)


def refusal(tokens: Tokens, jwt: str, now: float = 0.0) -> ApiError:
    with pytest.raises(ApiError) as refused:
        tokens.login(jwt, now)
    assert (refused.value.status, refused.value.oauth) == (400, "invalid_grant")
    return refused.value


def test_a_jwt_becomes_a_token_that_is_good_for_its_time() -> None:
    tokens = make()
    grant = login(tokens, now=5.0)
    assert tokens.owner(grant.access_token, 14.9) == "101"
    with pytest.raises(ApiError, match="expired") as refused:
        tokens.owner(grant.access_token, 15.0)
    assert (refused.value.status, refused.value.code) == (401, "TokenExpired")


def test_a_refresh_token_is_used_once_and_takes_its_access_token_with_it() -> None:
    tokens = make()
    old = login(tokens)
    new = tokens.refresh(old.refresh_token, 50.0)
    assert tokens.owner(new.access_token, 50.0) == "101"
    with pytest.raises(ApiError, match="was used"):
        tokens.refresh(old.refresh_token, 50.0)
    with pytest.raises(ApiError, match="not found"):
        tokens.owner(old.access_token, 5.0)
    with pytest.raises(ApiError, match="expired"):
        tokens.refresh(new.refresh_token, 150.0)


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_one_token_ends_both(which: str) -> None:
    tokens = make()
    grant = login(tokens)
    tokens.revoke(getattr(grant, which))
    with pytest.raises(ApiError):
        tokens.owner(grant.access_token, 0.0)
    with pytest.raises(ApiError):
        tokens.refresh(grant.refresh_token, 0.0)
    tokens.revoke("nobody's")


def test_a_jwt_of_another_key_client_or_service_or_time_is_refused() -> None:
    tokens = make()
    assert "signature" in refusal(tokens, make(key=b"x" * 32).make_jwt("101", 0.0)).message
    assert "another" in refusal(tokens, make(audience="them").make_jwt("101", 0.0)).message
    assert "another" in refusal(tokens, make(client="other").make_jwt("101", 0.0)).message
    assert "no such user" in refusal(tokens, tokens.make_jwt("999", 0.0)).message
    assert "expired" in refusal(tokens, tokens.make_jwt("101", 0.0), now=1061.0).message


def test_a_jwt_without_a_signature_is_refused_whatever_its_header_says() -> None:
    tokens = make()
    _, claims, signature = tokens.make_jwt("101", 0.0).split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    assert "signature" in refusal(tokens, f"{header}.{claims}.").message
    assert "signature" in refusal(tokens, f"{header}.{claims}.{signature}").message


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "\u00e9.\u00e9.\u00e9", "x" * 5000, "e30.e30.e30", DEEP]
)
def test_what_is_no_jwt_is_refused(text: str) -> None:
    assert "no JWT" in refusal(make(), text).message


@pytest.mark.parametrize(("name", "secret"), [("app", "wrong"), ("other", "secret"), ("", "")])
def test_a_client_needs_both_its_name_and_its_secret(name: str, secret: str) -> None:
    make().check_client("app", "secret")
    with pytest.raises(ApiError) as refused:
        make().check_client(name, secret)
    assert (refused.value.status, refused.value.oauth) == (401, "invalid_client")


def test_the_number_of_tokens_is_bounded() -> None:
    tokens = make(most=2)
    grants = [login(tokens) for _ in range(3)]
    with pytest.raises(ApiError):
        tokens.owner(grants[0].access_token, 0.0)
    assert [tokens.owner(grant.access_token, 0.0) for grant in grants[1:]] == ["101", "101"]


def test_no_secret_is_in_a_repr() -> None:
    grant = login(make())
    assert "token-" not in repr(grant)
    assert "hush" not in repr(Client("app", "hush"))
