"""The SDP that a WebRTC call with one audio stream needs: what the far end says, and what we say (RFC 8866).

Reading is liberal: no ``a=mid`` (the RingCentral edge sends none), no candidates, sha-1 fingerprints,
attributes at session or media level, more sections than audio (they are answered with port 0). Writing is
what browsers write.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.errors import SipError

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_MIRROR = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
_MAX_DIGITS, _MAX_PORT = 10, 65_535
_STATIC = {0: ("PCMU", 8000), 8: ("PCMA", 8000)}


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type; ``name`` is as written in the SDP, compare it without case."""

    payload_type: int
    name: str
    rate_hz: int
    channels: int = 1
    fmtp: str = ""

    @property
    def is_spoken(self) -> bool:
        """Whether we can encode and decode it."""
        return (self.name.lower(), self.rate_hz) in _SPOKEN

    def lines(self) -> list[str]:
        """Return its rtpmap and fmtp lines."""
        channels = f"/{self.channels}" if self.channels > 1 else ""
        lines = [f"a=rtpmap:{self.payload_type} {self.name}/{self.rate_hz}{channels}"]
        return [*lines, f"a=fmtp:{self.payload_type} {self.fmtp}"] if self.fmtp else lines


OFFERED = (
    Codec(111, "opus", 48000, 2, "minptime=10;useinbandfec=1"),
    Codec(0, "PCMU", 8000),
    Codec(8, "PCMA", 8000),
    Codec(110, "telephone-event", 48000, 1, "0-15"),
    Codec(101, "telephone-event", 8000, 1, "0-15"),
)
_SPOKEN = {(codec.name.lower(), codec.rate_hz): codec for codec in OFFERED}


@dataclass(frozen=True, slots=True)
class LocalAudio:
    """What we say of ourselves in every description of one connection; no password in its ``repr``."""

    ufrag: str
    password: str = field(repr=False)
    fingerprint: str  # of sha-256
    ssrc: int
    cname: str
    candidates: tuple[str, ...]  # values of a=candidate
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class RemoteAudio:
    """What the far end says about its audio. The ICE password stays out of ``repr``."""

    ufrag: str
    password: str = field(repr=False)
    ice_lite: bool
    candidates: tuple[str, ...]
    fingerprints: tuple[tuple[str, str], ...]  # (hash function, value)
    setup: str
    direction: str
    codecs: tuple[Codec, ...]
    mid: str | None
    index: int  # of the audio section
    sections: tuple[str, ...]  # every m= line, for the answer must have as many
    profile: str
    bundled: bool

    def audio_codec(self) -> Codec:
        """Return the codec to use: Opus where offered, else the first that we speak."""
        spoken = [
            codec for codec in self.codecs if codec.is_spoken and codec.name.lower() != "telephone-event"
        ]
        opus = [codec for codec in spoken if codec.name.lower() == "opus"]
        if not spoken:
            raise SipError("no common codec: the far end takes none of opus, PCMU, PCMA")
        return (opus or spoken)[0]

    def event_codec(self) -> Codec | None:
        """Return the telephone-event to send keys with, best with the audio's clock; None without one."""
        events = [
            codec for codec in self.codecs if codec.is_spoken and codec.name.lower() == "telephone-event"
        ]
        rate_hz = self.audio_codec().rate_hz
        return next((codec for codec in events if codec.rate_hz == rate_hz), events[0] if events else None)


