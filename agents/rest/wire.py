"""How the REST API is asked: HTTPS, with bounds, and with every failure as one line that says what to do."""

import datetime
import email.utils
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from shared.errors import (
    CertificateUntrusted,
    ConfigError,
    LoginFailed,
    MessageError,
    RestFailed,
    ServiceUnreachable,
)
from shared.text import readable

from .documents import Failure

_LONGEST_ANSWER = 1 << 20
_LONGEST_WAIT = 86_400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that came: any HTTP status, and the body."""

    status: int
    body: bytes
    retry_after: float | None = None

    @property
    def failure(self) -> Failure:
        """What it says about an error; empty if it is not in the service's form."""
        try:
            return msgspec.json.decode(self.body, type=Failure)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Failure()


class Wire:
    """Sends requests to one server. ``time``: how long each may take, in seconds."""

    def __init__(self, server: str, ca_file: Path | None, *, time: float = 10.0) -> None:
        url = _checked(server)
        self.server = str(url).rstrip("/")
        self._time = time
        self._http = httpx.AsyncClient(
            base_url=url,
            verify=_trust(ca_file),
            timeout=time,
            # A proxy of this machine's has no business with loopback.
            trust_env=url.host not in ("127.0.0.1", "localhost", "::1"),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, method: str, path: str, **request: Any) -> Answer:
        """Send a request as httpx has it, and return the answer, whatever its status.

        Raises:
            CertificateUntrusted: If nobody whom we trust vouches for the server.
            ServiceUnreachable: If it cannot be reached, or does not answer.
            MessageError: If its answer is too long.
        """
        try:
            async with self._http.stream(method, path, **request) as response:
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _LONGEST_ANSWER:
                        raise MessageError(f"{self.server} answers with more than {_LONGEST_ANSWER} bytes")
                return Answer(response.status_code, body, _retry_after(response.headers.get("Retry-After")))
        except httpx.HTTPError as exc:
            raise self._explain(exc) from exc

    def _explain(self, error: httpx.HTTPError) -> ServiceUnreachable:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return CertificateUntrusted(
                    f"the certificate of {self.server} is not trusted ({cause.verify_message}); "
                    "if the service has an authority of its own, name its file"
                )
            if isinstance(cause, ssl.SSLError):
                return ServiceUnreachable(
                    f"{self.server} does not speak TLS ({cause.reason}); check the port"
                )
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx.TimeoutException):
            return ServiceUnreachable(
                f"{self.server} did not answer within {self._time:g} s; check the network or firewall"
            )
        reason = str(error) or type(error).__name__
        return ServiceUnreachable(
            f"{self.server} cannot be reached ({reason}); check the server's name and the network"
        )


def _checked(server: str) -> httpx.URL:
    try:
        url = httpx.URL(server)
    except (httpx.InvalidURL, TypeError) as exc:
        raise ConfigError(f"bad server {server!r}: {exc}; expected https://HOST[:PORT]") from exc
    # Client secret, JWT and tokens are sent in the clear but for TLS.
    if url.scheme != "https" or not url.host or url.userinfo or url.query or url.path not in ("", "/"):
        raise ConfigError(f"bad server {_without_login(url)!r}: expected https://HOST[:PORT]")
    return url


def _without_login(url: httpx.URL) -> str:
    return str(url.copy_with(username=None, password=None, query=None)) if url.host else str(url)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None)
    except OSError as exc:  # also ssl.SSLError: not a certificate
        raise ConfigError(f"the file of the authority, {ca_file}, cannot be used: {exc}") from exc


def _retry_after(text: str | None) -> float | None:
    """Return the seconds that a server wants us to wait: a number, or a date (RFC 9110 §10.2.3)."""
    if text is None:
        return None
    if text.strip().isdecimal() and text.isascii():
        seconds = float(text.strip()[:10])
    else:
        try:
            at = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        if at.tzinfo is None:
            at = at.replace(tzinfo=datetime.UTC)
        seconds = (at - datetime.datetime.now(datetime.UTC)).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def refusal(answer: Answer, what: str) -> RestFailed:
    """Return the error for an answer from 300 on to ``what`` was asked for, with what the user can do."""
    said = answer.failure
    why = f"{answer.status}{f' {said.code}' if said.code else ''}{f': {said.text}' if said.text else ''}"
    remedy = _remedy(answer)
    return RestFailed(
        f"{what} failed ({readable(why, 200)}); {remedy}",
        status=answer.status,
        code=said.code,
        retry_after=answer.retry_after,
    )


def login_refusal(answer: Answer) -> RestFailed:
    """Return the error for a login that failed."""
    said = answer.failure
    remedies = {
        "invalid_client": "check the client id and the client secret",
        "invalid_grant": "make a new JWT, for this client, in the service's developer console",
        "unauthorized_client": "allow the JWT grant for this client in the service's developer console",
    }
    if said.error not in remedies:
        return refusal(answer, "the login")
    return LoginFailed(
        f"the login was refused ({readable(said.text or said.error, 200)}); {remedies[said.error]}",
        status=answer.status,
        code=said.error,
    )


def _remedy(answer: Answer) -> str:
    wait = f"in {answer.retry_after:.0f} s" if answer.retry_after is not None else "later"
    match answer.status:
        case 429:
            return f"that was too often: try again {wait}"
        case status if status >= 500:
            return f"the service has a problem: try again {wait}"
        case 401:
            return "log in anew"
        case 403:
            return "give the user or the client that permission in the service's administration"
        case status if status < 400:
            return "check the server's name: it wants us to go elsewhere"
        case _:
            return "check what was asked for"
