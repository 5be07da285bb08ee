"""What can be set at the simulated service, and every default. Times are seconds."""

import ipaddress
import math
import socket
from dataclasses import dataclass, fields
from pathlib import Path

from shared.errors import ConfigError

#: The numbers of robots that pick up by themselves: a short one and the full one that it stands for.
FAREWELL_ROBOT = ("199", "16505550199")


@dataclass(frozen=True, slots=True)
class Extension:
    """One phone extension: its short ``number`` and the ``direct_number`` that strangers dial.

    ``other_numbers`` lead to it as well. Without a ``name`` it is called by its number.
    """

    number: str
    direct_number: str
    name: str = ""
    other_numbers: tuple[str, ...] = ()

    @property
    def display_name(self) -> str:
        """What others see."""
        return self.name or f"Extension {self.number}"

    @property
    def numbers(self) -> tuple[str, ...]:
        """All full numbers, the direct one first."""
        return (self.direct_number, *self.other_numbers)

    @classmethod
    def parse(cls, text: str) -> "Extension":
        """Read ``101:16505550101``.

        Raises:
            ConfigError: If ``text`` is not two numbers with a colon between them.
        """
        number, colon, direct = text.partition(":")
        direct = direct.removeprefix("+")
        if not (colon and _is_number(number, 2, 8) and _is_number(direct, 7, 15)):
            raise ConfigError(
                f"bad extension {text!r}: expected EXTENSION:NUMBER, for example 101:16505550101"
            )
        return cls(number, direct)


@dataclass(frozen=True, slots=True)
class Queue:
    """A number at which several extensions ring together, and see that the call is for the queue."""

    number: str
    name: str
    members: tuple[str, ...]
    direct_number: str = ""

    @property
    def numbers(self) -> tuple[str, ...]:
        """Its full number, if it has one."""
        return (self.direct_number,) if self.direct_number else ()


def _is_number(text: str, shortest: int, longest: int) -> bool:
    return text.isascii() and text.isdecimal() and shortest <= len(text) <= longest


