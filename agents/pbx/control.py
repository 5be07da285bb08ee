"""The control API: HTTP on loopback, for whoever can read ``control.json`` (mode 0600) in the directory.

``GET /bindings/{extension}`` · ``POST /bindings/{extension}/{instance}/expire`` · ``GET /flows`` ·
``POST /flows/{flow}/drop`` · ``GET, POST, DELETE /faults`` · ``DELETE /faults/{id}`` · ``POST /restart`` ·
``GET /calls`` · ``POST /robots/call`` · ``GET /robots`` ·
``GET /robots/{id}[?until=STATE&timeout=SECONDS]`` · ``POST /robots/{id}/hangup``. Answers are JSON, see
:mod:`.views`; an error is ``{"error": text}`` with 400, 401, 404, 405 or 409.
"""

import hmac
import secrets
from typing import Protocol, TypeVar, get_args

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import ActionRefused, ConfigError, SharedlineError
from shared.files import write_private
from shared.log import log

from .fault_orders import AnyOrder, FaultView, Restart, read_order
from .settings import SimulatorSettings
from .views import BindingView, CallView, ControlFile, FlowView, RobotCall, RobotState, RobotView
from .web import BadBody, HttpPort, read_body
from .web import json_answer as _json

T = TypeVar("T")

_LONGEST_WAIT = 300.0


class Controlled(Protocol):
    """What can be seen and done.

    Methods raise :exc:`ActionRefused` with ``no_such_call``, ``wrong_state`` or ``bad_request``.
    """

    def bindings(self, extension: str) -> list[BindingView]:
        """Return an extension's bindings."""

    def expire(self, extension: str, instance_id: str) -> None:
        """Drop a binding."""

    def flows(self) -> list[FlowView]:
        """Return the open flows."""

    def drop(self, flow: str) -> None:
        """Cut a flow."""

    def faults(self) -> list[FaultView]:
        """Return the faults in force."""

    def set_fault(self, order: AnyOrder) -> FaultView:
        """Begin a fault."""

    def clear_fault(self, fault: str) -> None:
        """End a fault."""

    def clear_faults(self) -> None:
        """End all faults."""

    async def restart(self, order: Restart) -> None:
        """Restart in place."""

    def calls(self) -> list[CallView]:
        """Return the calls."""

    def robots(self) -> list[RobotView]:
        """Return the robots."""

    def robot(self, robot: str) -> RobotView:
        """Return one robot."""

    async def robot_until(self, robot: str, state: RobotState, within: float) -> RobotView:
        """Return a robot once it is in ``state`` or past it, or time is up."""

    async def robot_call(self, order: RobotCall) -> str:
        """Let a robot call; return its id."""

    async def robot_hangup(self, robot: str) -> None:
        """Let a robot hang up."""


class ControlServer:
    """Listens at once; answers when :meth:`start` has been awaited."""

    def __init__(self, settings: SimulatorSettings, service: Controlled) -> None:
        self._service = service
        self._token = secrets.token_urlsafe(32)
        self._file = settings.directory / "control.json"
        self._is_written = False
        self._http = HttpPort("127.0.0.1", settings.control_port, purpose="control")
        self.port = self._http.port

    async def start(self) -> None:
        """Serve, and write ``control.json``.

        Raises:
            ConfigError: If the directory cannot be written.
        """
        file = ControlFile(url=f"http://127.0.0.1:{self.port}", token=self._token)
        try:
            write_private(self._file, msgspec.json.encode(file) + b"\n")
        except OSError as exc:
            raise ConfigError(f"cannot write {self._file}: {exc.strerror or exc}") from exc
        self._is_written = True
        self._http.start(make_app(self._service, self._token))

    async def close(self) -> None:
        """Stop, and remove ``control.json``."""
        if self._is_written:
            self._file.unlink(missing_ok=True)
        await self._http.close()


