"""The simulated service as a whole: its parts joined, in one event loop.

::

    async with Simulator(SimulatorSettings(directory=Path("sim"))) as simulator:
        print(simulator.wss_port, simulator.account_path("101"))

Everything that happens comes in by :mod:`.reception`, or by one of the small methods of :class:`Simulator`,
and is done before the next: there are no locks and no queues but those of the connections.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from agents.media.loading import preload
from shared.log import log

from .accounts import NumberPlan, account_path, make_subscribers, prepare, write_accounts
from .authority import server_context
from .calls import Call
from .chance import Chance
from .claim import Claim
from .conferences import Conferences
from .desk import Desk
from .devices import Devices
from .dialect import Caller, CallName
from .faults import Faults
from .gate import Gate, Refusal
from .ledger import Entry, Ledger
from .legs import Leg
from .media.tones import make_all
from .pace import Cancel, Pace
from .phone_leg import PhoneLeg
from .phonebook import PhoneBook
from .phones import Phone
from .reception import Reception
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
        self._chance = Chance()
        self.gate = Gate(settings.domain, self._password_of, self._chance.new_nonce, settings.nonce_time)
        limits = Limits(settings.expiry, settings.min_expiry, settings.max_instances)
        self.registrar = Registrar(settings.domain, self.plan, self.gate, self.new_id, limits)
        self.reception = Reception(self)
        context = server_context(settings.directory, host=settings.host)
        self.server = FlowServer(settings, context, self.reception)
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
        self._is_started = False
        self._warming: asyncio.Task[None] | None = None

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
        try:
            await self._open()
        except BaseException:
            await self.stop()
            raise
        # The first call should not wait for imports, nor should listening.
        self._warming = asyncio.create_task(asyncio.to_thread(_warm), name="simulator")

    async def _open(self) -> None:
        from .control import ControlServer

        self.control = ControlServer(self.settings, self.desk)
        self.server.start()
        write_accounts(self.settings, self.plan.subscribers.values(), wss_port=self.wss_port)
        if self.settings.rest_port is not None:
            from .rest.server import RestServer

            self.rest = RestServer(self, self.settings.rest_port)
            self.rest.start()
        await self.control.start()
        self.ledger.record("SERVICE_STARTED", number=str(self.wss_port))
        self._is_started = True

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
        await self.warmed()
        if self._is_started:
            self.ledger.record("SERVICE_STOPPED")
        self.ledger.close()
        self._claim.release()

    async def warmed(self) -> None:
        """Return when all is loaded that calls need."""
        if self._warming is not None:
            await self._warming

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

    # -- what phones and calls ask for

    def now(self) -> float:
        """Return seconds of the service's own clock."""
        return self.pace.now()

    def new_id(self) -> str:
        """Return 32 hexadecimal digits that nobody can guess."""
        return self._chance.new_id()

    def is_registered(self, flow: str) -> bool:
        """Return whether somebody is registered on a flow."""
        self.registrar.tick(self.now())
        return self.registrar.identity(flow) is not None

    def drain_registrar(self) -> None:
        """Do what the registrar wants done."""
        self.reception.drain()

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

    def live_calls(self) -> list[Call]:
        """Return the calls that are ringing or answered, oldest first."""
        return list(self._calls.values())


def _warm() -> None:
    """Load and make what sound needs."""
    try:
        preload()
        from .media import line
    except Exception as exc:
        log.warning("service.import_failed", reason=str(exc))
    else:
        make_all()
        log.debug("service.warmed", loaded=line.__name__)
