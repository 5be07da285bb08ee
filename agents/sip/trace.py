"""[core] Every SIP message of a line, in order, for who looks for a fault: without what must not be seen.

What is hidden: credentials and nonces, ICE and SRTP secrets, the tags of Replaces (whoever knows them can
take the call), and of each number all but the last four digits. Nothing is parsed, so that what cannot be
read is shown, too, and hidden no less.
"""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

REDACTED = "[redacted]"

Way = Literal["<", ">"]
"""``<``: from the service; ``>``: to it."""

#: Parameters of a challenge, or of an answer to it, that tell nothing: all others are hidden.
_HARMLESS = frozenset({"realm", "algorithm", "qop", "stale", "nc"})
_CREDENTIALS = re.compile(
    r"(?i)^((?:proxy-)?(?:authorization|authenticate)|www-authenticate|(?:proxy-)?authentication-info"
    r"|identity|p-charging-vector)[ \t]*:[ \t]*"
)
_PARAM = re.compile(r'([A-Za-z0-9\-]++)(\s*+=\s*+)("(?:[^"\\]|\\.)*+(?:"|$)|[^\s,]*+)')
_SECRET_LINE = re.compile(r"(?i)^(a=(?:ice-pwd|ice-ufrag|crypto|key-mgmt)|k)([:=]).*")
_TAGS = re.compile(r"(?i)((?:to|from)-tag\s*+(?:=|%3D))(?:(?!%3B)[^;,&>\s\"?])++")
_SECRET_WORD = re.compile(
    r"(?i)((?:password|secret|token|ice-pwd|ice-ufrag|nonce|response|opaque)[\"']?\s*+[:=]\s*+[\"']?)"
    r"[^\s\"'&,;{\[]++"
)
#: Seven digits or more, with the signs that people put between them; not the dots of an address.
_NUMBER = re.compile(r"\d(?:[ ()\-]{0,2}\d){6,}+")
#: Fields whose digits are no numbers of people.
_NO_NUMBERS = re.compile(
    r"(?i)^(?:via|v|call-id|i|cseq|content-length|l|max-forwards|expires|min-expires|retry-after|date|timestamp"
    r"|user-agent|server|content-type|c|p-rc-api-ids|rseq|rack|session-expires|x|min-se)[ \t]*:"
)
_TAG_PARAM = re.compile(r"(?i)(;\s*+(?:tag|branch|\+sip\.instance)\s*+=\s*+[^;,>\s]*+)")
_SDP_LINE = re.compile(r"^[a-z]=")


@dataclass(frozen=True, slots=True)
class Traced:
    """One message. ``at`` is Unix seconds; ``text`` is hidden from the repr, as a message is long."""

    number: int
    at: float
    way: Way
    text: str = field(repr=False)


Listener = Callable[[Traced], None]


class SipTrace:
    """The latest messages, redacted, and who wants to hear of each.

    Args:
        whole_numbers: Show telephone numbers as they are.
        most_messages, most_chars: What the memory of it is bounded by.
    """

    def __init__(
        self, *, whole_numbers: bool = False, most_messages: int = 1_000, most_chars: int = 2_000_000
    ) -> None:
        self._whole_numbers, self._most_chars = whole_numbers, most_chars
        self._latest: deque[Traced] = deque(maxlen=most_messages)
        self._chars = self._count = 0
        self._listeners: list[Listener] = []
        self._raw_listeners: list[Listener] = []

    def record(self, way: Way, text: str, at: float) -> None:
        """Take a message."""
        self._count += 1
        for listener in self._raw_listeners:
            listener(Traced(self._count, at, way, text))
        traced = Traced(self._count, at, way, redact_sip(text, whole_numbers=self._whole_numbers))
        self._keep(traced)
        for listener in self._listeners:
            listener(traced)

    def latest(self) -> list[Traced]:
        """Return the latest messages, oldest first."""
        return list(self._latest)

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` with each message, in the thread of the phone: it must be quick."""
        self._listeners.append(listener)

    def listen_to_secrets(self, listener: Listener) -> None:
        """The same with messages as they are: whoever has them can pose as the phone and hear its calls."""
        self._raw_listeners.append(listener)

    def _keep(self, traced: Traced) -> None:
        if len(self._latest) == self._latest.maxlen:
            self._chars -= len(self._latest.popleft().text)
        self._latest.append(traced)
        self._chars += len(traced.text)
        while self._chars > self._most_chars and len(self._latest) > 1:
            self._chars -= len(self._latest.popleft().text)


def redact_sip(text: str, *, whole_numbers: bool = False) -> str:
    """Return a message without secrets, and with numbers cut to their last four digits unless asked."""
    head, gap, body = text.partition("\r\n\r\n")
    # A folded line belongs to the one before: what is secret of that is secret of this.
    lines = re.sub(r"(\r?\n|\r)[ \t]++", " ", head).split("\n")
    cleaned = [_clean_field(line, whole_numbers) for line in lines]
    rest = [_clean_line(line, whole_numbers) for line in body.split("\n")] if gap else []
    return "\n".join(cleaned) + gap + "\n".join(rest)


def _clean_field(line: str, whole_numbers: bool) -> str:
    if match := _CREDENTIALS.match(line):
        return f"{match[0]}{_clean_credentials(line[match.end() :])}"
    line = _TAGS.sub(rf"\1{REDACTED}", _clean_secrets(line))
    if whole_numbers or _NO_NUMBERS.match(line):
        return line
    parts = _TAG_PARAM.split(line)
    return "".join(part if number % 2 else _NUMBER.sub(_cut, part) for number, part in enumerate(parts))


def _clean_credentials(value: str) -> str:
    scheme, space, params = value.partition(" ")
    if scheme.lower() != "digest":
        return REDACTED
    shown = [
        f"{name}{equals}{value if name.lower() in _HARMLESS else REDACTED}"
        for name, equals, value in _PARAM.findall(params)
    ]
    return scheme + space + ", ".join(shown)


def _clean_line(line: str, whole_numbers: bool) -> str:
    if _CREDENTIALS.match(line):  # a body may be a message, too
        return _clean_field(line, whole_numbers)
    line = _clean_secrets(line)
    if whole_numbers or _SDP_LINE.match(line):
        return line
    return _NUMBER.sub(_cut, _TAGS.sub(rf"\1{REDACTED}", line))


def _clean_secrets(line: str) -> str:
    return _SECRET_WORD.sub(rf"\1{REDACTED}", _SECRET_LINE.sub(rf"\1\2{REDACTED}", line))


def _cut(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match[0])
    return f"xxx{digits[-4:]}"