def make_app(service: Controlled, token: str) -> Starlette:
    """Return the ASGI application. Every request needs ``Authorization: Bearer`` with ``token``."""
    api = _Api(service)
    return Starlette(
        routes=[
            Route("/bindings/{extension}", api.bindings),
            Route("/bindings/{extension}/{instance:path}/expire", api.expire, methods=["POST"]),
            Route("/flows", api.flows),
            Route("/flows/{flow}/drop", api.drop, methods=["POST"]),
            Route("/faults", api.faults),
            Route("/faults", api.set_fault, methods=["POST"]),
            Route("/faults", api.clear_faults, methods=["DELETE"]),
            Route("/faults/{fault}", api.clear_fault, methods=["DELETE"]),
            Route("/restart", api.restart, methods=["POST"]),
            Route("/calls", api.calls),
            Route("/robots", api.robots),
            Route("/robots/call", api.call, methods=["POST"]),
            Route("/robots/{robot}", api.robot),
            Route("/robots/{robot}/hangup", api.hang_up, methods=["POST"]),
        ],
        middleware=[
            # A web page that made its name resolve to loopback still sends that name.
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(_Bearer, token=token),
        ],
        exception_handlers={
            SharedlineError: _refused,
            BadBody: _bad_body,
            HTTPException: _no_such_path,
            Exception: _failed,
        },
    )


class _Bearer:
    """Lets pass who knows the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] == "http" and hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
        else:
            await _json({"error": "the token of control.json is needed"}, status=401)(scope, receive, send)


class _Api:
    def __init__(self, service: Controlled) -> None:
        self._service = service

    async def bindings(self, request: Request) -> Response:
        return _json(self._service.bindings(request.path_params["extension"]))

    async def expire(self, request: Request) -> Response:
        self._service.expire(request.path_params["extension"], request.path_params["instance"])
        return _json({})

    async def flows(self, _request: Request) -> Response:
        return _json(self._service.flows())

    async def drop(self, request: Request) -> Response:
        self._service.drop(request.path_params["flow"])
        return _json({})

    async def faults(self, _request: Request) -> Response:
        return _json(self._service.faults())

    async def set_fault(self, request: Request) -> Response:
        return _json(self._service.set_fault(read_order(await read_body(request))), status=201)

    async def clear_fault(self, request: Request) -> Response:
        self._service.clear_fault(request.path_params["fault"])
        return _json({})

    async def clear_faults(self, _request: Request) -> Response:
        self._service.clear_faults()
        return _json({})

    async def restart(self, request: Request) -> Response:
        await self._service.restart(_decode(await read_body(request) or b"{}", Restart))
        return _json({})

    async def calls(self, _request: Request) -> Response:
        return _json(self._service.calls())

    async def robots(self, _request: Request) -> Response:
        return _json(self._service.robots())

    async def robot(self, request: Request) -> Response:
        name, until = request.path_params["robot"], request.query_params.get("until")
        if until is None:
            return _json(self._service.robot(name))
        if until not in get_args(RobotState):
            raise ActionRefused("bad_request", f"until must be one of {', '.join(get_args(RobotState))}")
        timeout = _seconds(request.query_params.get("timeout", "30"))
        return _json(await self._service.robot_until(name, until, timeout))  # type: ignore[arg-type]  # checked

    async def call(self, request: Request) -> Response:
        order = _decode(await read_body(request), RobotCall)
        return _json({"call": await self._service.robot_call(order)}, status=201)

    async def hang_up(self, request: Request) -> Response:
        await self._service.robot_hangup(request.path_params["robot"])
        return _json({})


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ActionRefused("bad_request", f"the body is no {kind.__name__}: {exc}") from exc


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _LONGEST_WAIT:
        raise ActionRefused("bad_request", f"timeout must be a number of seconds up to {_LONGEST_WAIT:g}")
    return value


_STATUS = {"no_such_call": 404, "wrong_state": 409, "far_end": 409}


async def _refused(_request: Request, error: Exception) -> Response:
    status = _STATUS.get(error.code, 400) if isinstance(error, ActionRefused) else 400
    return _json({"error": str(error)}, status=status)


async def _no_such_path(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}: {error.detail.lower()}"
    return _json({"error": what}, status=error.status_code, headers=dict(error.headers or {}))


async def _bad_body(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BadBody)
    return _json({"error": error.message}, status=error.status, headers={"Connection": "close"})


async def _failed(request: Request, error: Exception) -> Response:
    log.error("control.failed", path=request.url.path, reason=str(error), kind=type(error).__name__)
    return _json({"error": "the service failed; its log says why"}, status=500)
