"""[core] The hops of a request's way (RFC 3261 §20.42)."""

import re
from typing import NamedTuple

from shared.errors import SipError

from .grammar import Params, find_param, parse_params, remembered

_HOP = re.compile(r"SIP\s*/\s*2\.0\s*/\s*([A-Za-z0-9\-]+)\s+([^\s;,]+(?:\s*:\s*[0-9]+)?)\s*", re.IGNORECASE)


class Via(NamedTuple):
    """One hop of a request's way (§20.42). ``sent_by`` is ``host[:port]``."""

    transport: str
    sent_by: str
    params: Params

    @property
    def branch(self) -> str:
        """The transaction's id; "" if there is none."""
        return find_param(self.params, "branch") or ""

    @classmethod
    def parse(cls, value: str) -> "Via":
        """Read one Via element."""
        return _parse_via(value)


@remembered
def _parse_via(value: str) -> Via:
    hop, semicolon, params = value.partition(";")
    transport, sent_by = _parse_hop(hop)
    return Via(transport, sent_by, parse_params(semicolon + params))


@remembered
def _parse_hop(text: str) -> tuple[str, str]:
    """Read what is the same in every message of a peer: its transport and address."""
    if (match := _HOP.fullmatch(text)) is None:
        raise SipError("Via cannot be read")
    return match[1].upper(), "".join(match[2].split()).lower()