def parse(sdp: str) -> RemoteAudio:
    """Return the first audio section of ``sdp``; raise :exc:`SipError` if it cannot carry a WebRTC call."""
    session, sections = _split(sdp)
    index = next((i for i, lines in enumerate(sections) if lines[0].startswith("m=audio ")), None)
    if index is None:
        raise SipError("the SDP has no audio section")
    media_line = sections[index][0].split()
    if len(media_line) < 4 or not all(_is_number(item) for item in [media_line[1], *media_line[3:]]):
        raise SipError("the SDP's audio line cannot be read")
    if media_line[1] == "0":
        raise SipError("the far end refused the audio (port 0)")
    lines = [*sections[index], *session]  # the media level wins: it is looked at first
    fingerprints = _pairs(_values(sections[index], "fingerprint") or _values(session, "fingerprint"))
    remote = RemoteAudio(
        ufrag=_one(lines, "ice-ufrag"),
        password=_one(lines, "ice-pwd"),
        ice_lite="a=ice-lite" in lines,
        candidates=tuple(_values(sections[index], "candidate")),
        fingerprints=fingerprints,
        setup=_one(lines, "setup"),
        direction=next(
            (line[2:] for line in lines if line[2:] in DIRECTIONS and line[:2] == "a="), "sendrecv"
        ),
        codecs=_codecs(sections[index], [int(item) for item in media_line[3:]]),
        mid=_one(sections[index], "mid") or None,
        index=index,
        sections=tuple([lines[0] for lines in sections]),
        profile=media_line[2],
        bundled=any(value.startswith("BUNDLE") for value in _values(session, "group")),
    )
    _check(remote)
    return remote


def _check(remote: RemoteAudio) -> None:
    if not remote.ufrag or not remote.password:
        raise SipError("the SDP has no ICE credentials: the far end does not speak WebRTC")
    if not remote.fingerprints:
        raise SipError("the SDP has no DTLS fingerprint: the far end does not speak WebRTC")
    if remote.setup not in ("active", "passive", "actpass"):
        raise SipError(f"the SDP's a=setup:{remote.setup or '(none)'} cannot be used")
    for candidate in remote.candidates:
        parts = candidate.split()
        is_usable = len(parts) >= 8 and all(_is_number(parts[place]) for place in (1, 3, 5))
        if not is_usable or int(parts[5]) > _MAX_PORT:
            raise SipError(f"the SDP's candidate cannot be read: {candidate[:80]}")
    remote.audio_codec()


def _split(sdp: str) -> tuple[list[str], list[list[str]]]:
    session: list[str] = []
    sections: list[list[str]] = []
    for line in map(str.strip, sdp.splitlines()):
        if line.startswith("m="):
            sections.append([line])
        elif sections:
            sections[-1].append(line)
        else:
            session.append(line)
    return session, sections


def _values(lines: Iterable[str], name: str) -> list[str]:
    prefix = f"a={name}:"
    return [line[len(prefix) :].strip() for line in lines if line.startswith(prefix)]


def _one(lines: Iterable[str], name: str) -> str:
    return next(iter(_values(lines, name)), "")


def _pairs(values: list[str]) -> tuple[tuple[str, str], ...]:
    parts = [text.partition(" ") for text in values]
    return tuple([(algorithm.lower(), value) for algorithm, _, value in parts])


def _codecs(lines: list[str], payload_types: list[int]) -> tuple[Codec, ...]:
    maps = {text.split()[0]: text.split()[1] for text in _values(lines, "rtpmap") if len(text.split()) > 1}
    formats = dict(text.split(" ", 1) for text in _values(lines, "fmtp") if " " in text)
    codecs = []
    for payload_type in payload_types:
        name, _, rest = maps.get(str(payload_type), "").partition("/")
        rate, _, channels = rest.partition("/")
        if _is_number(rate) and payload_type < 128:
            fmtp = formats.get(str(payload_type), "")
            codecs.append(
                Codec(payload_type, name, int(rate), int(channels) if _is_number(channels) else 1, fmtp)
            )
        elif payload_type in _STATIC:
            codecs.append(Codec(payload_type, *_STATIC[payload_type]))
    return tuple(codecs)


def _is_number(text: str) -> bool:
    """Whether a text is a number of 32 bits or so: Python itself refuses those of thousands of digits."""
    return text.isdecimal() and len(text) <= _MAX_DIGITS


