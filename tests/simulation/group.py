"""The processes of one group, as :mod:`coordinator.membership` wires them, on simulated machines."""

import asyncio
import random
import secrets
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from functools import partial
from types import ModuleType
from typing import Any
from unittest.mock import patch

import structlog

import agents.real.agent
import agents.real.line
import agents.real.office
import coordinator.keeper.keeper
from agents.bus import ActionClient
from coordinator.membership import Membership
from shared import clock, ids
from shared.config import Settings
from shared.election import Holder
from shared.errors import ActionRefused, OutcomeUnknown, SharedlineError
from shared.messages import (
    Action,
    Answer,
    CallState,
    Dial,
    Direction,
    FromLeader,
    Hangup,
    Hold,
    HostAttach,
    MakeAnswer,
    MakeOffer,
    MediaDone,
    Unhold,
    Window,
)
from shared.trace import Line, Trace
from tests.fakes import HOST_ANSWER, HOST_OFFER, account

from .lease import LeaseRoom, RoomLease
from .service import Service
from .wires import Weather, Wires
from .world import Machine, World

SETTINGS: dict[str, Any] = {
    "runtime_dir": "/nonexistent/run",
    "state_dir": "/nonexistent/state",
    "action_time": 2.0,
    "ended_calls_time": 3.0,
}


class MemoryTrace(Trace):
    """A trace that stays in memory."""

    def __init__(self, world: World, machine: Machine | None, instance: str) -> None:
        super().__init__(None, instance)
        self.lines: list[Line] = []
        self._world, self._machine = world, machine

    @property
    def is_on(self) -> bool:
        """Whether the process lives."""
        return self._machine is None or self._machine.is_alive

    def write(self, event: str, **facts: Any) -> None:
        """Keep a line."""
        if self.is_on:
            self.lines.append(Line(boottime=self._world.now, event=event, instance=self._instance, **facts))


class Group:
    """Everything of one run."""

    def __init__(self, seed: int, weather: Weather) -> None:
        self.world = World(seed)
        self.wires = Wires(self.world, weather)
        self.room, self.service = LeaseRoom(), Service(self.world)
        self.members: list[Member] = []
        self.trouble = MemoryTrace(self.world, None, "")
        self.world.note = self.trouble.write
        self.settings = Settings(**SETTINGS)

    def start(self, *, media: bool, candidate: bool = True) -> "Member":
        """Start one more process."""
        member = Member(self, f"w{len(self.members)}", media=media, candidate=candidate)
        self.members.append(member)
        return member

    @property
    def living(self) -> list["Member"]:
        """The processes that are neither dead nor stopped."""
        return [m for m in self.members if m.machine.is_alive and not m.machine.is_stopped]

    @property
    def leader(self) -> "Member | None":
        """Whoever holds the lease, dead or alive."""
        file = self.room.files.get(self.room.newest)
        return next((m for m in self.members if file and m.instance == file.holder.instance), None)


class Member:
    """One process: window, candidacy, media host, and a program that asks for things."""

    def __init__(self, group: Group, instance: str, *, media: bool, candidate: bool) -> None:
        self.group, self.instance, self.media = group, instance, media
        self.machine = Machine(group.world, pid=100 + len(group.members))
        self.trace = MemoryTrace(group.world, self.machine, instance)
        self.window = Window(
            instance=instance, name=instance, pid=self.machine.pid, media=media, candidate=candidate
        )
        self._host: ActionClient | None = None
        self._host_epoch = 0
        self.is_leaving = False
        self.machine.loop.call_soon(self._begin)

    def _begin(self) -> None:
        context = self.group.wires.context(self.machine)
        self._context = context
        self.trace.write("JOINED", pid=self.machine.pid)
        lease = RoomLease(self.group.room, self.machine, self.instance)
        self._membership = Membership(
            context,
            self.window,
            lease,
            group="front",
            account=account(),
            sip_instance_id="line",
            settings=self.group.settings,
            trace=self.trace,
            grace=lambda: 0.0,
            followed=self._followed,
            failed=lambda exc: self.group.world.failures.append(repr(exc)),
        )
        self.phone = self._membership.phone

    def _followed(self, holder: Holder) -> None:
        if self.media:
            self.machine.loop.call_soon(self._host_follows, holder)

    # -- what its program does ---------------------------------------------------------------------------

    def act(self) -> None:
        """Ask for something that the calls allow, or for a new call."""
        rng = self.group.world.random
        choices: list[Action] = [Dial(target=f"2{rng.randrange(10)}")] if self.media else []
        for call in self.phone.calls:
            if call.state is CallState.ANSWERED:
                verbs: tuple[type[Hold | Unhold | Hangup], ...] = (Hold, Unhold, Hangup)
                choices += [verb(call_id=call.call_id) for verb in verbs]
            elif call.direction is Direction.INBOUND and self.media:
                choices += [Answer(call_id=call.call_id)] * 3
        if choices:
            self._perform(rng.choice(choices))

    def _perform(self, action: Action) -> None:
        async def perform() -> None:
            try:
                await self.phone.perform(action)
            except (ActionRefused, OutcomeUnknown):
                pass  # the trace tells
            except SharedlineError as exc:
                self.group.world.failures.append(repr(exc))

        self.machine.loop.create_task(perform())

    def leave(self) -> None:
        """Leave politely, and end."""
        self.is_leaving = True

        async def leave() -> None:
            self._membership.close()
            await self._membership.left()
            self.machine.is_alive = False
            for died in self.machine.deaths:
                died()

        self.machine.loop.create_task(leave())

    # -- its media host ----------------------------------------------------------------------------------

    def _host_follows(self, holder: Holder) -> None:
        if self._host is not None:
            self._host.close()
        self._host_epoch = holder.epoch
        self._host = ActionClient(self._context, holder.endpoints.actions, self._host_told)
        self._host_beats(holder.epoch)

    def _host_beats(self, epoch: int) -> None:
        if self._host is not None and epoch == self._host_epoch:
            self._host.send(HostAttach(epoch=epoch, instance=self.instance))
            self.machine.loop.call_later(0.5, self._host_beats, epoch)

    def _host_told(self, message: FromLeader) -> None:
        command_id = getattr(message, "command_id", "")
        if command_id and self._host is not None:
            sdps: dict[type, str] = {MakeOffer: HOST_OFFER, MakeAnswer: HOST_ANSWER}
            sdp = sdps.get(type(message), "")
            self._host.send(MediaDone(epoch=self._host_epoch, command_id=command_id, sdp=sdp))


