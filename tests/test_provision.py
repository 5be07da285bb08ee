"""Where secrets come from, and what failures of the REST API tell the user."""

import datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from agents.rest.wire import Answer, Wire, _retry_after, login_refusal, refusal
from coordinator.command.provision import Order, read_login
from shared.config import load_account
from shared.errors import AccountError, ConfigError, LoginFailed, RestFailed


def order(tmp_path: Path, **values: Path | str) -> Order:
    return Order(account=tmp_path / "account.json", server="https://service.test", **values)  # type: ignore[arg-type]  # checked by the test


def test_secrets_come_from_files_and_the_rest_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "jwt").write_text("aaa.bbb.ccc\n")
    environ = {"SHAREDLINE_CLIENT_ID": "app", "SHAREDLINE_CLIENT_SECRET": "hush", "SHAREDLINE_JWT": "other"}
    login = read_login(order(tmp_path, jwt_file=tmp_path / "jwt"), environ)
    assert (login.client_id, login.client_secret, login.jwt) == ("app", "hush", "aaa.bbb.ccc")
    for secret in ("hush", "aaa.bbb.ccc"):
        assert secret not in repr(login)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "no client id: give --client-id"),
        (
            {"SHAREDLINE_CLIENT_ID": "a"},
            "no client secret: give --client-secret-file FILE, or set SHAREDLINE_CL",
        ),
        (
            {"SHAREDLINE_CLIENT_ID": "a", "SHAREDLINE_CLIENT_SECRET": "s"},
            "no JWT: give --jwt-file FILE, or set SHAREDLINE_JWT",
        ),
        (
            {"SHAREDLINE_CLIENT_ID": "a", "SHAREDLINE_CLIENT_SECRET": "two words"},
            "SHAREDLINE_CLIENT_SECRET has no client secret",
        ),
    ],
)
def test_what_is_missing_is_named_with_where_it_can_come_from(
    tmp_path: Path, environ: dict[str, str], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        read_login(order(tmp_path), environ)


@pytest.mark.parametrize(
    ("content", "named"),
    [(None, "cannot read the JWT in .*jwt: No such file"), (b"\xff", "is no text"), (b" \n", "has no JWT")],
)
def test_a_file_that_cannot_be_used_is_named_and_not_shown(
    tmp_path: Path, content: bytes | None, named: str
) -> None:
    if content is not None:
        (tmp_path / "jwt").write_bytes(content)
    environ = {"SHAREDLINE_CLIENT_ID": "a", "SHAREDLINE_CLIENT_SECRET": "s"}
    with pytest.raises(ConfigError, match=named):
        read_login(order(tmp_path, jwt_file=tmp_path / "jwt"), environ)


@pytest.mark.parametrize(
    "server",
    ["http://service.test", "service.test", "", "https://", "https://u:p@service.test", "https://a/b"],
)
def test_a_server_must_be_one_that_keeps_secrets(server: str) -> None:
    with pytest.raises(ConfigError, match=r"expected https://HOST\[:PORT\]") as refused:
        Wire(server, None)
    assert "u:p" not in str(refused.value)


def test_an_authority_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"authority.*ca\.pem"):
        Wire("https://service.test", tmp_path / "ca.pem")


def test_how_long_to_wait_is_a_number_or_a_date() -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=90)
    assert _retry_after("7") == 7.0
    assert _retry_after(format_datetime(later, usegmt=True)) == pytest.approx(90, abs=3)
    assert _retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert _retry_after("9" * 40) == 86_400.0
    for nothing in (None, "soon", "-1", "", "\u0663"):
        assert _retry_after(nothing) is None


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        (Answer(429, b"{}", 7.0), ["429", "try again in 7 s"]),
        (Answer(503, b"<html>", None), ["503", "try again later"]),
        (Answer(403, b'{"errorCode":"CMN-408","message":"No"}'), ["403 CMN-408: No", "permission"]),
        (Answer(302, b""), ["302", "check the server's name"]),
        (Answer(404, b'{"errorCode":"CMN-102","message":"a\\r\\nb\\u001b[2J"}'), ["CMN-102: a b[2J"]),
    ],
)
def test_each_failure_is_one_line_with_a_remedy(answer: Answer, parts: list[str]) -> None:
    error = refusal(answer, "provisioning")
    assert str(error).startswith("provisioning failed (")
    assert str(error).isprintable()
    for part in parts:
        assert part in str(error)
    assert (error.status, error.retry_after) == (answer.status, answer.retry_after)


def test_a_login_tells_whether_the_client_or_the_jwt_is_wrong() -> None:
    wrong_client = login_refusal(Answer(401, b'{"error":"invalid_client","error_description":"Wrong"}'))
    assert isinstance(wrong_client, LoginFailed)
    assert "check the client id and the client secret" in str(wrong_client)
    wrong_jwt = login_refusal(Answer(400, b'{"error":"invalid_grant","message":"expired"}'))
    assert isinstance(wrong_jwt, LoginFailed)
    assert "(expired); make a new JWT" in str(wrong_jwt)
    busy = login_refusal(Answer(429, b'{"errorCode":"CMN-301"}', 3.0))
    assert isinstance(busy, RestFailed)
    assert not isinstance(busy, LoginFailed)


def test_the_keyring_is_named_when_it_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    from keyring.backends.fail import Keyring

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())  # type: ignore[no-untyped-call]  # theirs
    try:
        with pytest.raises(AccountError, match="use an account file instead"):
            load_account("keyring:front")
    finally:
        keyring.set_keyring(before)


def test_without_the_extra_the_keyring_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(AccountError, match=r"pip install 'sharedline\[keyring\]'"):
        load_account("keyring:front")
