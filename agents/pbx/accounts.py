"""Who has a phone here, under which numbers, and the account files that phones are given.

An account file has the form of the SDK's sipInfo, with ``caFile`` added. A service that starts again in the
same directory keeps ids and passwords, so that phones that were given them can go on.
"""

import contextlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from shared.errors import ConfigError
from shared.files import write_private

from .settings import FAREWELL_ROBOT, Extension, Queue, SimulatorSettings

_PHONE_NUMBER = re.compile(r"\+?[0-9]{3,15}")
_SEPARATORS = str.maketrans("", "", " -().")


@dataclass(frozen=True, slots=True)
class Subscriber:
    """An extension with the credentials of one of its devices.

    ``username`` is the user part of its address of record, the same for all of them.
    """

    extension: Extension
    username: str
    authorization_id: str
    password: str = field(repr=False)
    device_id: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a dialled number leads. ``kind`` ``bad`` is answered with ``status``.

    Queues are extensions, whose phones are those of their members.
    """

    kind: Literal["extension", "robot", "bad"]
    number: str
    status: int = 0


class NumberPlan:
    """All subscribers, each with the device of its account file, and what each number means."""

    def __init__(
        self, subscribers: Iterable[Subscriber], *, main_number: str, queues: Iterable[Queue] = ()
    ) -> None:
        self.subscribers = {subscriber.extension.number: subscriber for subscriber in subscribers}
        self._by_username = {subscriber.username: subscriber for subscriber in self.subscribers.values()}
        self._by_id = {subscriber.authorization_id: subscriber for subscriber in self.subscribers.values()}
        self.main_number = main_number
        self._routes = {FAREWELL_ROBOT[0]: Route("robot", FAREWELL_ROBOT[0])}
        self._routes[canonical(FAREWELL_ROBOT[1])] = Route("robot", FAREWELL_ROBOT[0])
        for number, subscriber in self.subscribers.items():
            # An extension may take a robot's number: who configures it wants the phone.
            self._routes[number] = Route("extension", number)
            for full in subscriber.extension.numbers:
                self._routes[canonical(full)] = Route("extension", number)
        self._queues = {queue.number: queue for queue in queues}
        for queue in self._queues.values():
            for each in (queue.number, *queue.numbers):
                self._routes[canonical(each)] = Route("extension", queue.number)

    def by_username(self, username: str) -> Subscriber | None:
        """Return who has the address of record ``username``."""
        return self._by_username.get(username)

    def by_authorization_id(self, authorization_id: str) -> Subscriber | None:
        """Return whose digest user name this is, with the device that it was given to."""
        return self._by_id.get(authorization_id)

    def devices(self, extension: str) -> list[Subscriber]:
        """Return all devices of an extension, oldest first."""
        return [device for device in self._by_id.values() if device.extension.number == extension]

    def add_device(self, device: Subscriber) -> None:
        """Let an extension have one more device, or another id for one that it has."""
        self._by_id[device.authorization_id] = device

    def remove_device(self, device: Subscriber) -> None:
        """Let the credentials of a device be good for nothing."""
        self._by_id.pop(device.authorization_id, None)

    def queue(self, number: str) -> Queue | None:
        """Return the queue whose short number this is."""
        return self._queues.get(number)

    def members(self, number: str) -> tuple[str, ...]:
        """Return the extensions that ring at a short number: a queue's members, else the extension itself."""
        queue = self._queues.get(number)
        return queue.members if queue is not None else (number,)

    def route(self, dialled: str) -> Route:
        """Say where ``dialled`` leads: a full number in any usual form, an extension, or ``main*extension``.

        What is no number at all leads to 404, a number that nobody has to 486, as at the real service.
        """
        number = without_separators(dialled)
        main, star, extension = number.partition("*")
        if star and canonical(main) == canonical(self.main_number):
            number = extension
        if found := self._routes.get(number) or self._routes.get(canonical(number)):
            return found
        return Route("bad", number, 486 if _PHONE_NUMBER.fullmatch(number) else 404)


def without_separators(number: str) -> str:
    """Return ``6505550199`` for ``(650) 555-0199``."""
    return number.translate(_SEPARATORS)


def canonical(number: str) -> str:
    """Return a number without ``+``, and a number of ten digits with the leading 1 (North America)."""
    number = number.removeprefix("+")
    return f"1{number}" if len(number) == 10 and number.isdecimal() else number


def make_subscribers(settings: SimulatorSettings) -> list[Subscriber]:
    """Return the subscribers, with the credentials of an earlier run in the directory if there are any."""
    return [_subscriber(settings, extension) for extension in settings.extensions]


def _subscriber(settings: SimulatorSettings, extension: Extension) -> Subscriber:
    username = f"{settings.main_number}*{extension.number}"
    # A damaged file is no reason to fail: it is about to be replaced.
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        known = _decoder.decode(account_path(settings.directory, extension).read_bytes())
        if known.username == username and known.domain == settings.domain:
            return Subscriber(extension, username, known.authorization_id, known.password)
    return Subscriber(extension, username, new_identity(), secrets.token_urlsafe(12))


def new_identity() -> str:
    """Return the twelve digits of a new device."""
    return str(800_000_000_000 + secrets.randbelow(100_000_000_000))


def account_path(directory: Path, extension: Extension) -> Path:
    """Return where the account file of an extension is."""
    return directory / f"{extension.number}.json"


class SipInfo(msgspec.Struct, rename="camel", omit_defaults=True):
    """What ``sip-provision`` answers for one device, and in account files ``caFile``."""

    authorization_id: str
    domain: str
    outbound_proxy: str
    username: str
    password: str
    stun_servers: list[str]
    transport: str
    authorization_types: list[str]
    ca_file: str = ""


_decoder = msgspec.json.Decoder(SipInfo)


def sip_info(settings: SimulatorSettings, device: Subscriber, *, wss_port: int, ca_file: str = "") -> SipInfo:
    """Return what a device has to know to register."""
    return SipInfo(
        authorization_id=device.authorization_id,
        domain=settings.domain,
        outbound_proxy=f"{settings.host}:{wss_port}",
        username=device.username,
        password=device.password,
        stun_servers=[],
        transport="WSS",
        authorization_types=["SipDigest"],
        ca_file=ca_file,
    )


def write_accounts(settings: SimulatorSettings, subscribers: Iterable[Subscriber], *, wss_port: int) -> None:
    """Write one sipInfo file an extension (mode 0600): they hold passwords.

    Raises:
        ConfigError: If the directory cannot be written.
    """
    for subscriber in subscribers:
        info = sip_info(settings, subscriber, wss_port=wss_port, ca_file="ca.pem")
        path = account_path(settings.directory, subscriber.extension)
        try:
            write_private(path, msgspec.json.format(msgspec.json.encode(info), indent=2) + b"\n")
        except OSError as exc:
            raise ConfigError(f"cannot write the account file {path}: {exc.strerror}") from exc


def prepare(directory: Path) -> None:
    """Make the service's directory, private to its user.

    Raises:
        ConfigError: If it cannot be made or written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = directory / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as exc:
        raise ConfigError(f"cannot write the directory {directory}: {exc.strerror or exc}") from exc
