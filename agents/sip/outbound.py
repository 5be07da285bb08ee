"""[core] What a registration asks for besides a binding: a flow (RFC 5626) and a GRUU (RFC 5627).

A flow is the connection that registered. The registrar sends what it has for us back on it, and a phone that
registers again with the same instance and ``reg-id`` takes the place of its old binding. A GRUU is an address
of this one phone that stays while connections and processes come and go, so dialogs name it as their Contact.

RingCentral's clients ask for neither, and to that service we write as they do. What a service is shows in its
first challenge; until there is one, a phone registers plainly.
"""

from dataclasses import dataclass

from shared.errors import SipError

from .address import NameAddr, Uri
from .grammar import parse_number
from .message import Request, Response

_ALL = ("path", "outbound", "gruu")
#: Our only flow at a time: the next connection replaces it, and is the same to the registrar (RFC 5626 §4.2).
_REG_ID = 1
_LONGEST_GRUU = 512
#: RFC 5626 §4.4.1: something must pass after 80 to 100 % of the time that the registrar names.
_KEEP_ALIVE_SHARE = 0.8
_LONGEST_FLOW_TIMER = 86_400


class Extensions:
    """Which option tags the next REGISTER offers. ``is_standard``: the service is not RingCentral's."""

    def __init__(self) -> None:
        self.is_standard = False
        self._tags: tuple[str, ...] = ()
        self._is_settled = False  # the service has shown what it is

    def met(self, *, is_ringcentral: bool) -> None:
        """Take what a challenge shows of the service."""
        if not self._is_settled:
            self._is_settled, self._tags = True, () if is_ringcentral else _ALL
            self.is_standard = not is_ringcentral

    def refused(self, response: Response) -> bool:
        """Take a refusal; return whether it is worth another try, with other extensions. Not for ever.

        439: the first hop keeps no flows (RFC 5626 §11.6). 421 and 420: it wants what was not offered, or
        not what was.
        """
        before = self._tags
        if response.status == 439:
            self._tags = tuple(tag for tag in before if tag != "outbound")
        elif response.status == 421 and not self._is_settled:
            self._tags = _ALL
        elif response.status in (420, 421):
            self._tags = ()
        self._is_settled = self._is_settled or self._tags != before
        return self._tags != before

    def write_into(self, request: Request, contact: str, expires: int) -> None:
        """Write the Contact of a REGISTER, and what is offered with it."""
        flow = f";reg-id={_REG_ID}" if "outbound" in self._tags else ""
        request.headers.set("Contact", f"{contact}{flow};expires={expires}")
        if self._tags:
            request.headers.set("Supported", ", ".join(self._tags))


@dataclass(frozen=True, slots=True)
class Granted:
    """What the 200 to a REGISTER gave besides a lifetime.

    ``has_flow``: the registrar holds to RFC 5626. ``gruu`` and ``temporary_gruu`` are URIs, "" where it gave
    none; the second one does not tell whose phone it is. ``keep_alive`` is after how many seconds at most
    something has to pass the connection, None if the registrar does not say.
    """

    has_flow: bool = False
    gruu: str = ""
    temporary_gruu: str = ""
    keep_alive: float | None = None

    @classmethod
    def read(cls, response: Response, row: NameAddr | None) -> "Granted":
        """Read a 200; ``row`` is the Contact in it that is ours, None if there is none."""
        return cls(
            has_flow="outbound" in _required(response),
            gruu=_gruu(row, "pub-gruu"),
            temporary_gruu=_gruu(row, "temp-gruu"),
            keep_alive=_keep_alive(response),
        )

    def contact(self, plain: str) -> str:
        """Return what a dialog names as our Contact, where ``plain`` is the address of the connection.

        Without a GRUU, ``ob`` asks that the dialog's requests take the flow (RFC 5626 §4.3).
        """
        if self.gruu:
            return f"<{self.gruu}>"
        return plain.replace(">", ";ob>", 1) if self.has_flow else plain


def _required(response: Response) -> set[str]:
    try:
        return {tag.lower() for tag in response.headers.get_list("Require")}
    except SipError:
        return set()


def _gruu(row: NameAddr | None, name: str) -> str:
    text = row.param(name) if row is not None else None
    try:
        uri = Uri.parse(text) if text and len(text) <= _LONGEST_GRUU else None
    except SipError:
        uri = None
    is_one = uri is not None and uri.scheme in ("sip", "sips") and uri.param("gr") is not None
    return str(uri) if is_one else ""


def _keep_alive(response: Response) -> float | None:
    try:
        number = parse_number(
            response.headers.get("Flow-Timer") or "", "Flow-Timer", below=_LONGEST_FLOW_TIMER
        )
    except SipError:
        return None
    return number * _KEEP_ALIVE_SHARE or None
