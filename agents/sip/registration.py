"""[core] The binding of one phone at its registrar (RFC 3261 §10); its extras are :mod:`.outbound`.

::

    unregistered -> registering -> registered, told again after each refresh
                        |              |
                        +--> failed <--+       tried again by itself where that may help: ``retry_after``

The registrar's lifetime counts, not the one asked for. A refresh that gets no answer within
:data:`ANSWER_TIME` means that the connection is dead although nobody said so: it is to be closed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from shared.errors import SipError

from .address import NameAddr, parse_contacts
from .authentication import MAX_ATTEMPTS, Authenticator
from .dialog import Endpoint
from .grammar import parse_number
from .message import Headers, Request, Response
from .outbound import Extensions, Granted

RegistrationState = Literal["unregistered", "registering", "registered", "failed"]

#: How long a registrar may take; RingCentral's client waits as long.
ANSWER_TIME = 5.0
#: Pause after a temporary failure: doubled each time, at most the second value, and less jitter.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
#: Pause after 603 (too many contacts): the binding of a phone that is gone runs out in about that time.
CROWDED_PAUSE = 60.0
#: Statuses that another try of the same request cannot change. 401 and 407: the password is wrong.
_PERMANENT = frozenset({400, 401, 403, 404, 405, 407, 410, 416, 420, 501, 505, 604, 606})
_MAX_EXPIRES = 86_400


@dataclass(frozen=True, slots=True)
class SendRegister:
    """Effect: send this REGISTER, and report its answer."""

    request: Request


@dataclass(frozen=True, slots=True)
class CloseTransport:
    """Effect: the connection is of no use any more: close it, and make another one."""

    reason: str


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """Effect: tell it. Also after each refresh, with the lifetime that is left.

    ``retry_after`` is when, in seconds, it will be tried again by itself; None if it will not: then the cause
    must be removed first (403, 401: the account).
    """

    state: RegistrationState
    expires: float | None
    status: int | None
    reason: str
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Effect: let something pass the connection ``every`` so many seconds: so the service wants it."""

    every: float


Effect = SendRegister | CloseTransport | RegistrationChanged | KeepAlive


def refresh_delay(expires: float) -> float:
    """Return how long after a 200 to register again, for a granted lifetime; both in seconds.

    Three seconds early, as RingCentral's client does, or one twentieth where that is more; but never before
    half the lifetime has passed.
    """
    return max(expires - max(3.0, expires / 20), expires / 2)


