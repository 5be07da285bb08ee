"""[core] Digest authentication, both sides (RFC 3261 §22, RFC 7616, RFC 8760).

Supported: MD5, SHA-256 and SHA-512-256, each also with ``-sess``; qop auth, auth-int and none. The form
without qop is what RingCentral's registrar uses; see :func:`authorize`.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

from shared.errors import SipError

from .grammar import TOKEN, quote, unquote

_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
# Quantifiers that give nothing back: a hostile value takes linear time.
_PARAM = re.compile(
    r'\s*+([A-Za-z0-9\-.!%*_+`\'~]++)\s*+=\s*+("[^"\\]*+(?:\\.[^"\\]*+)*+"|[^\s,"]*+)\s*+(?:,|$)', re.DOTALL
)
_SCHEME = re.compile(r"[\s,]*+([A-Za-z0-9\-.!%*_+`'~]++)\s++(?=[^\s=,]++\s*+=)")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to a realm. The password is never in the repr."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for. ``algorithm`` is None where it named none, which means MD5."""

    realm: str
    nonce: str = field(repr=False)
    algorithm: str | None = None
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    is_stale: bool = False

    @property
    def is_supported(self) -> bool:
        """Whether :func:`authorize` can answer it."""
        return _is_known(self.algorithm) and (not self.qop or "auth" in self.qop or "auth-int" in self.qop)


@dataclass(frozen=True, slots=True)
class Authorization:
    """A client's answer to a challenge."""

    username: str
    realm: str
    nonce: str = field(repr=False)
    uri: str
    response: str = field(repr=False)
    algorithm: str | None = None
    qop: str | None = None
    nc: str = ""
    cnonce: str = field(default="", repr=False)
    opaque: str | None = None


class Verdict(Enum):
    """What a server thinks of an answer: STALE is a right answer to a nonce that is no longer good."""

    ACCEPTED = "accepted"
    STALE = "stale"
    REFUSED = "refused"


def parse_challenge(value: str) -> Challenge:
    """Read one ``Digest`` challenge; raises :exc:`SipError` for another scheme or without realm and nonce."""
    params = _params_of_digest(value)
    if "realm" not in params or "nonce" not in params:
        raise SipError("a challenge has no realm or nonce")
    return Challenge(
        realm=params["realm"],
        nonce=params["nonce"],
        algorithm=params.get("algorithm"),
        qop=tuple([option.strip().lower() for option in params.get("qop", "").split(",") if option.strip()]),
        opaque=params.get("opaque"),
        is_stale=params.get("stale", "").lower() == "true",
    )


def choose_challenge(values: Iterable[str], *, realm: str) -> Challenge | None:
    """Return the challenge to answer: the topmost of our realm that we can (RFC 8760 §2.4), or None.

    Challenges that cannot be read, other schemes, and other realms are passed over.
    """
    for value in values:
        for part in split_challenges(value):
            try:
                challenge = parse_challenge(part)
            except SipError:
                continue
            if challenge.realm == realm and challenge.is_supported:
                return challenge
    return None


def split_challenges(value: str) -> list[str]:
    """Return the challenges of one header value: some servers join several with commas (RFC 7235 §2.1)."""
    starts, position = [], 0
    while match := _SCHEME.match(value, position):
        starts.append(match.start(1))
        position = match.end()
        while (param := _PARAM.match(value, position)) and not _SCHEME.match(value, position):
            position = param.end()
    starts.append(len(value))
    return [value[start:end].strip(" ,") for start, end in pairwise(starts)]


def make_challenge(
    realm: str,
    nonce: str,
    *,
    algorithm: str | None = None,
    qop: str | None = None,
    stale: bool = False,
    opaque: str | None = None,
) -> str:
    """Return a challenge's text. ``nonce`` follows comma and space, which RingCentral's clients rely on."""
    text = f"Digest realm={quote(realm)}, nonce={quote(nonce)}"
    if opaque is not None:
        text += f", opaque={quote(opaque)}"
    if stale:
        text += ", stale=true"
    if algorithm is not None:
        text += f", algorithm={algorithm}"
    return text if qop is None else f"{text}, qop={quote(qop)}"


