"""The REST side over HTTP: who asks, what for, and the answer or the error as JSON.

Every path but those of the login needs an access token. Programs in browsers may ask, too, from any page
(CORS): nothing is done for whoever does not know a secret.
"""

import base64
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.log import log

from ..accounts import Subscriber
from ..fault_orders import RestAnswer
from ..web import BadBody, json_answer, read_body
from .call_api import CallApi
from .documents import ProvisionRequest, TokenDocument, extension_id
from .errors import ApiError, not_allowed, not_found
from .office import Office
from .reading import read
from .tokens import JWT_GRANT, Grant, Tokens
from .trouble import trouble

Answer = Callable[[Subscriber, Request], Awaitable[Any]]

_SCOPE = "CallControl ReadAccounts VoIP VoipCalling"
_LONGEST_PARAMETER = 8192


def make_app(
    office: Office,
    calls: CallApi,
    tokens: Tokens,
    *,
    hosts: list[str],
    fault: Callable[[], RestAnswer | None],
) -> Starlette:
    """Return the ASGI application.

    ``hosts``: the names that requests may be for. ``fault`` is asked once a request how to do wrong.
    """
    login, own = Login(tokens, office), Own(tokens, office)
    account, extension = "/restapi/v1.0/account/{account}", "/extension/{extension}"
    return Starlette(
        routes=[
            Route("/restapi/oauth/token", login.token, methods=["POST"]),
            Route("/restapi/oauth/revoke", login.revoke, methods=["POST"]),
            own.route("POST", "/restapi/v1.0/client-info/sip-provision", own.provision),
            own.route("GET", account, own.account),
            own.route("GET", f"{account}{extension}", own.extension),
            own.route("GET", f"{account}{extension}/phone-number", own.phone_numbers),
            own.route("GET", f"{account}{extension}/device", own.devices),
            *calls.routes(own),
        ],
        middleware=[
            # A web page that made its name resolve to this machine still sends that name.
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=["Retry-After"],
            ),
            Middleware(_Troubled, fault=fault),
        ],
        exception_handlers={
            ApiError: _refused,
            BadBody: _bad_body,
            HTTPException: _no_such_path,
            Exception: _failed,
        },
    )


class _Troubled:
    """Answers as a fault has it, if there is one in force."""

    def __init__(self, app: ASGIApp, fault: Callable[[], RestAnswer | None]) -> None:
        self._app, self._fault = app, fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        order = self._fault() if scope["type"] == "http" else None
        if order is None:
            await self._app(scope, receive, send)
        else:
            await _as_answer(trouble(order))(scope, receive, send)


class Login:
    """OAuth: who proves to be a client and a user gets tokens (RFC 6749 §4.4, RFC 7523)."""

    def __init__(self, tokens: Tokens, office: Office) -> None:
        self._tokens, self._office = tokens, office

    async def token(self, request: Request) -> Response:
        """Answer with tokens."""
        self._check_client(request)
        form, now = await _form(request), self._office.now()
        match form.get("grant_type", ""):
            case grant_type if grant_type == JWT_GRANT:
                grant = self._tokens.login(_field(form, "assertion"), now)
            case "refresh_token":
                grant = self._tokens.refresh(_field(form, "refresh_token"), now)
            case other:
                raise ApiError(
                    400,
                    "OAU-250",
                    f"Unsupported grant type: {other[:80]!r}",
                    oauth="unsupported_grant_type",
                )
        # RFC 6749 §5.1: what is in this answer must not be kept.
        return json_answer(_document(grant, now), headers={"Cache-Control": "no-store"})

    async def revoke(self, request: Request) -> Response:
        """Let a token be worth nothing; one that is not known is not, already."""
        self._check_client(request)
        form = await _form(request)
        self._tokens.revoke(_field(form, "token"))
        return Response(status_code=200)

    def _check_client(self, request: Request) -> None:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        client_id, secret = "", ""
        if scheme.lower() == "basic":
            try:
                client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
            except ValueError:  # no base64, no UTF-8, or no ASCII to begin with
                client_id, secret = "", ""
        self._tokens.check_client(client_id, secret)


