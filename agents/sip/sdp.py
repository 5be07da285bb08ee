"""[core] A session description, edited line by line (RFC 8866, RFC 3264).

Whoever makes descriptions (aiortc, a browser) knows why a line is there; we change the three things that
signalling is about and leave every other line as it is, unknown ones included.
"""

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from shared.errors import SipError

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_DIRECTIONS: dict[str, Direction] = {
    "a=sendrecv": "sendrecv",
    "a=sendonly": "sendonly",
    "a=recvonly": "recvonly",
    "a=inactive": "inactive",
}
_MIRROR: dict[Direction, Direction] = {"sendonly": "recvonly", "recvonly": "sendonly"}
#: The address of a section that is refused: each must have one, or the whole description (RFC 8866 §5.7).
_NOWHERE = "c=IN IP4 0.0.0.0"
_LINE = re.compile(r"[a-z]=.*")
_ORIGIN = re.compile(r"o=(\S+) ([0-9]{1,20}) ([0-9]{1,20}) (.+)")
_MEDIA = re.compile(r"m=(\S+) ([0-9]{1,5})(?:/[0-9]+)? (\S+) (.+)")
_FMTP = re.compile(r"a=fmtp:([0-9]{1,3}) (.*)")
#: Names of numbers that need no ``rtpmap`` (RFC 3551 §6); formats that carry no voice.
_STATIC = {"0": "pcmu", "8": "pcma", "9": "g722", "18": "g729"}
_UNSPOKEN = frozenset({"telephone-event", "cn", "red", "ulpfec"})
_RTPMAP = re.compile(r"a=rtpmap:([0-9]{1,3}) ([^\s/]+)/([0-9]{1,7})(?:/([0-9]{1,2}))?")


def mirror(direction: Direction) -> Direction:
    """Return the same direction as the other end must call it (RFC 3264 §6.1)."""
    return _MIRROR.get(direction, direction)


@dataclass(frozen=True, slots=True)
class Payload:
    """One format of a media line. ``fmtp`` is "" where there is none."""

    number: int
    encoding: str
    rate_hz: int
    channels: int = 1
    fmtp: str = ""


