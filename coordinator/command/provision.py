"""Get an account: log in at the service's REST API as a user, and save what a new device has to know.

Secrets come from files or from the environment, never from the command line, which every user of the machine
can read; and they are in no output.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agents.rest.client import RestClient, RestLogin
from shared.config import Account, load_account
from shared.errors import AccountError, ConfigError, MessageError
from shared.files import write_private
from shared.keyring import check_keyring, keyring_name, save_to_keyring

CLIENT_ID, CLIENT_SECRET, JWT = "SHAREDLINE_CLIENT_ID", "SHAREDLINE_CLIENT_SECRET", "SHAREDLINE_JWT"
_LONGEST_SECRET = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the command line said. ``account`` is a file, or ``keyring:NAME``."""

    account: Path
    server: str
    client_id: str | None = None
    client_secret_file: Path | None = None
    jwt_file: Path | None = None
    ca_file: Path | None = None


def read_login(order: Order, environ: Mapping[str, str] = os.environ) -> RestLogin:
    """Return who logs in.

    Raises:
        ConfigError: If one of the three that it takes is missing or cannot be read; the text says which.
    """
    client_id = order.client_id or environ.get(CLIENT_ID)
    if not client_id:
        raise ConfigError(f"no client id: give --client-id, or set {CLIENT_ID}")
    return RestLogin(
        client_id=client_id,
        client_secret=_secret("client secret", order.client_secret_file, CLIENT_SECRET, environ),
        jwt=_secret("JWT", order.jwt_file, JWT, environ),
        server=order.server,
        ca_file=order.ca_file,
    )


def _secret(what: str, file: Path | None, variable: str, environ: Mapping[str, str]) -> str:
    option = f"--{what.lower().replace(' ', '-')}-file"
    if file is None:
        secret, where = environ.get(variable, ""), f"the variable {variable}"
        if not secret:
            raise ConfigError(f"no {what}: give {option} FILE, or set {variable}")
    else:
        where = f"the file {file}"
        try:
            with file.open("rb") as opened:
                secret = opened.read(_LONGEST_SECRET).decode("ascii")
        except OSError as exc:
            raise ConfigError(f"cannot read the {what} in {file}: {exc.strerror}") from exc
        except UnicodeDecodeError as exc:
            raise ConfigError(f"the {what} in {file} is no text") from exc
    secret = secret.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ConfigError(f"{where} has no {what}: expected one word")
    return secret


async def provision(order: Order, environ: Mapping[str, str] = os.environ) -> Account:
    """Get an account and save it; return it as whoever joins will read it.

    Raises:
        SharedlineError: If that failed; nothing was saved then, and the text says what to do.
    """
    _check_place(order.account)
    async with RestClient(read_login(order, environ)) as rest:
        given = await rest.provision()
    if not given.sip_info:
        raise MessageError("provisioning: the service gave no sipInfo; may this user have a web phone?")
    info: dict[str, Any] = dict(given.sip_info[0])
    if given.device is not None:
        info["deviceId"] = given.device.id
    if order.ca_file is not None:
        info["caFile"] = str(order.ca_file.resolve())
    _save(order.account, msgspec.json.format(msgspec.json.encode(info), indent=2) + b"\n")
    return load_account(order.account)


def _check_place(account: Path) -> None:
    """Raise before a device is made that nobody could use."""
    if (name := keyring_name(account)) is not None:
        check_keyring(name)
        return
    why = None
    if account.is_dir():
        why = "it is a directory"
    elif not account.parent.is_dir():
        why = f"there is no directory {account.parent}"
    elif not os.access(account.parent, os.W_OK):
        why = f"the directory {account.parent} cannot be written"
    if why is not None:
        raise AccountError(f"cannot write the account file {account}: {why}")


def _save(account: Path, content: bytes) -> None:
    name = keyring_name(account)
    if name is not None:
        save_to_keyring(name, content.decode())
        return
    try:
        write_private(account, content)
    except OSError as exc:
        raise AccountError(f"cannot write the account file {account}: {exc.strerror or exc}") from exc
