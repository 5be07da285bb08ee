"""[core] The bits of grammar that many header fields share (RFC 3261 §25.1).

Everything here takes and returns text; what cannot be read raises :exc:`SipError`, nothing else does.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from shared.errors import SipError

T = TypeVar("T")

Params = tuple[tuple[str, str | None], ...]
"""Parameters in their order. Values are as on the wire (quotes kept), None where there is no ``=``."""

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_COMMA_PIECE = re.compile(r'[^,"<]+|"[^"\\]*+(?:\\.[^"\\]*+)*+"|<[^>]*>', re.DOTALL)
_SEMICOLON_PIECE = re.compile(r'[^;"<]+|"[^"\\]*+(?:\\.[^"\\]*+)*+"|<[^>]*>', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_ESCAPE = re.compile(r'(["\\])')
_MOST_DIGITS = 10
_REMEMBERED_CHARS = 256


def remembered(read: Callable[[str], T]) -> Callable[[str], T]:
    """Let a pure reader remember what it made of short texts: a message's fields are asked for many times.

    What it returns must be immutable. Long texts are read each time, so that nobody can fill the memory.
    """
    remember = lru_cache(maxsize=128)(read)

    def read_or_remember(text: str) -> T:
        return remember(text) if len(text) <= _REMEMBERED_CHARS else read(text)

    return read_or_remember


def split_commas(value: str) -> list[str]:
    """Return the elements of a comma-separated list; commas in quotes or angle brackets do not separate."""
    return [value.strip()] if "," not in value else _split(value, ",", _COMMA_PIECE)


def split_semicolons(value: str) -> list[str]:
    """Return the pieces between semicolons that are neither in quotes nor in angle brackets."""
    if '"' not in value and "<" not in value:
        return [piece.strip() for piece in value.split(";")]
    return _split(value, ";", _SEMICOLON_PIECE)


def _split(value: str, separator: str, piece: re.Pattern[str]) -> list[str]:
    parts, start, position = [], 0, 0
    while position < len(value):
        if value[position] == separator:
            parts.append(value[start:position].strip())
            position += 1
            start = position
        elif match := piece.match(value, position):
            position = match.end()
        else:
            raise SipError(f"a quote or bracket is not closed at character {position}")
    parts.append(value[start:].strip())
    return parts


def parse_params(text: str) -> Params:
    """Return the parameters of ``;name=value;flag``; the text is empty or begins with a semicolon."""
    text = text.strip()
    if not text:
        return ()
    if text[0] != ";":
        raise SipError("parameters must begin with a semicolon")
    params: list[tuple[str, str | None]] = []
    for piece in split_semicolons(text[1:]):
        name, equals, value = piece.partition("=")
        name = name.rstrip()
        if not name or " " in name:
            raise SipError("a parameter has no name")
        params.append((name, value.lstrip() if equals else None))
    return tuple(params)


def format_params(params: Params) -> str:
    """Return the text that :func:`parse_params` reads."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params)


def find_param(params: Params, name: str) -> str | None:
    """Return a parameter's value without quotes: "" for a flag, None if it is not there."""
    name = name.lower()
    for key, value in params:
        if key.lower() == name:
            return "" if value is None else unquote(value)
    return None


def quote(text: str) -> str:
    """Return ``text`` as a quoted string."""
    return '"' + _NEEDS_ESCAPE.sub(r"\\\1", text) + '"'


def unquote(text: str) -> str:
    """Return a quoted string's content; any other text as it is."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
        return _ESCAPE.sub(r"\1", text) if "\\" in text else text
    return text


def parse_number(text: str, what: str, *, below: int = 2**32) -> int:
    """Return a number of at most ten ASCII digits, less than ``below``.

    ``int()`` alone also reads other scripts' digits and underscores, and raises ValueError on very long ones.
    """
    text = text.strip()
    if text.isdecimal() and text.isascii() and len(text) <= _MOST_DIGITS and (number := int(text)) < below:
        return number
    raise SipError(f"{what} is not a number in range")
