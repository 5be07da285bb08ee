"""The WebSocket port of the service: TLS, subprotocol ``sip``, one SIP message a text frame (RFC 7118).

A thin shell. Each connection is a *flow* with a name; its frames are read one after another and handed on as
messages. What is not SIP is answered or the flow is closed, with one log line, and nobody else notices.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol

from agents.sip.message import Message, parse
from agents.sip.refusal import refuse
from shared.clock import monotonic
from shared.errors import SipError
from shared.log import log

from .connection import Connection, House
from .door import Door
from .flow import Flow
from .refusals import Refusals
from .settings import SimulatorSettings

_KEEPALIVE = "\r\n\r\n"


class FlowUser(Protocol):
    """Who is told what the flows do. All are called on the event loop, one at a time."""

    def flow_opened(self, flow: str) -> None:
        """A WebSocket was opened."""

    def flow_closed(self, flow: str, reason: str) -> None:
        """It was closed, by whomever."""

    def flow_refused(self, reason: str, count: int) -> None:
        """So many connections did not become WebSockets."""

    def message_received(self, flow: str, message: Message) -> None:
        """A SIP message came."""

    def bad_frame(self, flow: str, reason: str) -> None:
        """Something came that is no SIP message."""

    def is_registered(self, flow: str) -> bool:
        """Return whether somebody is registered on it."""


class FlowServer:
    """Listens, and keeps the open flows by name. Make it on the event loop."""

    def __init__(self, settings: SimulatorSettings, context: ssl.SSLContext, user: FlowUser) -> None:
        self._settings, self._user = settings, user
        self.refusals = Refusals(user.flow_refused)
        self._house = House(settings, self._opened, self.refusals.note)
        self.door = Door(settings, context, self._make, self.refusals.note)
        self._count = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self.flows: dict[str, Flow] = {}

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before :meth:`start`."""
        return self.door.port

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: If the port is taken or the address is not ours.
        """
        self.door.open(self._settings.wss_port)
        self._sweep()

    async def close(self) -> None:
        """Close all flows (status 1001) and the port."""
        self._house.is_closing = True
        self.door.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.gather(*(flow.finish(1001, "service stopped") for flow in list(self.flows.values())))
        await self._wait_closed()
        self.refusals.flush()

    async def crash(self) -> None:
        """Cut all flows, and listen no more until ``door`` is opened again."""
        self.door.close()
        for flow in list(self.flows.values()):
            flow.abort()
        await self._wait_closed()

    def _sweep(self) -> None:
        """Close the connections that are silent for too long, and on which nobody is registered."""
        late = monotonic() - self._settings.idle_time
        for flow in list(self.flows.values()):
            is_idle = flow.heard_at <= late and not (flow.is_frozen or flow.is_closing)
            if is_idle and not self._user.is_registered(flow.name):
                log.info("flow.idle", flow=flow.name)
                flow.close(1000, "idle")
        self._sweeper = asyncio.get_running_loop().call_later(self._settings.idle_time / 4, self._sweep)

    def send(self, flow: str, text: str) -> bool:
        """Post a frame; False if the flow is closed."""
        if flow not in self.flows:
            return False
        self.flows[flow].send(text)
        return True

    def know(self, flow: str) -> None:
        """Take that somebody is registered on a flow: it counts as a stranger's no more."""
        if flow in self.flows:
            self.flows[flow].connection.is_known = True

    def _make(self, lost: Callable[[], None]) -> Connection:
        return Connection(self._house, lost)

    async def _wait_closed(self) -> None:
        await self.door.drop_strangers()
        await self._house.empty()

    def _opened(self, connection: Connection) -> Flow | None:
        if len(self.flows) >= self._settings.max_connections:
            self.refusals.note("too many connections")
            connection.close(1013, "too many connections")
            return None
        self._count += 1
        flow = Flow(f"f{self._count}", connection, self)
        self.flows[flow.name] = flow
        self._user.flow_opened(flow.name)
        return flow

    # -- what the flows tell

    def frame_received(self, flow: Flow, text: str | None) -> None:
        """Take a frame."""
        if text is None:
            self._reject(flow, "binary frame", code=1003)
        elif text == _KEEPALIVE:
            flow.send("\r\n")  # RFC 5626 §3.5.1: only for who asks
        else:
            self._take(flow, text)

    def flow_lost(self, flow: Flow, *, is_broken: bool) -> None:
        """Forget a flow."""
        del self.flows[flow.name]
        if is_broken:
            self._reject(flow, flow.closed_because, code=None)
        self._user.flow_closed(flow.name, flow.closed_because)

    def _take(self, flow: Flow, frame: str) -> None:
        try:
            message = parse(frame)
        except SipError as exc:
            answer = refuse(frame, exc)
            if answer is not None:
                flow.send(answer.encode())
            self._reject(flow, exc.reason, code=None if answer is not None else 1002)
            return
        self._user.message_received(flow.name, message)

    def _reject(self, flow: Flow, reason: str, *, code: int | None) -> None:
        log.warning("flow.bad_frame", flow=flow.name, reason=reason)
        self._user.bad_frame(flow.name, reason)
        if code is not None:
            flow.close(code, reason[:100])
