"""[core] SIP messages: parse, change, encode (RFC 3261 §7, §8.2.6).

The parser is lazy and keeps lines: it finds the header fields but does not look into their values, so a
field that nobody asks for costs one split, and a message that passes through is written as it was read.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.errors import SipError
from shared.text import readable

from .address import NameAddr
from .grammar import TOKEN, parse_number, remembered, split_commas
from .statuses import REASONS
from .via import Via

#: Frames that are longer are refused. An INVITE with many ICE candidates has some 6,000 characters.
MAX_FRAME_CHARS = 65_536
MAX_FIELDS = 1_000

_COMPACT = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition",
    "e": "content-encoding", "f": "from", "i": "call-id", "j": "reject-contact", "k": "supported",
    "l": "content-length", "m": "contact", "o": "event", "r": "refer-to", "s": "subject", "t": "to",
    "u": "allow-events", "v": "via", "x": "session-expires", "y": "identity",
}  # fmt: skip
# Spellings seen all the time: looking one up is cheaper than lower() and a grammar check.
_KEYS = {name: name.lower() for name in (
    "Via", "From", "To", "Call-Id", "Call-ID", "CSeq", "Contact", "Content-Type", "Content-Length",
    "Max-Forwards", "User-Agent", "Server", "Route", "Record-Route", "Expires", "Allow", "Supported",
    "Www-Authenticate", "WWW-Authenticate", "Proxy-Authenticate", "Authorization", "Proxy-Authorization",
    "P-Asserted-Identity", "p-rc-api-ids", "p-rc-api-call-info", "P-rc", "Alert-Info", "Call-Info", "Reason",
    "Session-Expires", "Min-SE", "Require", "Proxy-Require", "Unsupported", "Accept", "Refer-To", "Path",
    "Referred-By", "Replaces", "Event", "Subscription-State", "Service-Route", "Date", "Retry-After",
    "Min-Expires", "Content-Disposition", "Content-Encoding", "MIME-Version", "Subject", "Warning",
)}  # fmt: skip
_SINGLE = ("from", "to", "call-id", "cseq")
_CHECKED = frozenset({"via", "content-length", *_SINGLE})

_REQUEST_LINE = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+) ([^\s]+) SIP/2\.0", re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9][0-9]) ?(.*)", re.IGNORECASE)
_CSEQ = re.compile(r"([0-9]{1,10})[ \t]+([A-Za-z0-9\-.!%*_+`'~]+)")
_SPACES = (" ", "\t")
#: A NUL may stand in a quoted string, behind a backslash, and nowhere else (RFC 3261 §25.1: quoted-pair).
_BARE_NUL = re.compile(r"(?<!\\)\0")


class CSeq(NamedTuple):
    """The number and method of the request that a message belongs to (§8.1.1.5)."""

    number: int
    method: str


def _key(name: str) -> str:
    key = _KEYS.get(name)
    if key is None:
        lower = name.lower()
        key = _COMPACT.get(lower, lower)
    return key


def _new_item(name: str, value: str) -> tuple[str, str, str]:
    """Return a field as :class:`Headers` keeps it."""
    if name not in _KEYS and not TOKEN.fullmatch(name):
        raise SipError("a header field's name is not a token")
    return _key(name), name, value


class Headers:
    """An ordered multi-map of header fields: names match in any case and in compact form (§7.3).

    Order and spelling stay as they were. The repr shows names only: values hold credentials and numbers.
    Whatever adds a field raises :exc:`SipError` if its name cannot be one.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = [_new_item(name, value) for name, value in items]

    def get(self, name: str) -> str | None:
        """Return the first field's value, or None."""
        key = _key(name)
        for item in self._items:
            if item[0] == key:
                return item[2]
        return None

    def get_all(self, name: str) -> list[str]:
        """Return the values of all fields of this name, in order, unsplit."""
        key = _key(name)
        return [item[2] for item in self._items if item[0] == key]

    def get_list(self, name: str) -> list[str]:
        """Return all elements of a list-valued field, whether repeated or separated by commas (§7.3.1)."""
        return [element for value in self.get_all(name) for element in split_commas(value) if element]

    def add(self, name: str, value: str) -> None:
        """Append a field after all others."""
        self._items.append(_new_item(name, value))

    def set(self, name: str, value: str) -> None:
        """Replace the first field of this name and remove the others; append if there is none."""
        new = _new_item(name, value)
        for index, item in enumerate(self._items):
            if item[0] == new[0]:
                rest = [other for other in self._items[index + 1 :] if other[0] != new[0]]
                self._items[index:] = [new, *rest]
                return
        self._items.append(new)

    def remove(self, name: str) -> None:
        """Remove all fields of this name; harmless if there is none."""
        key = _key(name)
        self._items = [item for item in self._items if item[0] != key]

    def items(self) -> list[tuple[str, str]]:
        """Return ``(name, value)`` of all fields as spelled, in order."""
        return [(name, value) for _, name, value in self._items]

    def copy(self) -> "Headers":
        """Return an independent copy."""
        clone = Headers()
        clone._items = self._items.copy()
        return clone

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items())

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._items == other._items

    __hash__ = None  # type: ignore[assignment]  # mutable, like a list

    def __repr__(self) -> str:
        return f"Headers({', '.join(name for _, name, _ in self._items)})"