def _check_own(address: str) -> None:
    """Raise :exc:`ConfigError` unless sound can be sent from ``address``."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"bad media address {address!r}: it is not one of this machine's") from exc


#: Nobody could call, or come in, with none.
_AT_LEAST_ONE = frozenset(
    {
        "conference_size",
        "max_connections",
        "max_instances",
        "max_message_bytes",
        "max_silent",
        "max_silent_per_peer",
        "max_strangers",
        "max_strangers_per_peer",
    }
)

DEFAULT_EXTENSIONS = (Extension("101", "16505550101"), Extension("102", "16505550102"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """How the service behaves."""

    directory: Path
    """Where accounts, certificates, ledger and recordings are written; made 0700 if missing."""

    host: str = "127.0.0.1"
    wss_port: int = 0
    """0 lets the system choose."""

    control_port: int = 0
    rest_port: int | None = None
    """The port of the REST side, 0 for any; None: there is none."""

    domain: str = "sip.test"
    main_number: str = "16505550100"
    extensions: tuple[Extension, ...] = DEFAULT_EXTENSIONS
    queues: tuple[Queue, ...] = ()

    park_first: int = 801
    """The number of the first place for parked calls, which is picked up with ``*`` before it."""

    park_places: int = 99

    expiry: float = 60.0
    """The longest registration granted."""

    min_expiry: float = 0.0
    """A shorter one, except 0, is answered ``423 Interval Too Brief`` (RFC 3261 §10.3)."""

    max_instances: int = 5
    """Live instances of one extension; one more is answered ``603 Too Many Contacts``."""

    nonce_time: float = 60.0
    """How long a challenge can be answered; later the answer is stale."""

    flow_grace: float = 30.0
    """How long a call outlives the connection of one of its phones, for another process to continue it."""

    ring_time: float = 60.0
    """How long a phone rings before the caller gets ``480``, or the mailbox."""

    mailbox: bool = False
    """Whom nobody answers in time may leave a message, as at the real service."""

    ring_delay: float = 0.0
    """How long after the caller's 183 the callee's phones get their INVITE (the real service: about 0.3)."""

    answer_at_once: bool = False
    """The caller gets 200 right after the 183, and hears ringback then, as at the real service; else when the
    callee answers. A robot then answers at once, too, and not after ``robot_answer_delay``."""

    robot_answer_delay: float = 0.2

    media_addresses: tuple[str, ...] | None = ("127.0.0.1",)
    """Addresses of this machine on which the service sends and receives sound; None: all. Phones on this
    machine, browsers among them, reach 127.0.0.1 whatever address they send from."""

    direct_media: bool = False
    """Phones that call each other send their sound to each other, and what needs it at the service (music,
    ringback, recording) is missing; else all sound passes the service."""

    ask_for_offers: bool = False
    """Phones are called without an offer, and make one themselves (RFC 3261 §13.2.1): so the real service
    calls them for a REST pickup."""

    max_recording: float = 3600.0
    """The longest recording of a call, and of what a robot hears."""

    max_voicemail: float = 180.0
    """The longest message; then the mailbox hangs up."""

    max_recorders: int = 64
    """How many files may be recorded at a time; a call in excess is not recorded."""

    conference_size: int = 64
    """The most parties of one conference."""

    idle_time: float = 30.0
    """A connection on which nobody is registered is closed when it has said nothing for so long."""

    handshake_time: float = 10.0
    """The longest that the TLS and the WebSocket handshake may take, each."""

    ping_time: float = 20.0
    """WebSocket pings at this interval; a connection that leaves one unanswered as long is dead."""

    max_message_bytes: int = 65_536
    max_connections: int = 20_000

    max_silent: int = 2048
    """Connections that have not begun TLS; one more, and the one that has been silent longest goes."""

    max_silent_per_peer: int = 1024

    max_strangers: int = 256
    """Connections from TLS on, which costs up to 0.3 MB each, on which nobody has registered yet."""

    max_strangers_per_peer: int = 128

    stranger_time: float = 2.0
    """When there are too many strangers, one that had so long to register makes room for the next."""

    def __post_init__(self) -> None:
        """Check what the types cannot.

        Raises:
            ConfigError: If ports, extensions or the domain cannot be used; the text says which.
        """
        for name in ("wss_port", "control_port", "rest_port"):
            if not 0 <= (getattr(self, name) or 0) <= 65535:
                raise ConfigError(f"bad {name}: {getattr(self, name)} is not between 0 and 65535")
        self._check_amounts()
        self._check_numbers()
        for address in self.media_addresses or ():
            _check_own(address)
        if self.media_addresses == ():
            raise ConfigError("no media address: name at least one, for example 127.0.0.1")
        if not self.extensions:
            raise ConfigError("no extensions: name at least one, for example 101:16505550101")
        labels = self.domain.split(".")
        if not all(label and label.isascii() and label.replace("-", "a").isalnum() for label in labels):
            raise ConfigError(f"bad domain {self.domain!r}: expected a name such as sip.test")

    def _check_amounts(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            least = 1 if each.name in _AT_LEAST_ONE else 0
            if isinstance(value, int | float) and not least <= value < math.inf:
                raise ConfigError(f"bad {each.name}: {value} is not a number from {least} on")

    def _check_numbers(self) -> None:
        """Raise :exc:`ConfigError` for a number that cannot be one, is there twice, or leads nowhere."""
        known = {extension.number for extension in self.extensions}
        for queue in self.queues:
            if not queue.members:
                raise ConfigError(f"bad queue {queue.number}: it has no members")
            if strangers := [member for member in queue.members if member not in known]:
                raise ConfigError(f"bad queue {queue.number}: there is no extension {strangers[0]!r}")
        owners: tuple[Extension | Queue, ...] = (*self.extensions, *self.queues)
        _check_all("number", [owner.number for owner in owners], shortest=2, longest=8)
        full = [number for owner in owners for number in owner.numbers]
        _check_all("full number", [self.main_number, *full], shortest=7, longest=15)


def _check_all(what: str, numbers: list[str], *, shortest: int, longest: int) -> None:
    for number in numbers:
        if not _is_number(number, shortest, longest):
            raise ConfigError(f"bad {what} {number!r}: expected {shortest} to {longest} digits")
        if numbers.count(number) > 1:
            raise ConfigError(f"two have the same {what} {number}")