def authorize(
    challenge: Challenge,
    credentials: Credentials,
    *,
    method: str,
    uri: str,
    cnonce: str,
    nc: int = 1,
    body: str = "",
) -> str:
    """Return the header value that answers ``challenge`` for a request.

    ``nc`` counts the requests answered with this nonce, this one included. To a challenge that names neither
    algorithm nor qop, the answer is RingCentral's: five parameters, and the algorithm in quotes.
    """
    qop = None if not challenge.qop else "auth" if "auth" in challenge.qop else "auth-int"
    count = f"{nc:08x}"
    response = digest_response(
        challenge.algorithm,
        credentials,
        challenge.realm,
        challenge.nonce,
        method=method,
        uri=uri,
        qop=qop,
        nc=count,
        cnonce=cnonce,
        body=body,
    )
    named = f"username={quote(credentials.username)}, realm={quote(challenge.realm)}"
    named += f", nonce={quote(challenge.nonce)}, uri={quote(uri)}, response={quote(response)}"
    opaque = f", opaque={quote(challenge.opaque)}" if challenge.opaque is not None else ""
    if challenge.algorithm is None and qop is None:
        return f'Digest algorithm="MD5", {named}{opaque}'
    used = f", cnonce={quote(cnonce)}" if qop is not None or _is_session(challenge.algorithm) else ""
    used += f", qop={qop}, nc={count}" if qop is not None else ""
    return f"Digest {named}, algorithm={challenge.algorithm or 'MD5'}{opaque}{used}"


def parse_authorization(value: str) -> Authorization:
    """Read a client's answer; raises :exc:`SipError` if a parameter that must be there is not."""
    params = _params_of_digest(value)
    for name in ("username", "realm", "nonce", "uri", "response"):
        if name not in params:
            raise SipError(f"an authorization has no {name}")
    return Authorization(
        username=params["username"],
        realm=params["realm"],
        nonce=params["nonce"],
        uri=params["uri"],
        response=params["response"],
        algorithm=params.get("algorithm"),
        qop=params.get("qop"),
        nc=params.get("nc", ""),
        cnonce=params.get("cnonce", ""),
        opaque=params.get("opaque"),
    )


def verify(
    answer: Authorization,
    method: str,
    *,
    password: Callable[[str], str | None],
    realm: str,
    is_nonce_good: Callable[[str, str], bool],
    body: str = "",
) -> Verdict:
    """Judge a client's answer. The hash is over the uri that the answer names, as RingCentral does.

    Args:
        password: Returns the password of a username, or None if there is no such user.
        is_nonce_good: Is given nonce and nc, and says whether the nonce is ours, fresh and, with qop, this
            count not used yet. Asked only once the answer is known to be right.
    """
    secret = password(answer.username)
    if secret is None or answer.realm != realm or not _is_known(answer.algorithm):
        return Verdict.REFUSED
    if answer.qop not in (None, "auth", "auth-int"):
        return Verdict.REFUSED
    expected = digest_response(
        answer.algorithm,
        Credentials(answer.username, secret),
        realm,
        answer.nonce,
        method=method,
        uri=answer.uri,
        qop=answer.qop,
        nc=answer.nc,
        cnonce=answer.cnonce,
        body=body,
    )
    if not hmac.compare_digest(expected.encode(), answer.response.lower().encode("utf-8", "replace")):
        return Verdict.REFUSED
    return Verdict.ACCEPTED if is_nonce_good(answer.nonce, answer.nc) else Verdict.STALE


def digest_response(
    algorithm: str | None,
    credentials: Credentials,
    realm: str,
    nonce: str,
    *,
    method: str,
    uri: str,
    qop: str | None = None,
    nc: str = "",
    cnonce: str = "",
    body: str = "",
) -> str:
    """Return the hash itself (RFC 7616 §3.4.1), in lower-case hexadecimal."""

    def digest(text: str) -> str:
        return hashlib.new(
            _HASHES[_base(algorithm)], text.encode("utf-8", "replace"), usedforsecurity=False
        ).hexdigest()

    secret = digest(f"{credentials.username}:{realm}:{credentials.password}")
    if _is_session(algorithm):
        secret = digest(f"{secret}:{nonce}:{cnonce}")
    action = f"{method}:{uri}:{digest(body)}" if qop == "auth-int" else f"{method}:{uri}"
    middle = f"{nonce}:{nc}:{cnonce}:{qop}" if qop is not None else nonce
    return digest(f"{secret}:{middle}:{digest(action)}")


def _base(algorithm: str | None) -> str:
    return "MD5" if algorithm is None else algorithm.upper().removesuffix("-SESS")


def _is_known(algorithm: str | None) -> bool:
    # SHA-512-256 is in OpenSSL since 1.1.1, but a build may leave it out.
    return _HASHES.get(_base(algorithm)) in hashlib.algorithms_available


def _is_session(algorithm: str | None) -> bool:
    return algorithm is not None and algorithm.upper().endswith("-SESS")


def _params_of_digest(value: str) -> dict[str, str]:
    match = TOKEN.match(value := value.strip())
    if match is None or match[0].lower() != "digest":
        raise SipError("not a Digest header")
    params: dict[str, str] = {}
    position = match.end()
    while position < len(value):
        param = _PARAM.match(value, position)
        if param is None:
            raise SipError("a parameter of a Digest header cannot be read")
        # The first one counts: a second nonce or realm must not override what was checked.
        params.setdefault(param[1].lower(), unquote(param[2]))
        position = param.end()
    return params