class _Fields:
    """What requests and responses have in common. All but ``call_id`` parse on each access."""

    __slots__ = ()
    headers: Headers

    def _required(self, name: str) -> str:
        value = self.headers.get(name)
        if value is None:
            raise SipError(f"{name} is missing")
        return value

    @property
    def call_id(self) -> str:
        """The Call-Id (§8.1.1.4)."""
        return self._required("Call-Id")

    @property
    def cseq(self) -> CSeq:
        """The CSeq. :func:`parse` has made sure that it can be read."""
        return _parse_cseq(self._required("CSeq"))

    @property
    def via(self) -> Via:
        """The topmost Via."""
        return Via.parse(split_commas(self._required("Via"))[0])

    @property
    def from_(self) -> NameAddr:
        """Who sent the request."""
        return NameAddr.parse(self._required("From"))

    @property
    def to(self) -> NameAddr:
        """Whom the request was for."""
        return NameAddr.parse(self._required("To"))


@dataclass(slots=True)
class Request(_Fields):
    """A request. The body is not in the repr: it holds keys of the sound."""

    method: str
    uri: str
    headers: Headers
    body: str = field(default="", repr=False)

    def encode(self) -> str:
        """Return the frame, with Content-Length in UTF-8 bytes.

        Raises:
            SipError: If a part would break out of its line (CR, LF, NUL): somebody tries to inject a header.
        """
        if not TOKEN.fullmatch(self.method) or not self.uri or any(char.isspace() for char in self.uri):
            raise SipError("method or Request-URI cannot be written")
        return _encode(f"{self.method} {self.uri} SIP/2.0", self.headers, self.body)


@dataclass(slots=True)
class Response(_Fields):
    """A response to a request. The body is not in the repr."""

    status: int
    reason: str
    headers: Headers
    body: str = field(default="", repr=False)

    def encode(self) -> str:
        """Return the frame; raises :exc:`SipError` like :meth:`Request.encode`."""
        if not 100 <= self.status <= 699:
            raise SipError(f"{self.status} is not a SIP status")
        return _encode(f"SIP/2.0 {self.status} {self.reason}", self.headers, self.body)

    @property
    def is_final(self) -> bool:
        """Whether no further answer to the request comes (§7.2)."""
        return self.status >= 200


Message = Request | Response


def _encode(start_line: str, headers: Headers, body: str) -> str:
    length = len(body) if body.isascii() else len(_utf8(body))
    lines = [start_line]
    lines += [f"{name}: {value}" for key, name, value in headers._items if key != "content-length"]
    lines.append(f"Content-Length: {length}")
    if _is_broken(lines):
        raise SipError("a header field contains CR, LF or NUL")
    head = "\r\n".join(lines)
    if not head.isascii():
        _utf8(head)
    return f"{head}\r\n\r\n{body}"


def _is_broken(lines: list[str]) -> bool:
    """Whether a line holds a break of its own, or a NUL that nothing escapes."""
    text = "".join(lines)
    return "\r" in text or "\n" in text or ("\0" in text and any(map(_BARE_NUL.search, lines)))


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise SipError("not Unicode text") from exc


