"""The control API of a running service, for demonstrations and tests in other processes."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from shared.errors import ActionRefused, ConfigError, MessageError, ServiceUnreachable

from .fault_orders import AnyOrder, FaultView, Restart
from .views import BindingView, CallView, ControlFile, FlowView, RobotCall, RobotState, RobotView

T = TypeVar("T")


class ControlClient:
    """Asks and commands the service. Use it with ``async with``, or call :meth:`close`.

    Methods raise :exc:`ActionRefused` where the service says no, and :exc:`ServiceUnreachable` where it says
    nothing.
    """

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        # trust_env: a proxy of this machine's has no business with loopback.
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=10.0, trust_env=False)

    @classmethod
    def from_directory(cls, directory: Path | str) -> Self:
        """Connect to the service that runs in ``directory``.

        Raises:
            ConfigError: If there is none, or its ``control.json`` cannot be read.
        """
        path = Path(directory) / "control.json"
        try:
            file = msgspec.json.decode(path.read_bytes(), type=ControlFile)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise ConfigError(f"no simulated service in {directory}: cannot read {path} ({exc})") from exc
        return cls(file.url, file.token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection to the service."""
        await self._http.aclose()

    async def bindings(self, extension: str) -> list[BindingView]:
        """Return the bindings of an extension, oldest first, unreachable ones included."""
        return await self._ask("GET", f"/bindings/{_part(extension)}", list[BindingView])

    async def expire(self, extension: str, instance_id: str) -> None:
        """Drop a binding as if its time were over; the phone is not told."""
        await self._ask("POST", f"/bindings/{_part(extension)}/{_part(instance_id)}/expire", dict[str, Any])

    async def flows(self) -> list[FlowView]:
        """Return the open WebSockets."""
        return await self._ask("GET", "/flows", list[FlowView])

    async def drop(self, flow: str) -> None:
        """Cut a WebSocket without a word."""
        await self._ask("POST", f"/flows/{_part(flow)}/drop", dict[str, Any])

    async def faults(self) -> list[FaultView]:
        """Return the faults in force, oldest first."""
        return await self._ask("GET", "/faults", list[FaultView])

    async def set_fault(self, order: AnyOrder) -> FaultView:
        """Begin a fault, see :mod:`.fault_orders`; it ends by itself, or by :meth:`clear_fault`."""
        return await self._ask("POST", "/faults", FaultView, body=msgspec.json.encode(order))

    async def clear_fault(self, fault: str) -> None:
        """End a fault, by its id."""
        await self._ask("DELETE", f"/faults/{_part(fault)}", dict[str, Any])

    async def clear_faults(self) -> None:
        """End all faults."""
        await self._ask("DELETE", "/faults", dict[str, Any])

    async def restart(self, *, forget: bool = True, down: float = 0.0) -> None:
        """Restart the service in place, and return when it listens again.

        All connections are cut; with ``forget`` bindings, calls and dialogs are gone, too. ``down`` seconds,
        60 at most, pass without new connections.
        """
        body = msgspec.json.encode(Restart(forget=forget, down=down))
        await self._ask("POST", "/restart", dict[str, Any], body=body, patience=down + 10)

    async def calls(self) -> list[CallView]:
        """Return the calls that are ringing or answered."""
        return await self._ask("GET", "/calls", list[CallView])

    async def call(
        self,
        to: str,
        *,
        caller: str = "16505550123",
        name: str = "ROBOT",
        play: Path | str | None = None,
        answer_after: int | None = None,
    ) -> RobotView:
        """Let a robot call ``to``; it plays the WAV file ``play``, else the shipped greeting.

        ``answer_after``: phones are to answer by themselves, after so many milliseconds.
        """
        body = RobotCall(
            to=to,
            from_=caller,
            name=name,
            play=None if play is None else str(play),
            answer_after=answer_after,
        )
        made = await self._ask("POST", "/robots/call", dict[str, str], body=msgspec.json.encode(body))
        return await self.robot(made["call"])

    async def robots(self) -> list[RobotView]:
        """Return the robots of current calls and of the latest ended ones, oldest first."""
        return await self._ask("GET", "/robots", list[RobotView])

    async def robot(self, robot: str, *, until: RobotState | None = None, within: float = 30.0) -> RobotView:
        """Return a robot; with ``until``, once it has come to that state or past it.

        At the latest ``within`` seconds from now, whatever its state.
        """
        query = {} if until is None else {"until": until, "timeout": str(within)}
        return await self._ask(
            "GET", f"/robots/{_part(robot)}", RobotView, params=query, patience=within + 10
        )

    async def hang_up(self, robot: str) -> None:
        """Let a robot hang up. Refused with ``wrong_state`` if its call has ended."""
        await self._ask("POST", f"/robots/{_part(robot)}/hangup", dict[str, Any])

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        body: bytes | None = None,
        params: dict[str, str] | None = None,
        patience: float = 10.0,
    ) -> T:
        try:
            answer = await self._http.request(
                method, path, content=body, params=params or {}, timeout=patience
            )
        except httpx.HTTPError as exc:
            raise ServiceUnreachable(
                f"the simulated service does not answer: {str(exc) or type(exc).__name__}"
            ) from exc
        if answer.is_error:
            raise _refusal(answer)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.DecodeError as exc:
            raise MessageError(f"the simulated service's answer to {method} {path}: {exc}") from exc


def _part(text: str) -> str:
    return quote(text, safe="")


def _refusal(answer: httpx.Response) -> ActionRefused:
    try:
        message = msgspec.json.decode(answer.content, type=dict[str, str])["error"]
    except (msgspec.DecodeError, KeyError):
        message = answer.reason_phrase
    match answer.status_code:
        case 401 | 403:
            return ActionRefused("not_allowed", message)
        case 404:
            return ActionRefused("no_such_call", message)
        case 409:
            return ActionRefused("wrong_state", message)
        case _:
            return ActionRefused("bad_request", message)
