"""[core] Who may use the REST side: the client's secret, signed JWTs of users, and the tokens made of them.

The grants of OAuth that the SDKs use (RFC 6749, RFC 7523): a JWT or a refresh token becomes an access token
and a new refresh token. Access tokens end with their time, refresh tokens with their time or their use, both
when one of them is revoked. Times are Unix seconds.
"""

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import msgspec

from .errors import ApiError

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_HEADER = {"alg": "HS256", "typ": "JWT"}
_LONGEST_JWT = 4096
_CLOCK_SKEW = 60.0


class _Header(msgspec.Struct, frozen=True):
    alg: str


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    sub: str
    aud: str
    exp: float


@dataclass(frozen=True, slots=True)
class Client:
    """A program that may ask for tokens."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long tokens are good for, in seconds."""

    access: float = 3600.0
    refresh: float = 604_800.0
    jwt: float = 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login yields. ``owner`` is the number of the user's extension."""

    owner: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_until: float
    refresh_until: float


class Tokens:
    """All tokens that are good now. ``new_token`` returns a text that nobody can guess."""

    def __init__(
        self,
        client: Client,
        key: bytes,
        *,
        audience: str,
        extensions: Collection[str],
        new_token: Callable[[], str],
        lifetimes: Lifetimes = Lifetimes(),
        most: int = 10_000,
    ) -> None:
        self._client, self._key, self._audience = client, key, audience
        self._extensions, self._new_token, self._lifetimes = extensions, new_token, lifetimes
        self._most = most
        self._access: OrderedDict[str, Grant] = OrderedDict()
        self._refresh: OrderedDict[str, Grant] = OrderedDict()

    def make_jwt(self, extension: str, now: float) -> str:
        """Return what a user of ``extension`` logs in with."""
        claims = _Claims(
            iss=self._client.id, sub=extension, aud=self._audience, exp=now + self._lifetimes.jwt
        )
        signed = f"{_part(msgspec.json.encode(_HEADER))}.{_part(msgspec.json.encode(claims))}"
        return f"{signed}.{_part(self._signature(signed))}"

    def check_client(self, client_id: str, secret: str) -> None:
        """Raise :exc:`ApiError` unless a client is the known one."""
        right_id = hmac.compare_digest(client_id.encode(), self._client.id.encode())
        right_secret = hmac.compare_digest(secret.encode(), self._client.secret.encode())
        if not (right_id and right_secret):
            raise ApiError(
                401,
                "OAU-153",
                "Wrong client ID or client secret",
                oauth="invalid_client",
                headers={"WWW-Authenticate": 'Basic realm="restapi"'},
            )

    def login(self, jwt: str, now: float) -> Grant:
        """Return the tokens for a user's JWT.

        Raises:
            ApiError: If it is none of ours, or its time is over.
        """
        claims = self._claims(jwt)
        if claims.aud != self._audience or claims.iss != self._client.id:
            raise _bad_grant("the JWT was issued for another service or client")
        if claims.exp + _CLOCK_SKEW < now:
            raise _bad_grant("the JWT has expired")
        if claims.sub not in self._extensions:
            raise _bad_grant("there is no such user any more")
        return self._grant(claims.sub, now)

    def refresh(self, token: str, now: float) -> Grant:
        """Return new tokens for a refresh token, which is used up; so is its access token.

        Raises:
            ApiError: If it is unknown, used or too old.
        """
        grant = self._refresh.get(token)
        if grant is None or grant.refresh_until <= now:
            raise _bad_grant("the refresh token is not known, was used, or has expired")
        self._forget(grant)
        return self._grant(grant.owner, now)

    def revoke(self, token: str) -> None:
        """Let an access or refresh token, and the one that came with it, be worth nothing (RFC 7009 §2.2)."""
        grant = self._access.get(token) or self._refresh.get(token)
        if grant is not None:
            self._forget(grant)

    def owner(self, token: str, now: float) -> str:
        """Return whose access token this is.

        Raises:
            ApiError: If it is nobody's, or its time is over.
        """
        grant = self._access.get(token)
        if grant is None:
            raise _unauthorised("TokenInvalid", "Access token not found")
        if grant.access_until <= now:
            raise _unauthorised("TokenExpired", "Access token expired")
        return grant.owner

    def _grant(self, owner: str, now: float) -> Grant:
        life = self._lifetimes
        access, refresh = self._new_token(), self._new_token()
        grant = Grant(owner, access, refresh, now + life.access, now + life.refresh)
        self._access[access] = self._refresh[refresh] = grant
        while len(self._refresh) > self._most:
            self._forget(next(iter(self._refresh.values())))
        return grant

    def _forget(self, grant: Grant) -> None:
        self._access.pop(grant.access_token, None)
        self._refresh.pop(grant.refresh_token, None)

    def _claims(self, jwt: str) -> _Claims:
        signed, _, signature = jwt.rpartition(".")
        header, _, claims = signed.partition(".")
        try:
            if len(jwt) > _LONGEST_JWT:
                raise ValueError("too long")
            algorithm = msgspec.json.decode(_bytes(header), type=_Header).alg
            given = _bytes(signature)
            decoded = msgspec.json.decode(_bytes(claims), type=_Claims)
        except (ValueError, msgspec.DecodeError, RecursionError) as exc:
            raise _bad_grant("the assertion is no JWT") from exc
        # The algorithm is ours to choose, whatever a header says (RFC 8725 §3.1).
        if algorithm != "HS256" or not hmac.compare_digest(given, self._signature(signed)):
            raise _bad_grant("the JWT's signature is not ours")
        return decoded

    def _signature(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise ValueError("no base64url") from exc


def _bad_grant(message: str) -> ApiError:
    return ApiError(400, "OAU-251", f"Invalid assertion or token: {message}", oauth="invalid_grant")


def _unauthorised(code: str, message: str) -> ApiError:
    return ApiError(401, code, message, headers={"WWW-Authenticate": 'Bearer realm="restapi"'})
