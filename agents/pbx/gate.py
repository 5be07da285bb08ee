"""[core] The digest challenge of the service: who may register and call (RFC 8760, as RingCentral does it).

A nonce belongs to the connection that it was sent on, can be answered once, and for a limited time.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from agents.sip import digest
from agents.sip.message import Request
from shared.errors import SipError

_NONCES_PER_FLOW = 8


class Verdict(enum.Enum):
    """What the credentials of a request are worth."""

    MISSING = enum.auto()
    STALE = enum.auto()
    """The answer is right, but the nonce is not one that can be answered now."""

    WRONG = enum.auto()
    GOOD = enum.auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request is refused whatever its credentials are. Without ``reason``: the usual phrase."""

    status: int
    reason: str | None
    headers: list[tuple[str, str]] = field(repr=False)


@dataclass(slots=True)
class Gate:
    """Issues challenges and checks the answers. ``password_of`` returns None for an unknown user name."""

    realm: str
    password_of: Callable[[str], str | None]
    new_nonce: Callable[[], str]
    nonce_time: float = 60.0
    _issued: dict[str, dict[str, float]] = field(default_factory=dict, repr=False)

    def challenge(self, flow: str, now: float, *, stale: bool = False) -> str:
        """Return the value of a Www-Authenticate or Proxy-Authenticate field with a new nonce."""
        nonces = self._issued.setdefault(flow, {})
        while len(nonces) >= _NONCES_PER_FLOW:
            del nonces[next(iter(nonces))]
        nonce = self.new_nonce()
        nonces[nonce] = now
        return digest.make_challenge(self.realm, nonce, stale=stale)

    def check(self, credentials: str | None, request: Request, flow: str, now: float) -> tuple[Verdict, str]:
        """Judge the value of an Authorization or Proxy-Authorization field, None if there is none.

        A right answer uses up the nonce. Returns the verdict, and the user name if it is good, else "".
        """
        if credentials is None:
            return Verdict.MISSING, ""
        try:
            answer = digest.parse_authorization(credentials)
        except SipError:
            return Verdict.WRONG, ""
        verdict = digest.verify(
            answer,
            request.method,
            password=self.password_of,
            realm=self.realm,
            is_nonce_good=lambda nonce, _count: self._use(nonce, flow, now),
            body=request.body,
        )
        if verdict is digest.Verdict.STALE:
            return Verdict.STALE, ""
        if verdict is digest.Verdict.REFUSED:
            return Verdict.WRONG, ""
        return Verdict.GOOD, answer.username

    def forget(self, flow: str) -> None:
        """Drop the nonces of a connection that has closed."""
        self._issued.pop(flow, None)

    def _use(self, nonce: str, flow: str, now: float) -> bool:
        issued_at = self._issued.get(flow, {}).pop(nonce, None)
        return issued_at is not None and now - issued_at <= self.nonce_time
