"""Settings and the account: every default stands here, and nowhere else.

Settings come from, later wins: the defaults below, a TOML file (``$SHAREDLINE_CONFIG``, else
``$XDG_CONFIG_HOME/sharedline/config.toml``), and ``SHAREDLINE_<NAME>`` environment variables.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from .errors import AccountError, ConfigError
from .keyring import keyring_name, load_from_keyring

Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]

# No Path: pathlib, and what it loads in its turn, would be half a MiB of each window.
if TYPE_CHECKING:
    Directory = str | os.PathLike[str]
else:
    Directory = str  # what msgspec reads


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a process of a group behaves. Times are seconds."""

    runtime_dir: Directory
    """Parent of each group's private directory: leases and sockets. Lost at reboot, on purpose."""

    state_dir: Directory
    """Parent of what must outlive a reboot: the instance id of each group."""

    heartbeat: Seconds = 0.1
    """A leader repeats its snapshot this often, so that whoever missed one converges."""

    stale_after: Seconds = 0.5
    """A window that heard nothing for so long shows its state as stale."""

    lease_time: Seconds = 0.5
    """A leader that did not renew its lease for so long is passed over (stopped, hung, suspended)."""

    presence_time: Seconds = 1.8
    """A window that the leader did not hear for so long is gone, and so is a call whose sound it hosts."""

    action_time: Seconds = 5.0
    """How long a window waits for the leader's reply before the outcome is unknown."""

    ended_calls_time: Seconds = 5.0
    """How long an ended call stays in the snapshot, so that a window that skipped some still sees its end."""

    move_sound: bool = True
    """Whether an answered call goes on at another window when the process that had its sound dies."""

    auto_answer: bool = True
    """Whether a call is answered by itself where the service asks for that (supervision, REST)."""

    opus_bit_rate: Annotated[int, msgspec.Meta(ge=6_000, le=128_000)] = 32_000
    """What our voice may take, in bit/s; speech wants 24,000, and gains nothing beyond 48,000."""

    opus_dtx: bool = False
    """Whether to send almost nothing while nobody speaks here (discontinuous transmission)."""

    echo_cancellation: bool = False
    """Whether to take the loudspeaker's sound out of the microphone's; needs the extra ``aec`` (livekit)."""

    trace_dir: Directory | None = None
    """Where each process writes what it saw and asked, for ``coordinator verify``; None: nowhere."""


def load_settings(environ: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
    """Return the settings of this process. ``overrides`` win over file and environment.

    Raises:
        ConfigError: If a file or variable has a name or value that cannot be used.
    """
    values: dict[str, Any] = _default_dirs(environ)
    path = _config_file(environ)
    values |= _read_toml(path, must_exist=bool(environ.get("SHAREDLINE_CONFIG")))
    for name in Settings.__struct_fields__:
        if (text := environ.get(f"SHAREDLINE_{name.upper()}")) is not None:
            values[name] = text
    for name, value in overrides.items():
        if value is not None:
            values[name] = os.fspath(value) if isinstance(value, os.PathLike) else value
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"bad setting: {exc}; look at {path} and the SHAREDLINE_* variables") from exc


def _default_dirs(environ: Mapping[str, str]) -> dict[str, Any]:
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime):
        runtime_dir = os.path.join(runtime, "sharedline")
    else:
        runtime_dir = os.path.join(environ.get("TMPDIR") or "/tmp", f"sharedline-{os.getuid()}")  # noqa: S108 - 0700
    state = environ.get("XDG_STATE_HOME") or os.path.join(_home(environ), ".local", "state")
    return {"runtime_dir": runtime_dir, "state_dir": os.path.join(state, "sharedline")}


def _config_file(environ: Mapping[str, str]) -> str:
    if named := environ.get("SHAREDLINE_CONFIG"):
        return named
    base = environ.get("XDG_CONFIG_HOME") or os.path.join(_home(environ), ".config")
    return os.path.join(base, "sharedline", "config.toml")


def _home(environ: Mapping[str, str]) -> str:
    return environ.get("HOME") or os.path.expanduser("~")


def _read_toml(path: str, *, must_exist: bool) -> dict[str, Any]:
    if not must_exist and not os.path.exists(path):
        return {}
    import tomllib  # few have such a file, and every window is small

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"cannot read the settings in {path}: {exc}") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One phone extension: what the service's ``sip-provision`` answer calls a sipInfo.

    ``outbound_proxy`` is ``host:port``; ``ca_file`` is the only authority to trust, for a service with
    certificates of its own; None: those of the system.
    """

    authorization_id: str
    domain: str
    outbound_proxy: str
    username: str
    password: str = field(repr=False)
    outbound_proxy_backup: str | None = None
    stun_servers: tuple[str, ...] = ()
    ca_file: str | os.PathLike[str] | None = None
    device_id: str | None = None
    """What the service's REST API calls this phone, if that is known."""


class _SipInfo(msgspec.Struct, rename="camel"):
    """The file's form; fields of the service that we do not use are ignored."""

    authorization_id: str
    domain: str
    outbound_proxy: str
    username: str
    password: str
    outbound_proxy_backup: str | None = None
    stun_servers: tuple[str, ...] | None = None
    ca_file: str | None = None
    device_id: str | None = None


