"""The simulated service as a whole: its parts joined, in one event loop.

::

    async with Simulator(SimulatorSettings(directory=Path("sim"))) as simulator:
        print(simulator.wss_port, simulator.account_path("101"))

Everything that happens comes in by one of the small methods of :class:`Simulator` and is done before the
next: there are no locks and no queues but those of the connections.
"""

import asyncio
import importlib
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import structlog

from agents.sip.message import Message, Request, make_response
from agents.sip.refusal import refuse
from shared.errors import ConfigError, SharedlineError, SipError

from . import registrar as registration
from .accounts import NumberPlan, account_path, make_subscribers, prepare, write_accounts
from .authority import server_context
from .calls import Call
from .claim import Claim
from .conferences import Conferences
from .desk import Desk
from .devices import Devices
from .dialect import Caller, CallName, has_to_tag
from .faults import Faults
from .gate import Gate, Refusal
from .ledger import Entry, Ledger
from .legs import Leg
from .pace import Cancel, Pace
from .phone_leg import PhoneLeg
from .phonebook import PhoneBook
from .phones import Phone
from .registrar import Limits, Registrar
from .replacing import Replacing
from .restarts import Restarts
from .robots import Robots, Stage
from .server import FlowServer
from .settings import SimulatorSettings
from .supervision import Supervision
from .transfers import Transfers

