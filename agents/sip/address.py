"""[core] SIP addresses: URIs and the header values that hold them (RFC 3261 §19.1, §20.10).

User parts stay as they are written: RingCentral uses ``#`` and ``*`` in them, which RFC 3261 would escape.
"""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple
from urllib.parse import unquote as unquote_percent

from shared.errors import SipError

from .grammar import (
    Params,
    find_param,
    format_params,
    parse_number,
    parse_params,
    quote,
    remembered,
    split_commas,
    unquote,
)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_HOST_PORT = re.compile(r"([A-Za-z0-9.\-_]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_USER = re.compile(r"[^\s<>\"@\x00-\x1f]+")
#: What may stand nowhere in a URI: it would end it early, or what it is written into.
_FOREIGN = re.compile(r"[\s<>\"\x00-\x1f\x7f]")
# No two neighbouring parts match the same character: a hostile value takes linear time.
_NAMED = re.compile(r'(?:("[^"\\]*+(?:\\.[^"\\]*+)*+")\s*|([^<"]*))<([^>]*+)(>?)', re.DOTALL)


class Uri(NamedTuple):  # and no dataclass: one of these is made three times as fast
    """A ``sip:`` or ``sips:`` URI; of any other scheme (``tel:``), ``host`` holds the whole rest.

    ``user`` includes a password, if someone still writes one. ``headers`` is the text after ``?``.
    """

    scheme: str
    user: str | None
    host: str
    port: int | None = None
    params: Params = ()
    headers: str = ""

    @classmethod
    def parse(cls, text: str) -> "Uri":
        """Read a URI without angle brackets."""
        return _parse_uri(text)

    @classmethod
    def _read(cls, text: str) -> "Uri":
        scheme, colon, rest = text.strip().partition(":")
        if not colon or not rest or not _SCHEME.fullmatch(scheme):
            raise SipError("a URI has no scheme")
        scheme = scheme.lower()
        if scheme not in ("sip", "sips"):
            if not _USER.fullmatch(rest.replace("@", "")):
                raise SipError("a URI contains a character that it must not")
            return cls(scheme, None, rest)
        user, at, rest_of_it = rest.partition("@")
        if not at:
            return cls._with_host(scheme, None, rest)
        if not _USER.fullmatch(user):
            raise SipError("the user part of a URI cannot be read")
        return cls._with_host(scheme, user, rest_of_it)

    @classmethod
    def _with_host(cls, scheme: str, user: str | None, text: str) -> "Uri":
        match = _HOST_PORT.match(text)
        if match is None:
            raise SipError("the host of a URI cannot be read")
        port = parse_number(match[2], "a URI's port", below=65_536) if match[2] else None
        rest = text[match.end() :]
        if not rest:
            return cls(scheme, user, match[1], port)
        if _FOREIGN.search(rest):
            raise SipError("a URI contains a character that it must not")
        params, _, headers = rest.partition("?")
        return cls(scheme, user, match[1], port, parse_params(params), headers)

    def param(self, name: str) -> str | None:
        """Return a URI parameter: "" for a flag, None if it is not there."""
        return find_param(self.params, name)

    @property
    def number(self) -> str:
        """Whom it names, as people write it: without escapes (§19.1.2); "" if it names nobody."""
        digits = self.host.partition(";")[0] if self.scheme == "tel" else ""
        return unquote_percent(self.user or digits)

    def same_as(self, other: "Uri") -> bool:
        """Whether both name the same resource (§19.1.4), judged by all but parameters and headers."""
        return (self.scheme, self.user, self.host.lower(), self.port) == (
            other.scheme,
            other.user,
            other.host.lower(),
            other.port,
        )

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user is not None else ""
        port = f":{self.port}" if self.port is not None else ""
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{self.host}{port}{format_params(self.params)}{headers}"


#: The same few addresses come again and again, in each field with another tag.
_parse_uri = remembered(Uri._read)


class NameAddr(NamedTuple):
    """A display name, a URI and the header's parameters: From, To, Contact, Route, Refer-To."""

    uri: Uri
    display: str = ""
    params: Params = ()

    @classmethod
    def parse(cls, value: str) -> "NameAddr":
        """Read one value. Without angle brackets, parameters belong to the header, not the URI (§20.10)."""
        return _parse_name_addr(value)

    @property
    def tag(self) -> str | None:
        """The tag of a From or To; None if there is none yet."""
        return find_param(self.params, "tag")

    def param(self, name: str) -> str | None:
        """Return a header parameter without its quotes: "" for a flag, None if it is not there."""
        return find_param(self.params, name)

    def with_tag(self, tag: str | None) -> "NameAddr":
        """Return it with another tag, or with none. The tag comes last: SDKs read to the end of the line."""
        kept = tuple([param for param in self.params if param[0].lower() != "tag"])
        return self._replace(params=kept if tag is None else (*kept, ("tag", tag)))

    def __str__(self) -> str:
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{format_params(self.params)}"


@remembered
def _parse_name_addr(value: str) -> NameAddr:
    value = value.strip()
    match = _NAMED.match(value)
    if match is None:
        address, semicolon, params = value.partition(";")
        if '"' in address or "<" in address:
            raise SipError("an address has an open quote or bracket")
        return NameAddr(Uri.parse(address), "", parse_params(semicolon + params))
    quoted, plain, text, bracket = match.groups()
    if not bracket:
        raise SipError("an address has no closing bracket")
    return NameAddr(Uri.parse(text), unquote(quoted or plain.strip()), parse_params(value[match.end() :]))


def parse_contacts(values: Iterable[str]) -> list[NameAddr] | Literal["*"]:
    """Return all contacts of a message's Contact fields, or ``"*"`` for ``Contact: *`` (§10.2.2)."""
    elements = [element for value in values for element in split_commas(value) if element]
    if elements == ["*"]:
        return "*"
    return [NameAddr.parse(element) for element in elements]