class Own:
    """What a user may ask about himself."""

    def __init__(self, tokens: Tokens, office: Office) -> None:
        self._tokens, self._office = tokens, office

    def route(self, method: str, path: str, answer: Answer) -> Route:
        """Return a route to ``answer`` for who has a token; account and extension in ``path`` must be his."""

        async def endpoint(request: Request) -> Response:
            user = self._user(request)
            self._check_path(user, request)
            content = await answer(user, request)
            return content if isinstance(content, Response) else json_answer(content)

        return Route(path, endpoint, methods=[method], name=f"{method} {path}")

    async def account(self, _user: Subscriber, _request: Request) -> Any:
        """Answer with the account."""
        return self._office.account()

    async def extension(self, user: Subscriber, _request: Request) -> Any:
        """Answer with the user's extension."""
        return self._office.extension(user)

    async def phone_numbers(self, user: Subscriber, _request: Request) -> Any:
        """Answer with the numbers that the user may show."""
        return self._office.phone_numbers(user)

    async def devices(self, user: Subscriber, _request: Request) -> Any:
        """Answer with the user's devices."""
        return self._office.devices(user)

    async def provision(self, user: Subscriber, request: Request) -> Any:
        """Answer with what a new device has to know."""
        return self._office.provision(user, await read(request, ProvisionRequest))

    def _user(self, request: Request) -> Subscriber:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = ""
        return self._office.user(self._tokens.owner(token.strip(), self._office.now()))

    def _check_path(self, user: Subscriber, request: Request) -> None:
        account, extension = (request.path_params.get(name, "~") for name in ("account", "extension"))
        if account not in ("~", str(self._office.account_id())):
            raise not_found("accountId")
        if extension not in ("~", str(extension_id(user.extension.number))):
            raise not_allowed("the extension is not yours")


async def _form(request: Request) -> dict[str, str]:
    """Return the first value of each field of a form."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
        raise ApiError(415, "CMN-415", "Expected application/x-www-form-urlencoded", oauth="invalid_request")
    body = await read_body(request)
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=20, errors="strict")
    except ValueError as exc:
        raise ApiError(400, "OAU-100", "The form cannot be read", oauth="invalid_request") from exc
    return {name: values[0] for name, values in fields.items()}


def _field(form: dict[str, str], name: str) -> str:
    value = form.get(name, "")
    if not 0 < len(value) <= _LONGEST_PARAMETER:
        raise ApiError(400, "OAU-113", f"Parameter [{name}] is missing or too long", oauth="invalid_request")
    return value


def _document(grant: Grant, now: float) -> TokenDocument:
    return TokenDocument(
        access_token=grant.access_token,
        token_type="bearer",  # noqa: S106 - the name of a kind of token
        expires_in=int(grant.access_until - now),
        refresh_token=grant.refresh_token,
        refresh_token_expires_in=int(grant.refresh_until - now),
        scope=_SCOPE,
        owner_id=str(extension_id(grant.owner)),
        endpoint_id=grant.refresh_token[:8],
    )


def _as_answer(error: ApiError) -> Response:
    return json_answer(error.document(), status=error.status, headers=error.headers)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _as_answer(error)


async def _bad_body(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BadBody)
    return _as_answer(ApiError(error.status, "CMN-413", error.message, headers={"Connection": "close"}))


async def _no_such_path(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = {404: ("CMN-102", "Resource is not found"), 405: ("CMN-405", "Method is not allowed")}
    code, message = known.get(error.status_code, ("CMN-100", error.detail))
    return _as_answer(ApiError(error.status_code, code, message, headers=error.headers))


async def _failed(request: Request, error: Exception) -> Response:
    log.error("rest.failed", path=request.url.path, reason=str(error), kind=type(error).__name__)
    return _as_answer(ApiError(500, "CMN-203", "Internal Server Error: the service's log says why"))