_SPELLED = dict(zip(_SipInfo.__struct_fields__, _SipInfo.__struct_encode_fields__, strict=True))
_USER = re.compile(r"[A-Za-z0-9_.!~*'()&=+$,;?/%#-]+")  # RFC 3261 §25.1, and the # of some services
#: What may stand in a quoted string without an escape, and in the lines that are hashed with the password.
_AUTHORIZATION_ID = re.compile(r"[^\x00-\x1f\x7f-\x9f\"\\:]+")
_PASSWORD = re.compile(r"[^\r\n\0]+")
_DOMAIN = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
#: One certificate at least, whole, as PEM writes it (RFC 7468); what is in it only a connection can judge.
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_MOST_CA_BYTES = 4_000_000


def load_account(path: str | os.PathLike[str]) -> Account:
    """Read an account from a sipInfo JSON file, or with ``keyring:NAME`` from the system's keyring.

    Accepts the object itself or the whole answer of ``sip-provision`` (the first of ``sipInfo``).
    ``caFile``, ours, is relative to the file.

    Raises:
        AccountError: If the file is unreadable, no JSON, or lacks a field, or its ``caFile`` holds no
            certificate; the text says which.
    """
    path = os.fspath(path)
    where = f"the account file {path}"
    try:
        content = _content(path)
    except OSError as exc:
        raise AccountError(f"cannot read {where}: {exc.strerror}") from exc
    return _from_json(content, where, os.path.dirname(path))


def read_account(sip_info: Account | Mapping[str, Any] | str | os.PathLike[str]) -> Account:
    """Return the account in ``sip_info``: one already, a mapping, JSON text, or the path of a file.

    Mapping and text may be the sipInfo object or the whole answer of ``sip-provision``. ``caFile`` is
    relative to the file, else to the working directory.

    Raises:
        AccountError: If it is none of these, lacks a field, or its ``caFile`` holds no certificate; the text
            says which.
    """
    match sip_info:
        case Account():
            return sip_info
        case Mapping():
            return _from_object(dict(sip_info), "sip_info", "")
        case str() if sip_info.lstrip().startswith(("{", "[")):
            return _from_json(sip_info, "sip_info", "")
        case str() | os.PathLike():
            return load_account(sip_info)
    raise AccountError(
        f"the account is a {type(sip_info).__name__}; expected JSON text, a mapping, a path or an Account"
    )


def _from_json(text: str | bytes, where: str, base: str) -> Account:
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise AccountError(f"{where} is not JSON ({exc}); expected the sipInfo object") from exc
    return _from_object(raw, where, base)


def _from_object(raw: object, where: str, base: str) -> Account:
    if isinstance(raw, dict) and isinstance(raw.get("sipInfo"), list) and raw["sipInfo"]:
        raw = raw["sipInfo"][0]
    try:
        info = msgspec.convert(raw, _SipInfo)
    except msgspec.ValidationError as exc:
        raise AccountError(f"{where} is incomplete: {exc}") from exc
    return _checked(info, where, base)


def _content(path: str) -> bytes | str:
    if (name := keyring_name(path)) is not None:
        return load_from_keyring(name)
    with open(path, "rb") as file:
        return file.read()


def _checked(info: _SipInfo, where: str, base: str) -> Account:
    for name in ("authorization_id", "domain", "outbound_proxy", "username", "password"):
        if not getattr(info, name).strip():
            raise AccountError(f"{where} is incomplete: {_SPELLED[name]} is empty")
    for name, allowed in (("username", _USER), ("domain", _DOMAIN)):
        if not allowed.fullmatch(getattr(info, name)):
            raise AccountError(f"{where}: {name} has characters that no SIP address can have")
    for name, allowed in (("authorization_id", _AUTHORIZATION_ID), ("password", _PASSWORD)):
        if not allowed.fullmatch(getattr(info, name)):
            raise AccountError(
                f"{where}: {_SPELLED[name]} has a character that cannot be sent "
                "(a line break, or a quote or colon in the id); get the file anew"
            )
    for name in ("outbound_proxy", "outbound_proxy_backup"):
        proxy = getattr(info, name) or ""
        host, _, port = proxy.rpartition(":")
        if proxy and (not host or not port.isdecimal() or not 0 < int(port) < 65536):
            raise AccountError(f"{where}: {_SPELLED[name]} {proxy!r} is not host:port")
    return Account(
        authorization_id=info.authorization_id,
        domain=info.domain,
        outbound_proxy=info.outbound_proxy,
        username=info.username,
        password=info.password,
        outbound_proxy_backup=info.outbound_proxy_backup or None,
        stun_servers=info.stun_servers or (),
        ca_file=_ca_file(os.path.join(base, info.ca_file), where) if info.ca_file else None,
        device_id=info.device_id,
    )


def _ca_file(path: str, where: str) -> str:
    """Return ``path``, where a certificate must be: without one, each connection would fail in vain."""
    remedy = "get the service's certificate anew, or remove caFile to trust the system's authorities"
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_CA_BYTES)
    except (OSError, ValueError) as exc:
        cause = getattr(exc, "strerror", None) or exc
        raise AccountError(f"{where}: caFile {path} cannot be read ({cause}); {remedy}") from exc
    if not _CERTIFICATE.search(content):
        raise AccountError(f"{where}: caFile {path} holds no certificate (PEM); {remedy}")
    return path