def parse(frame: str) -> Message:
    """Read one message: on a WebSocket, one frame (RFC 7118 §5.3).

    The body is the rest of the frame, or less if Content-Length says so. That is believed only as far as it
    must be: some peers count UTF-16 units, so whatever lies between characters and bytes is all of it.
    Compact names and folded lines are accepted. A message that is returned has a Via, exactly one From, To,
    Call-Id and CSeq, and its CSeq can be read; other values are as they came. Its reason phrase can be shown.

    Raises:
        SipError: If it is no such message. :func:`.refusal.refuse` says how to answer it.
    """
    if len(frame) > MAX_FRAME_CHARS:
        raise SipError(f"frame of {len(frame)} characters; at most {MAX_FRAME_CHARS} are read")
    # §7.5: empty lines before the start line are ignored.
    head, separator, body = (frame if frame[:1] != "\r" else frame.lstrip("\r\n")).partition("\r\n\r\n")
    if not separator:
        raise SipError("no empty line after the header fields")
    lines = head.split("\r\n")
    if len(lines) - 1 > MAX_FIELDS:
        raise SipError(f"more than {MAX_FIELDS} header fields")
    if _is_broken(lines):
        raise SipError("lines must end in CR LF, and NUL is not allowed")
    headers = Headers()
    headers._items = _parse_fields(lines)
    message = _parse_start_line(lines[0], headers, body)
    _check(message)
    return message


def _parse_fields(lines: list[str]) -> list[tuple[str, str, str]]:
    items: list[tuple[str, str, str]] = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        key = _KEYS.get(name)
        if key is None or not colon:
            if items and line[:1] in _SPACES:
                # It goes on with the one before (§7.3.1).
                key, name, value = items.pop()
                value = f"{value} {line.strip()}"
            else:
                name = name.rstrip(" \t")
                if not colon or not TOKEN.fullmatch(name):
                    raise SipError("a line is no header field")
                key = _key(name)
        items.append((key, name, value.strip()))
    return items


def _parse_start_line(line: str, headers: Headers, body: str) -> Message:
    if match := _STATUS_LINE.fullmatch(line):
        return Response(int(match[1]), readable(match[2]), headers, body)
    if match := _REQUEST_LINE.fullmatch(line):
        return Request(match[1], match[2], headers, body)
    raise SipError("the first line is neither a request line nor a status line")


def _check(message: Message) -> None:
    checked = [item for item in message.headers._items if item[0] in _CHECKED]
    keys = [item[0] for item in checked]
    if "via" not in keys:
        raise SipError("Via is missing")
    for key in _SINGLE:
        # Two would let a sender show one to us and the other to the next hop.
        if keys.count(key) != 1:
            raise SipError(f"{key} must stand in a message exactly once")
    cseq = _parse_cseq(checked[keys.index("cseq")][2])
    if isinstance(message, Request) and cseq.method != message.method:
        raise SipError("the method of CSeq is not the request's")
    if "content-length" in keys:
        lengths = [item[2] for item in checked if item[0] == "content-length"]
        message.body = _cut(message.body, lengths)


def _cut(body: str, lengths: list[str]) -> str:
    """Return the body without what comes behind it (§18.3); raise :exc:`SipError` if its end is missing."""
    length = parse_number(lengths[0], "Content-Length")
    if len(lengths) > 1 and any(parse_number(one, "Content-Length") != length for one in lengths):
        raise SipError("two Content-Length fields do not agree")
    if length == len(body):
        return body
    encoded = body.encode("utf-8", "replace")
    if length > len(encoded):
        raise SipError("Content-Length is more than the message has")
    return body if length > len(body) else encoded[:length].decode("utf-8", "replace")


@remembered
def _parse_cseq(value: str) -> CSeq:
    match = _CSEQ.fullmatch(value)
    if match is None:
        raise SipError("CSeq cannot be read")
    return CSeq(parse_number(match[1], "CSeq", below=2**31), match[2])


def make_response(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: str = "",
) -> Response:
    """Return the response to ``request`` with what must be copied from it (§8.2.6.2).

    ``to_tag`` is added to To unless that has a tag already; 100 carries none. Names are written as
    RingCentral's clients want them, whatever the request's spelling.
    """
    source = request.headers
    copied = [("Via", value) for value in source.get_all("Via")]
    copied += [("Record-Route", value) for value in source.get_all("Record-Route")]
    if status == 100:
        copied += [("Timestamp", value) for value in source.get_all("Timestamp")]
    to = request._required("To")
    if to_tag is not None and status > 100 and request.to.tag is None:
        to = f"{to};tag={to_tag}"
    copied += [("From", request._required("From")), ("To", to), ("Call-Id", request.call_id)]
    copied.append(("CSeq", request._required("CSeq")))
    return Response(
        status, REASONS.get(status, "") if reason is None else reason, Headers([*copied, *headers]), body
    )