class Registration:
    """One binding: address of record, contact and instance id.

    Args:
        aor: Address of record, ``sip:user@domain``, also the From and To.
        endpoint: Its contact gets ``+sip.instance`` and ``expires`` added here.
        instance_id: Goes behind ``urn:uuid:`` as it is; the same id replaces a binding (RFC 5626).
        expires: Lifetime to ask for, in seconds.
        jitter: Returns a random number from a half of its argument to all of it.
    """

    def __init__(
        self,
        aor: str,
        domain: str,
        endpoint: Endpoint,
        *,
        instance_id: str,
        authenticator: Authenticator,
        new_id: Callable[[], str],
        expires: int = 60,
        jitter: Callable[[float], float] = lambda longest: longest,
    ) -> None:
        self.state: RegistrationState = "unregistered"
        self._aor, self._domain, self._endpoint, self._instance_id = aor, domain, endpoint, instance_id
        self._authenticator, self._new_id, self._asked = authenticator, new_id, expires
        self._jitter = jitter
        self._call_id, self._from_tag, self._cseq = new_id(), new_id(), 0
        self._request: Request | None = None  # the one that waits for its answer
        self._expires = expires  # of that one
        self._attempts = self._failures = 0
        self._answer_by: float | None = None
        self._register_at: float | None = None
        self._valid_until: float | None = None
        self._has_widened = False  # the lifetime asked for, on the registrar's wish
        self._extensions = Extensions()
        self.granted = Granted()
        self._effects: list[Effect] = []

    @property
    def is_standard(self) -> bool:
        """Whether the service has shown that it is not RingCentral's."""
        return self._extensions.is_standard

    def register(self, now: float) -> None:
        """Register now: the connection is up."""
        self._valid_until = None
        self._change("registering")
        self._start(self._asked, now)

    def unregister(self, now: float) -> None:
        """Remove the binding; the state "unregistered" follows, whether or not an answer comes."""
        self._valid_until = None
        self._start(0, now)

    def disconnected(self) -> None:
        """Take that the connection is gone: calls cannot reach us on it, whatever lifetime is left."""
        self._idle()
        if self.state != "unregistered":
            self._change("unregistered", reason="connection lost")

    def answered(self, response: Response, now: float) -> None:
        """Take an answer to the REGISTER sent last."""
        request = self._request
        if request is None or response.status < 200 or response.cseq != request.cseq:
            return
        self._request = self._answer_by = None
        again = self._authenticator.retry(request, response) if self._attempts < MAX_ATTEMPTS else None
        if again is not None:
            self._cseq = again.cseq.number
            self._extensions.met(is_ringcentral=self._authenticator.is_ringcentral)
            self._write_contact(again)
            self._send(again, now)
        elif self._expires > 0 and (self._widened(response) or self._extensions.refused(response)):
            self._start(self._asked, now)
        elif self._expires == 0:
            self._idle()
            ended_well = response.status < 300 or response.status == 481
            self._change("unregistered", status=response.status, reason="" if ended_well else response.reason)
        elif response.status < 300:
            self._granted(response, now)
        else:
            self._failed(response, response.reason, now)

    def not_answered(self) -> None:
        """Take that no answer came to the REGISTER sent last."""
        if self._request is None:
            return
        self._idle()
        if self._expires == 0:
            self._change("unregistered", reason="the registrar did not answer")
            return
        self._change(
            "failed", reason=f"the registrar did not answer within {ANSWER_TIME:g} s", retry_after=0.0
        )
        self._effects.append(CloseTransport("the registrar does not answer"))

    def tick(self, now: float) -> None:
        """Let time pass. Harmless to call early or twice."""
        if self._answer_by is not None and now >= self._answer_by:
            self.not_answered()
        if self._register_at is not None and now >= self._register_at:
            if self.state != "registered":
                self._change("registering")
            self._start(self._asked, now)
        if self._valid_until is not None and now >= self._valid_until:
            self._valid_until = None
            self._change("registering", reason="the binding ran out")

    def next_deadline(self) -> float | None:
        """Return when to call :meth:`tick`, or None while there is no timer."""
        deadlines = (self._answer_by, self._register_at, self._valid_until)
        return min((at for at in deadlines if at is not None), default=None)

    def effects(self) -> list[Effect]:
        """Drain what to send and tell, in order. Call after every input."""
        effects, self._effects = self._effects, []
        return effects

    def _start(self, expires: int, now: float) -> None:
        self._register_at = None
        self._expires, self._attempts = expires, 0
        self._cseq += 1
        self._send(self._make(), now)

    def _make(self) -> Request:
        headers = Headers(
            [
                ("Via", self._endpoint.via(self._new_id())),
                ("Max-Forwards", "70"),
                ("From", f"<{self._aor}>;tag={self._from_tag}"),
                ("To", f"<{self._aor}>"),
                ("Call-Id", self._call_id),
                ("CSeq", f"{self._cseq} REGISTER"),
                ("Contact", ""),
                ("User-Agent", self._endpoint.user_agent),
            ]
        )
        request = Request("REGISTER", f"sip:{self._domain}", headers)
        self._write_contact(request)
        return request

    def _write_contact(self, request: Request) -> None:
        contact = f'{self._endpoint.contact};+sip.instance="<urn:uuid:{self._instance_id}>"'
        self._extensions.write_into(request, contact, self._expires)

    def _send(self, request: Request, now: float) -> None:
        self._request, self._answer_by = request, now + ANSWER_TIME
        self._attempts += 1
        self._effects.append(SendRegister(request))

    def _granted(self, response: Response, now: float) -> None:
        row = self._row(response)
        expires = self._lifetime(response, row)
        if expires <= 0:
            self._failed(response, "the registrar granted no lifetime", now)
            return
        self._failures, self._has_widened = 0, False
        self._register_at, self._valid_until = now + refresh_delay(expires), now + expires
        self.granted = Granted.read(response, row)
        self._change("registered", expires=float(expires), status=response.status, reason=response.reason)
        if self.granted.keep_alive is not None:
            self._effects.append(KeepAlive(self.granted.keep_alive))

    def _failed(self, response: Response, reason: str, now: float) -> None:
        self._valid_until, self._has_widened = None, False
        pause = None
        if response.status not in _PERMANENT:
            pause = self._retry_after(response) or self._pause(response.status)
            self._failures = min(self._failures + 1, 16)
            self._register_at = now + pause
        self._change("failed", status=response.status, reason=reason, retry_after=pause)

    def _pause(self, status: int) -> float:
        if status == 603:
            return CROWDED_PAUSE
        return self._jitter(min(FIRST_PAUSE * 2**self._failures, LONGEST_PAUSE))

    def _row(self, response: Response) -> NameAddr | None:
        """Return the Contact of a 200 that is ours: others are those of our account's other phones."""
        mine = NameAddr.parse(self._endpoint.contact).uri
        try:
            contacts = parse_contacts(response.headers.get_all("Contact"))
        except SipError:
            return None
        rows = [] if contacts == "*" else contacts
        same = (row for row in rows if row.uri.same_as(mine))
        name = f"<urn:uuid:{self._instance_id}>".lower()
        kin = (row for row in rows if (row.param("+sip.instance") or "").lower() == name)
        return next(same, None) or next(kin, None)

    def _lifetime(self, response: Response, row: NameAddr | None) -> int:
        """Return what the 200 grants our contact, else all, else what we asked for (§10.2.4)."""
        text = (row.param("expires") if row is not None else None) or response.headers.get("Expires")
        try:
            return parse_number(text, "expires", below=_MAX_EXPIRES) if text else self._expires
        except SipError:
            return self._expires  # it did say 200

    def _widened(self, response: Response) -> bool:
        """Whether to ask for a longer lifetime, as a 423 wants; not again and again."""
        wanted = self._min_expires(response) if response.status == 423 else 0
        if self._has_widened or wanted <= self._expires:
            return False
        self._asked, self._has_widened = wanted, True
        return True

    def _min_expires(self, response: Response) -> int:
        try:
            return parse_number(response.headers.get("Min-Expires") or "", "Min-Expires", below=_MAX_EXPIRES)
        except SipError:
            return 0

    def _retry_after(self, response: Response) -> float | None:
        text = (response.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0]
        try:
            return float(min(parse_number(text, "Retry-After"), _MAX_EXPIRES)) or None
        except SipError:
            return None

    def _idle(self) -> None:
        self._request = self._answer_by = self._register_at = self._valid_until = None

    def _change(
        self,
        state: RegistrationState,
        *,
        expires: float | None = None,
        status: int | None = None,
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.state = state
        self._effects.append(RegistrationChanged(state, expires, status, reason, retry_after))