if TYPE_CHECKING:
    from .control import ControlServer
    from .rest.server import RestServer

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Simulator:
    """One running service. Use it with ``async with``, or :meth:`start` and :meth:`stop`."""

    def __init__(self, settings: SimulatorSettings) -> None:
        settings = replace(settings, directory=settings.directory.absolute())
        self.settings = settings
        self.domain, self.flow_grace = settings.domain, settings.flow_grace
        prepare(settings.directory)
        self._claim = Claim(settings.directory)
        self.ledger = Ledger(settings.directory / "ledger.ndjson")
        subscribers = make_subscribers(settings)
        self.plan = NumberPlan(subscribers, main_number=settings.main_number, queues=settings.queues)
        self.devices = Devices(settings.directory, self.plan)
        self.gate = Gate(
            settings.domain, self._password_of, lambda: secrets.token_urlsafe(24), settings.nonce_time
        )
        limits = Limits(settings.expiry, settings.min_expiry, settings.max_instances)
        self.registrar = Registrar(settings.domain, self.plan, self.gate, self.new_id, limits)
        self.server = FlowServer(settings, server_context(settings.directory, host=settings.host), self)
        stage = Stage(settings, self.ledger)
        self.board, self.recorders, self.robots = stage.board, stage.recorders, Robots(stage)
        self.transfers, self.conferences = Transfers(self), Conferences(self)
        self.specials = (Replacing(self), self.transfers, self.conferences, Supervision(self))
        self.desk = Desk(self)
        self.control: ControlServer | None = None
        self.rest: RestServer | None = None
        self.faults, self.restarts = Faults(self), Restarts(self)
        self.pace = Pace()
        self.phones = PhoneBook(self, self.pace)
        self._calls: dict[str, Call] = {}
        self._call_count = 0
        self._tasks: set[asyncio.Task[None]] = set()

    # -- its life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, then write the account files and ``control.json``.

        Raises:
            ConfigError: If a port is taken or the directory cannot be written.
        """
        from .control import ControlServer

        try:
            self.control = ControlServer(self.settings, self.desk)
            self.server.start()
        except ConfigError:
            if self.control is not None:
                await self.control.close()
            self.ledger.close()
            self._claim.release()
            raise
        write_accounts(self.settings, self.plan.subscribers.values(), wss_port=self.wss_port)
        await self._start_rest()
        await self.control.start()
        self.ledger.record("SERVICE_STARTED", number=str(self.wss_port))
        # A robot's first call should not wait for imports, nor should listening.
        self._spawn(asyncio.to_thread(importlib.import_module, "agents.pbx.media.line"))

    async def stop(self) -> None:
        """End calls, robots and connections, and finish their files."""
        self.restarts.close()
        self.faults.clear_all()
        for call in list(self._calls.values()):
            call.hang_up("service stopped")
        self.phones.pump()
        await self.transfers.close()
        await self.robots.close()
        await self.board.close()
        await self.server.close()
        for http in (self.control, self.rest):
            if http is not None:
                await http.close()
        self.phones.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.ledger.record("SERVICE_STOPPED")
        self.ledger.close()
        self._claim.release()

    async def _start_rest(self) -> None:
        if self.settings.rest_port is None:
            return
        from .rest.server import RestServer

        try:
            self.rest = RestServer(self, self.settings.rest_port)
            self.rest.start()
        except ConfigError:
            await self.stop()
            raise

    @property
    def wss_port(self) -> int:
        """The port of the WebSockets."""
        return self.server.port

    @property
    def address(self) -> str:
        """Host and port of the WebSockets."""
        return f"{self.settings.host}:{self.wss_port}"

    @property
    def control_port(self) -> int:
        """The port of the control API, on 127.0.0.1."""
        return self.control.port if self.control is not None else 0

    def account_path(self, extension: str) -> Path:
        """Return the account file of an extension."""
        return account_path(self.settings.directory, self.plan.subscribers[extension].extension)

    async def wait_for(self, matches: Callable[[Entry], bool], *, within: float = 10.0) -> Entry:
        """Return the first ledger entry that matches, old ones included.

        Raises:
            TimeoutError: If there is none after ``within`` seconds.
        """
        found: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()

        def look(entry: Entry) -> None:
            if not found.done() and matches(entry):
                found.set_result(entry)

        unsubscribe = self.ledger.subscribe(look)
        try:
            for entry in self.ledger.entries():
                look(entry)
            async with asyncio.timeout(within):
                return await found
        finally:
            unsubscribe()

    # -- what the connections tell

    def flow_opened(self, flow: str) -> None:
        """Note a new connection."""
        self.faults.flow_opened(flow)
        self.ledger.record("FLOW_OPENED", flow=flow)

    def flow_closed(self, flow: str, reason: str) -> None:
        """Let its bindings be unreachable and its calls adrift."""
        phone = self.phones.at(flow)
        who = self._who(flow)
        facts = {} if phone is None else phone.facts(flow) | who | self.registrar.counts(phone.extension)
        self.registrar.flow_closed(flow, self.now())
        if phone is not None:
            facts |= self.registrar.counts(phone.extension)
        self.ledger.record("FLOW_CLOSED", **({"flow": flow, "reason": reason} | facts))
        self.drain_registrar()
        self.phones.flow_closed(flow)
        self.faults.flow_closed(flow)

    def _who(self, flow: str) -> dict[str, Any]:
        """Return who is registered on a flow, for a ledger entry."""
        who = self.registrar.identity(flow)
        if who is None:
            return {}
        return {"extension": who.extension, "instance_id": who.instance_id, "via_host": who.via_host}

    def flow_refused(self, reason: str, count: int) -> None:
        """Note connections that did not become WebSockets."""
        self.ledger.record("FLOW_REFUSED", reason=reason, count=count if count > 1 else None)

    def bad_frame(self, flow: str, reason: str) -> None:
        """Note what is not SIP."""
        self.ledger.record("BAD_FRAME", reason=reason, **({"flow": flow} | self._who(flow)))

    def is_registered(self, flow: str) -> bool:
        """Return whether somebody is registered on a flow."""
        self.registrar.tick(self.now())
        return self.registrar.identity(flow) is not None

    def message_received(self, flow: str, message: Message) -> None:
        """Take a SIP message. What goes wrong with it stays with it."""
        try:
            self._take(flow, message)
        except SipError as exc:
            log.warning("flow.bad_message", flow=flow, reason=exc.reason)
            self.bad_frame(flow, exc.reason)
            self._answer_badly(flow, message, exc.reason)
        except SharedlineError as exc:
            log.warning("flow.message_failed", flow=flow, reason=str(exc))
        except Exception:
            log.exception("flow.message_crashed", flow=flow)
        self.drain_registrar()
        self.phones.pump()

    # -- what phones and calls ask for

    def now(self) -> float:
        """Return seconds of the service's own clock."""
        return self.pace.now()

    def new_id(self) -> str:
        """Return 32 hexadecimal digits that nobody can guess."""
        return secrets.token_hex(16)

    def send(self, flow: str, text: str) -> bool:
        """Post a frame; False if the flow is closed."""
        return self.server.send(flow, text)

    def record(self, event: str, **facts: Any) -> Entry:
        """Write a ledger entry."""
        return self.ledger.record(event, **facts)

    def refusal(self, method: str, extension: str | None, flow: str, call_id: str) -> Refusal | None:
        """Return how a request must be refused, because of a fault."""
        return self.faults.refusal(method, extension, flow, call_id)

    def changed(self, phone: Phone) -> None:
        """Drain a phone's effects soon."""
        self.phones.changed(phone)

    def later(self, delay: float, action: Callable[[], None]) -> Cancel:
        """Do ``action`` in ``delay`` seconds of the service's clock, unless cancelled."""
        return self.pace.later(delay, action)

    def place(
        self, caller: Leg, dialled: str, who: Caller, name: CallName, *, answer_after: int | None = None
    ) -> Call:
        """Start a call. ``answer_after``: called phones are to answer by themselves, after milliseconds."""
        queue = self.plan.queue(self.plan.route(dialled).number)
        who = replace(who, queue=queue.name if queue is not None else "", answer_after=answer_after)
        call = self.make_call(caller, who, name)
        call.start(dialled)
        return call

    def make_call(self, caller: Leg, who: Caller, name: CallName) -> Call:
        """Return a new call that is neither started nor joined."""
        self._call_count += 1
        call = Call(self, f"c{self._call_count}", name, caller, who)
        self._calls[call.call] = call
        return call

    def legs_of(self, extension: str) -> list[PhoneLeg]:
        """Return what the phones of an extension have of calls."""
        return self.phones.legs_of(extension)

    def call_over(self, call: Call) -> None:
        """Forget a call."""
        self._calls.pop(call.call, None)

    def reachable(self, extension: str) -> list[Phone]:
        """Return the phones of an extension, or of a queue's members, that can be called now."""
        members = self.plan.members(extension)
        return [phone for member in members for phone in self.phones.reachable(member)]

    def unreachable(self, extension: str) -> set[str]:
        """Return the registered instances whose connection is gone."""
        return {
            instance
            for member in self.plan.members(extension)
            for instance in self.phones.unreachable(member)
        }

    # -- the parts

    def _password_of(self, authorization_id: str) -> str | None:
        subscriber = self.plan.by_authorization_id(authorization_id)
        return subscriber.password if subscriber else None

    def _take(self, flow: str, message: Message) -> None:
        if isinstance(message, Request) and message.method == "REGISTER":
            self._register(flow, message)
        elif phone := self.phones.at(flow):
            phone.receive(flow, message)
        elif isinstance(message, Request):
            self._turn_away(flow, message)

    def _register(self, flow: str, request: Request) -> None:
        claimed = self.plan.by_username(request.to.uri.user or "")
        extension = claimed.extension.number if claimed else None
        refusal = self.refusal("REGISTER", extension, flow, request.call_id)
        self.registrar.register(request, flow, self.now(), refusal=refusal)

    def _answer_badly(self, flow: str, message: Message, reason: str) -> None:
        """Answer 400 where nobody else has: a phone's sessions do so themselves."""
        by_sessions = self.phones.at(flow) and isinstance(message, Request) and message.method != "REGISTER"
        answer = None if by_sessions else refuse(message.encode(), SipError(reason))
        if answer is not None:
            self.send(flow, answer.encode())

    def _turn_away(self, flow: str, request: Request) -> None:
        """Answer who has not registered: nothing but REGISTER is for strangers."""
        facts = {"flow": flow, "call_id": request.call_id, "cseq": request.cseq.number}
        self.ledger.record(request.method, direction="in", via_host=request.via.sent_by, **facts)
        if request.method == "ACK":
            return
        status = 481 if request.method in ("BYE", "CANCEL") or has_to_tag(request) else 403
        response = make_response(request, status, to_tag=self.new_id())
        facts |= {"method": request.method, "status": status, "reason": response.reason}
        self.ledger.record("RESPONSE", direction="out", **facts)
        self.send(flow, response.encode())

    def live_calls(self) -> list[Call]:
        """Return the calls that are ringing or answered, oldest first."""
        return list(self._calls.values())

    def drain_registrar(self) -> None:
        """Do what the registrar wants done."""
        for effect in self.registrar.effects():
            if isinstance(effect, registration.Reply):
                self.send(effect.flow, effect.response.encode())
            elif isinstance(effect, registration.Note):
                self.ledger.record(effect.event, **effect.facts)
            else:
                self._reached(effect.binding)

    def _reached(self, binding: registration.Binding) -> None:
        self.server.know(binding.flow)
        phone = self.phones.reached(binding)
        for call in list(self._calls.values()):
            call.phone_reached(phone)

    def _spawn(self, work: Any) -> None:
        async def run() -> None:
            try:
                await work
            except Exception as exc:
                log.warning("service.import_failed", reason=str(exc))

        task = asyncio.create_task(run(), name="simulator")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