def offered(like: RemoteAudio | None) -> tuple[Codec, ...]:
    """Return what an offer names: Opus, PCMU, PCMA and telephone keys, or what a description before did."""
    return OFFERED if like is None else tuple([_ours(codec) for codec in like.codecs if codec.is_spoken])


def write_offer(local: LocalAudio, *, session_id: int, version: int, like: RemoteAudio | None = None) -> str:
    """Return our offer; ``like`` is how we described ourselves before in the same call (RFC 3264 §8.3.2)."""
    mid, profile = ("0", "UDP/TLS/RTP/SAVPF") if like is None else (like.mid, like.profile)
    head = _head(session_id, version)
    if mid and (like is None or like.bundled):
        head.append(f"a=group:BUNDLE {mid}")
    section = _section(local, offered(like), profile, setup="actpass", direction="sendrecv", mid=mid)
    if like is None:
        return _text([*head, *section])
    return _text([*head, *_among(like, section)])


def write_answer(
    local: LocalAudio, remote: RemoteAudio, *, session_id: int, version: int, setup: str, held: bool = False
) -> str:
    """Return our answer: one codec and its telephone-event, the direction mirrored (RFC 3264 §6.1).

    ``setup`` is our DTLS role; ``held`` leaves out receiving, as we play nothing.
    """
    codec, event = remote.audio_codec(), remote.event_codec()
    codecs = [_ours(codec)] + ([_ours(event)] if event else [])
    direction = _MIRROR[remote.direction]
    if held:
        direction = "sendonly" if direction in ("sendrecv", "sendonly") else "inactive"
    lines = _head(session_id, version)
    if remote.bundled and remote.mid:
        lines.append(f"a=group:BUNDLE {remote.mid}")
    section = _section(local, codecs, remote.profile, setup=setup, direction=direction, mid=remote.mid)
    return _text([*lines, *_among(remote, section)])


def _among(other: RemoteAudio, section: Sequence[str]) -> list[str]:
    """Return our audio section in its place among those of another description; the rest has port 0 (§8)."""
    lines: list[str] = []
    for index, media_line in enumerate(other.sections):
        kind, _, rest = media_line.partition(" ")
        refused = [f"{kind} 0 {rest.partition(' ')[2]}", "c=IN IP4 0.0.0.0"]  # RFC 8866 §5.7 wants an address
        lines += section if index == other.index else refused
    return lines


def _ours(codec: Codec) -> Codec:
    own = _SPOKEN[codec.name.lower(), codec.rate_hz]
    return Codec(codec.payload_type, codec.name, codec.rate_hz, codec.channels, own.fmtp)


def _head(session_id: int, version: int) -> list[str]:
    return ["v=0", f"o=- {session_id} {version} IN IP4 127.0.0.1", "s=-", "t=0 0"]


def _section(
    local: LocalAudio, codecs: Sequence[Codec], profile: str, *, setup: str, direction: str, mid: str | None
) -> list[str]:
    family = "IP6" if ":" in local.host else "IP4"
    return [
        f"m=audio {local.port} {profile} {' '.join(str(codec.payload_type) for codec in codecs)}",
        f"c=IN {family} {local.host}",
        f"a=rtcp:{local.port} IN {family} {local.host}",
        *[f"a=candidate:{candidate}" for candidate in local.candidates],
        "a=end-of-candidates",
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.password}",
        f"a=fingerprint:sha-256 {local.fingerprint}",
        f"a=setup:{setup}",
        *([f"a=mid:{mid}"] if mid else []),
        f"a={direction}",
        "a=rtcp-mux",
        *[line for codec in codecs for line in codec.lines()],
        "a=ptime:20",
        f"a=ssrc:{local.ssrc} cname:{local.cname}",
    ]


def _text(lines: Sequence[str]) -> str:
    return "\r\n".join(lines) + "\r\n"
