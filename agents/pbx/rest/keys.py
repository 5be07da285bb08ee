"""What clients need to log in, as files of mode 0600 in the service's directory.

``rest.json`` has all of it, while the service runs; ``client-secret`` and ``101.jwt`` hold one secret each,
for programs that take the name of a file. ``rest-keys.json`` keeps client and signing key for the next start.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from shared.errors import ConfigError
from shared.files import write_private

from .tokens import Client


class RestFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``rest.json``: where the REST side is, and how to log in. ``jwt`` is by extension."""

    server: str
    ca_file: str
    client_id: str
    client_secret: str
    jwt: dict[str, str]


class _Keys(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    client_id: str
    client_secret: str
    key: str


def load_keys(directory: Path) -> tuple[Client, bytes]:
    """Return the client and the key that JWTs are signed with: those of an earlier run, or new ones.

    Raises:
        ConfigError: If the directory cannot be written.
    """
    path = directory / "rest-keys.json"
    try:
        keys = msgspec.json.decode(path.read_bytes(), type=_Keys)
        key = bytes.fromhex(keys.key)
    except (OSError, ValueError, msgspec.DecodeError, RecursionError):
        key = secrets.token_bytes(32)  # the first run, or a damaged file
        keys = _Keys(client_id=secrets.token_hex(11), client_secret=secrets.token_urlsafe(32), key=key.hex())
        _write(path, msgspec.json.encode(keys))
    return Client(keys.client_id, keys.client_secret), key


def write_login(directory: Path, server: str, client: Client, jwts: Mapping[str, str]) -> None:
    """Write the files for whoever may log in.

    Raises:
        ConfigError: If the directory cannot be written.
    """
    file = RestFile(
        server=server,
        ca_file="ca.pem",
        client_id=client.id,
        client_secret=client.secret,
        jwt=dict(jwts),
    )
    _write(directory / "rest.json", msgspec.json.format(msgspec.json.encode(file), indent=2))
    _write(directory / "client-secret", client.secret.encode())
    for extension, jwt in jwts.items():
        _write(directory / f"{extension}.jwt", jwt.encode())


def remove_login(directory: Path) -> None:
    """Remove ``rest.json``: the service is gone."""
    (directory / "rest.json").unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    try:
        write_private(path, content + b"\n")
    except OSError as exc:
        raise ConfigError(f"cannot write {path}: {exc.strerror or exc}") from exc