@dataclass(frozen=True, slots=True)
class Sdp:
    """A description as its lines, without their ends. Methods that change something return a new one.

    The audio section is the first ``m=audio`` line and what follows it until the next ``m=`` line.
    """

    lines: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Sdp":
        """Read a description; raises :exc:`SipError` if it is none. Lines may end in LF alone."""
        lines = tuple([line for line in text.replace("\r\n", "\n").split("\n") if line])
        if not lines or lines[0] != "v=0":
            raise SipError("a session description must begin with v=0")
        if "\r" in "".join(lines) or not all(_LINE.fullmatch(line) for line in lines):
            raise SipError("a line of the session description is not type=value")
        return cls(lines)

    def encode(self) -> str:
        """Return the text, each line ended by CR LF."""
        return "\r\n".join(self.lines) + "\r\n"

    def audio(self) -> tuple[str, ...]:
        """Return the lines of the audio section, the ``m=`` line first; empty if there is none."""
        start, end = self._audio_range()
        return self.lines[start:end]

    @property
    def direction(self) -> Direction:
        """The audio's direction as its sender sees it; the session's where the section has none (§6.7)."""
        start, end = self._audio_range()
        for line in self.lines[start:end] + self.lines[: self._first_media()]:
            if line in _DIRECTIONS:
                return _DIRECTIONS[line]
        return "sendrecv"

    def with_direction(self, direction: Direction) -> "Sdp":
        """Return it with another audio direction, in the place of the old one."""
        start, end = self._audio_range()
        if start == end:
            raise SipError("the session description has no audio")
        section = self.lines[start:end]
        kept = [line for line in section if line not in _DIRECTIONS]
        at = next((n for n, line in enumerate(section) if line in _DIRECTIONS), len(kept))
        kept.insert(at, f"a={direction}")
        return replace(self, lines=(*self.lines[:start], *kept, *self.lines[end:]))

    @property
    def version(self) -> int:
        """The version in ``o=``; each new description of a session raises it by one (RFC 3264 §8)."""
        return int(self._origin()[1][3])

    def with_version(self, version: int) -> "Sdp":
        """Return it with another version in ``o=``."""
        index, match = self._origin()
        line = f"o={match[1]} {match[2]} {version} {match[4]}"
        return replace(self, lines=(*self.lines[:index], line, *self.lines[index + 1 :]))

    def continuing(self, before: "Sdp") -> "Sdp":
        """Return it as what follows ``before`` in one session: the same origin, a later version (§8)."""
        index, _ = self._origin()
        _, match = before._origin()
        line = f"o={match[1]} {match[2]} {max(int(match[3]), self.version) + 1} {match[4]}"
        return replace(self, lines=(*self.lines[:index], line, *self.lines[index + 1 :]))

    def answering(self, offer: "Sdp") -> "Sdp":
        """Return it with as many sections as ``offer`` has: those that it lacks are refused (§6)."""
        ours = sum(line[:2] == "m=" for line in self.lines)
        refused: list[str] = []
        for section in offer._sections()[ours:]:
            media, _, rest = section[0].partition(" ")
            refused.append(f"{media} 0 {rest.partition(' ')[2]}")
            refused.append(_NOWHERE)
            refused += [line for line in section if line.startswith("a=mid:")]
        return replace(self, lines=(*self.lines, *refused))

    def payloads(self) -> list[Payload]:
        """Return the audio formats in order of preference. Static ones without ``rtpmap`` are left out."""
        section = self.audio()
        match = _MEDIA.fullmatch(section[0]) if section else None
        if match is None:
            return []
        maps = {found[1]: found for line in section if (found := _RTPMAP.fullmatch(line))}
        fmtps = {found[1]: found[2] for line in section if (found := _FMTP.fullmatch(line))}
        numbers = dict.fromkeys(match[4].split())
        return [_payload(maps[number], fmtps.get(number, "")) for number in numbers if number in maps]

    def shares_sound_with(self, other: "Sdp") -> bool:
        """Whether both have an audio format of one number and name, as answer and offer must (§6.1)."""
        return bool(self._spoken() & other._spoken())

    def _spoken(self) -> set[tuple[str, str]]:
        section = self.audio()
        match = _MEDIA.fullmatch(section[0]) if section else None
        maps = {found[1]: found[2].lower() for line in section if (found := _RTPMAP.fullmatch(line))}
        numbers = match[4].split() if match is not None else []
        formats = {(number, maps.get(number, _STATIC.get(number, ""))) for number in numbers}
        return {one for one in formats if one[1] not in _UNSPOKEN}

    def attribute(self, name: str) -> str | None:
        """Return the value of ``a=name`` of the audio section, else of the session; "" for a flag."""
        start, end = self._audio_range()
        for line in self.lines[start:end] + self.lines[: self._first_media()]:
            if line == f"a={name}":
                return ""
            if line.startswith(f"a={name}:"):
                return line[len(name) + 3 :]
        return None

    def with_attribute(self, name: str, value: str) -> "Sdp":
        """Return it with another value for each ``a=name`` that it has, wherever that stands."""
        prefix = f"a={name}:"
        lines = tuple([f"{prefix}{value}" if line.startswith(prefix) else line for line in self.lines])
        return replace(self, lines=lines)

    @property
    def has_ice(self) -> bool:
        """Whether the sound is to be connected by ICE (RFC 8839)."""
        return self.attribute("ice-ufrag") is not None and self.attribute("ice-pwd") is not None

    @property
    def has_candidates(self) -> bool:
        """Whether addresses are named; if not, ICE must learn them from the peer's checks."""
        return any(line.startswith("a=candidate:") for line in self.audio())

    def _first_media(self) -> int:
        return next((n for n, line in enumerate(self.lines) if line[:2] == "m="), len(self.lines))

    def _starts(self) -> list[int]:
        return [n for n, line in enumerate(self.lines) if line[:2] == "m="] + [len(self.lines)]

    def _sections(self) -> list[tuple[str, ...]]:
        return [self.lines[start:end] for start, end in pairwise(self._starts())]

    def _audio_range(self) -> tuple[int, int]:
        for start, end in pairwise(self._starts()):
            if self.lines[start].startswith("m=audio "):
                return start, end
        return len(self.lines), len(self.lines)

    def _origin(self) -> tuple[int, re.Match[str]]:
        for index, line in enumerate(self.lines):
            if match := _ORIGIN.fullmatch(line):
                return index, match
        raise SipError("the session description has no readable o= line")


def _payload(match: re.Match[str], fmtp: str) -> Payload:
    return Payload(int(match[1]), match[2], int(match[3]), int(match[4] or 1), fmtp)


def direction_of(body: str) -> Direction:
    """Return the audio direction of a body; "sendrecv" for one that is empty or no description."""
    try:
        return Sdp.parse(body).direction
    except SipError:
        return "sendrecv"


def later(body: str, before: str) -> str:
    """Return a body with a version above that of ``before``, which was said first (RFC 3264 §8)."""
    try:
        sdp, version = Sdp.parse(body), Sdp.parse(before).version
        return body if version < sdp.version else sdp.with_version(version + 1).encode()
    except SipError:
        return body