class _SameThread:
    """What :class:`shared.actor.ActorThread` is where all share one thread."""

    def __init__(self, name: str, main: Callable[[], Any], *, is_small: bool) -> None:
        self._main, self._loop = main, asyncio.get_running_loop()

    def start(self) -> None:
        self._task = self._loop.create_task(self._main())

    def post(self, call: Callable[..., object], *args: object) -> None:
        self._loop.call_soon(call, *args)

    async def stop(self, time: float = 5.0) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class _StillSurroundings:
    """A computer that neither sleeps nor moves."""

    def __init__(self, slept: object, moved: object) -> None:
        pass

    def connected(self, peer: object) -> None:
        pass

    def close(self) -> None:
        pass


@contextmanager
def simulated(group: Group) -> Iterator[None]:
    """Let the product's code meet the simulated world for as long as this lasts."""
    world = group.world

    class Socket:
        @classmethod
        async def connect(cls, _account: Any, **_options: Any) -> Any:
            loop = asyncio.get_running_loop()
            machine = next(m for m in world.machines if m.loop is loop)
            await asyncio.sleep(world.random.uniform(0.005, 0.03))
            return group.service.connect(machine)

    class NoObituary:
        def __init__(self, died: Callable[[str], None]) -> None:
            self._died, self._loop = died, asyncio.get_running_loop()
            self._watched: set[str] = set()

        def watch(self, instance: str, pid: int) -> None:
            machine = next((m for m in world.machines if m.pid == pid), None)
            if machine is not None and instance not in self._watched:
                self._watched.add(instance)
                machine.deaths.append(lambda: world.later(0.001, lambda: self._tell(instance)))

        def _tell(self, instance: str) -> None:
            if instance in self._watched:
                self._loop.call_soon(self._exited, instance)

        def _exited(self, instance: str) -> None:
            if instance in self._watched:
                self._watched.discard(instance)
                self._died(instance)

        def forget(self, instance: str) -> None:
            self._watched.discard(instance)

        def close(self) -> None:
            self._watched.clear()

    def boottime() -> float:
        return world.now

    with ExitStack() as patches:
        for module in _that_read_the_clock():
            patches.enter_context(patch.object(module, "boottime", boottime))
        patches.enter_context(patch.object(agents.real.office, "wall", lambda: 1e9 + world.now))
        patches.enter_context(patch.object(agents.real.agent, "Obituary", NoObituary))
        patches.enter_context(patch.object(agents.real.line, "SipSocket", Socket))
        patches.enter_context(patch.object(agents.real.line, "Surroundings", _StillSurroundings))
        patches.enter_context(patch.object(coordinator.keeper.keeper, "ActorThread", _SameThread))
        for module, name in ((ids, "new_id"), (secrets, "token_hex")):
            patches.enter_context(patch.object(module, name, lambda size: world.random.randbytes(size).hex()))
        state = random.getstate()
        random.seed(world.random.random())
        patches.callback(random.setstate, state)
        before = structlog.get_config()
        patches.callback(lambda: structlog.configure(**before))
        structlog.configure(
            processors=[partial(_complain, world)], wrapper_class=structlog.make_filtering_bound_logger(40)
        )
        yield


def _that_read_the_clock() -> list[ModuleType]:
    """Return the product's modules that have the clock by its name, all that are loaded."""
    return [module for module in sys.modules.values() if getattr(module, "boottime", None) is clock.boottime]


def _complain(world: World, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """Take an error that the product logs for one that it made."""
    error = sys.exc_info()[1]
    world.failures.append(f"{event} {error!r}")
    raise structlog.DropEvent
