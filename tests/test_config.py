"""Accounts and settings: every bad file is one clear error that names the path and the field."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from shared.config import load_account, load_settings, read_account
from shared.errors import AccountError, ConfigError

GOOD: dict[str, Any] = {
    "authorizationId": "800000000101",
    "domain": "sip.test",
    "outboundProxy": "127.0.0.1:8083",
    "outboundProxyBackup": "127.0.0.1:8084",
    "username": "16505550100*101",
    "password": "canary-password",
    "stunServers": ["stun.test:19302"],
    "transport": "WSS",
}

CERTIFICATE = b"# ours\n-----BEGIN CERTIFICATE-----\nMIIB\nAQ==\n-----END CERTIFICATE-----\n"


def write(directory: Path, content: Any, name: str = "account.json") -> Path:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def complaint(path: Path) -> str:
    with pytest.raises(AccountError) as caught:
        load_account(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert "canary" not in text
    return text


def test_a_sip_info_is_an_account(tmp_path: Path) -> None:
    write(tmp_path, CERTIFICATE, "ca.pem")
    account = load_account(write(tmp_path, GOOD | {"caFile": "ca.pem"}))
    assert account.authorization_id == "800000000101"
    assert account.outbound_proxy_backup == "127.0.0.1:8084"
    assert account.stun_servers == ("stun.test:19302",)
    assert account.ca_file == str(tmp_path / "ca.pem")


def test_the_whole_answer_of_sip_provision_is_an_account_too(tmp_path: Path) -> None:
    assert load_account(write(tmp_path, {"device": {}, "sipInfo": [GOOD, {}]})).domain == "sip.test"


def test_what_an_account_may_lack(tmp_path: Path) -> None:
    least = {name: GOOD[name] for name in list(GOOD) if name not in ("outboundProxyBackup", "stunServers")}
    account = load_account(write(tmp_path, least | {"stunServers": None}))
    assert (account.outbound_proxy_backup, account.stun_servers, account.ca_file) == (None, (), None)


@pytest.mark.parametrize("name", ["authorizationId", "domain", "outboundProxy", "username", "password"])
@pytest.mark.parametrize("value", ["missing", None, 7, "", "  "])
def test_an_incomplete_account_names_its_file_and_the_field(tmp_path: Path, name: str, value: Any) -> None:
    content = GOOD | {name: value}
    if value == "missing":
        del content[name]
    assert name in complaint(write(tmp_path, content))


@pytest.mark.parametrize("proxy", ["sip.test", "sip.test:", ":8083", "sip.test:99999", "sip.test:x", "sip:0"])
@pytest.mark.parametrize("name", ["outboundProxy", "outboundProxyBackup"])
def test_a_proxy_that_is_not_host_and_port_is_named(tmp_path: Path, name: str, proxy: str) -> None:
    assert name in complaint(write(tmp_path, GOOD | {name: proxy}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("username", "16505550100 101"),
        ("username", "a\r\nVia: x"),
        ("username", "<sip:evil>"),
        ("authorizationId", '8023"'),
        ("authorizationId", "8023\r\nX: 1"),
        ("authorizationId", "80\\23"),
        ("authorizationId", "80:23"),
        ("password", "canary\r\n"),
        ("password", "canary\n"),
        ("password", "can\0ary"),
        ("domain", "sip test"),
        ("domain", "sip.test>\r\nX: 1"),
    ],
)
def test_what_cannot_stand_in_a_sip_message_is_refused_when_it_is_read(
    tmp_path: Path, name: str, value: str
) -> None:
    message = complaint(write(tmp_path, GOOD | {name: value}))

    assert name in message
    assert "canary" not in message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"password": "canary-',
        b"[]",
        b'"text"',
        b"null",
        b"7",
    ],
)
def test_a_file_that_is_no_sip_info_is_named(tmp_path: Path, content: bytes) -> None:
    complaint(write(tmp_path, content))


@pytest.mark.parametrize("content", [{"sipInfo": []}, {"sipInfo": [7]}, {"sipInfo": None}, {"sipInfo": {}}])
def test_an_empty_answer_of_sip_provision_is_no_account(tmp_path: Path, content: Any) -> None:
    complaint(write(tmp_path, content))


def test_a_file_that_is_not_there_or_no_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in complaint(tmp_path / "none.json")
    assert "directory" in complaint(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"no certificate",
        CERTIFICATE[:-30],
        b"-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----",
    ],
)
def test_an_authority_that_is_not_there_or_no_certificate_is_named_when_the_account_is_read(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        write(tmp_path, content, "ca.pem")
    message = complaint(write(tmp_path, GOOD | {"caFile": "ca.pem"}))
    assert f"caFile {tmp_path / 'ca.pem'}" in message
    assert "remove caFile" in message
    with pytest.raises(AccountError, match=r"^sip_info: caFile .*ca\.pem"):
        read_account(GOOD | {"caFile": str(tmp_path / "ca.pem")})


@pytest.mark.parametrize("name", ["", "ca\0.pem"])
def test_an_authority_that_no_file_can_be_is_named(tmp_path: Path, name: str) -> None:
    assert "caFile" in complaint(write(tmp_path, GOOD | {"caFile": f"{tmp_path}/{name}"}))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    path.chmod(0)
    assert "Permission denied" in complaint(path)


def test_the_password_is_not_in_the_repr_of_an_account(tmp_path: Path) -> None:
    assert "canary" not in repr(load_account(write(tmp_path, GOOD)))


# -- settings


def environ(tmp_path: Path, **variables: str) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)} | variables


def test_defaults_are_private_places_of_the_user(tmp_path: Path) -> None:
    settings = load_settings(environ(tmp_path))
    assert settings.runtime_dir == str(tmp_path / "sharedline")
    assert settings.state_dir == str(tmp_path / ".local" / "state" / "sharedline")


def test_without_a_runtime_directory_the_temporary_one_is_used_with_the_users_number(tmp_path: Path) -> None:
    settings = load_settings({"HOME": str(tmp_path)})
    assert Path(settings.runtime_dir).name == f"sharedline-{os.getuid()}"


def test_the_environment_wins_over_the_file_and_the_caller_over_both(tmp_path: Path) -> None:
    file = write(tmp_path, b"heartbeat = 0.2\nstale_after = 0.7\nlease_time = 0.9\n", "config.toml")
    variables = environ(
        tmp_path,
        SHAREDLINE_CONFIG=str(file),
        SHAREDLINE_STALE_AFTER="0.8",
        SHAREDLINE_LEASE_TIME="1",
        SHAREDLINE_STATE_DIR="/elsewhere",
    )
    settings = load_settings(variables, lease_time=2.0)
    assert (settings.heartbeat, settings.stale_after, settings.lease_time) == (0.2, 0.8, 2.0)
    assert settings.state_dir == "/elsewhere"


@pytest.mark.parametrize(
    "content", [b"heartbeat = ", b"\xff", b"heartbeet = 1.0\n", b'heartbeat = "often"\n']
)
def test_a_bad_settings_file_is_one_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content, "config.toml")
    with pytest.raises(ConfigError, match=r"config\.toml") as caught:
        load_settings(environ(tmp_path, SHAREDLINE_CONFIG=str(path)))
    assert "\n" not in str(caught.value)


def test_a_bad_variable_is_one_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="heartbeat"):
        load_settings(environ(tmp_path, SHAREDLINE_HEARTBEAT="often"))


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
@pytest.mark.parametrize("name", ["heartbeat", "stale_after", "lease_time", "presence_time", "action_time"])
def test_a_time_that_would_stop_or_spin_the_phone_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load_settings(environ(tmp_path, **{f"SHAREDLINE_{name.upper()}": value}))


def test_a_settings_file_that_is_named_and_not_there_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "typo.toml"
    with pytest.raises(ConfigError, match=r"cannot read the settings in .*typo\.toml: .*No such file"):
        load_settings({"SHAREDLINE_CONFIG": str(missing), "HOME": str(tmp_path)})
    assert load_settings({"HOME": str(tmp_path)}).heartbeat == 0.1
