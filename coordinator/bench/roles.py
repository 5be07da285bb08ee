"""What a process of the benchmark can be: each role is one message to the crew, and one function here.

Two kinds: ours, as any program would use it, and the bare yardsticks that do the same job with pyzmq or the
kernel alone. All report with one JSON line a fact; ``at`` is CLOCK_BOOTTIME seconds, equal in all processes.
"""

import asyncio
import fcntl
import os
import signal
import struct
from collections.abc import Coroutine
from functools import partial
from typing import Any

import msgspec
import zmq

import agents.real  # noqa: F401 - an heir has it loaded; one that was forked a moment ago would not
from agents.dummy import DummyAgent
from agents.media.loading import preload
from coordinator.node import join
from shared.actor import new_event_loop
from shared.call import Call
from shared.clock import boottime
from shared.config import load_settings
from shared.election import Endpoints, Holder
from shared.messages import Snapshot, Window
from shared.phone import Phone
from shared.replica import Change

#: What precedes the state in a bare publication: its number.
SEQUENCE = struct.Struct("<q")
#: Seconds after which a window reports what it saw: whoever reads that would stand in the way of the others.
_DISCRETION = 0.1
#: What a broker is asked for, to hear the state.
SUBJECT = "state"


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a crew member."""

    name: str
    event: str
    at: float = 0.0
    pid: int = 0
    epoch: int = 0
    began: float = 0.0
    times: dict[int, float] = {}


class Role(msgspec.Struct, frozen=True, kw_only=True, tag_field="role"):
    """Base: ``name`` marks the lines."""

    name: str


class WindowRole(Role, tag="window", frozen=True, kw_only=True):
    """A window without sound that may lead. Reports each new leader it sees."""

    group: str
    account: str


class AnswererRole(Role, tag="answerer", frozen=True, kw_only=True):
    """A window with sound that never leads. Answers calls from ``caller``, and reports when it pressed."""

    group: str
    account: str
    caller: str


class NewcomerRole(Role, tag="newcomer", frozen=True, kw_only=True):
    """A window that joins, reports how long it took to show a call, and leaves."""

    group: str
    account: str


class ListenerRole(Role, tag="listener", frozen=True, kw_only=True):
    """A window's agent that follows ``endpoint``; reports when it showed each of ``count`` states."""

    endpoint: str
    count: int


class BareListenerRole(Role, tag="bare_listener", frozen=True, kw_only=True):
    """The same with a SUB socket and nothing else; ``count`` 0: report nothing."""

    endpoint: str
    count: int


class NatsListenerRole(Role, tag="nats_listener", frozen=True, kw_only=True):
    """The same with a client of NATS."""

    url: str
    count: int


class RedisListenerRole(Role, tag="redis_listener", frozen=True, kw_only=True):
    """The same with a client of Redis on this machine."""

    port: int
    password: str
    count: int


class BareLeaderRole(Role, tag="bare_leader", frozen=True, kw_only=True):
    """ROUTER and PUB: each request is followed by a state of ``size`` bytes, and by its reply."""

    desk: str
    publications: str
    size: int


class LockRole(Role, tag="lock", frozen=True, kw_only=True):
    """Lock ``path``, and report when we have it."""

    path: str


AnyRole = (
    WindowRole
    | AnswererRole
    | NewcomerRole
    | ListenerRole
    | BareListenerRole
    | NatsListenerRole
    | RedisListenerRole
    | BareLeaderRole
    | LockRole
)


def play(role: AnyRole) -> None:
    """Be that for as long as the process lives."""
    match role:
        case WindowRole():
            _run(_window(role))
        case AnswererRole():
            _run(_answerer(role))
        case NewcomerRole():
            _run(_newcomer(role))
        case ListenerRole():
            _run(_listener(role))
        case BareListenerRole():
            _bare_listener(role)
        case NatsListenerRole():
            _run(_nats_listener(role))
        case RedisListenerRole():
            _redis_listener(role)
        case BareLeaderRole():
            _bare_leader(role)
        case LockRole():
            _lock(role)


def desk_of(endpoint: str) -> str:
    """Return where the leader that publishes at ``endpoint`` takes actions."""
    return f"{endpoint}.desk"


def report(role: Role, event: str, **facts: object) -> None:
    """Write one line, in one piece: many processes share the pipe."""
    line = msgspec.convert({"name": role.name, "event": event, "pid": os.getpid(), **facts}, Report)
    os.write(1, msgspec.json.encode(line) + b"\n")


# -- ours ------------------------------------------------------------------------------------------------


async def _window(role: WindowRole) -> None:
    loop = asyncio.get_running_loop()
    async with join(
        role.group, account=role.account, name=role.name, candidate=True, microphone=None, wait=False
    ) as phone:

        def leader_changed(snapshot: Snapshot) -> None:
            tell = partial(report, role, "epoch", at=boottime(), epoch=snapshot.version.epoch)
            loop.call_later(_DISCRETION, tell)

        phone.on("leader_changed", leader_changed)
        await asyncio.Event().wait()


async def _answerer(role: AnswererRole) -> None:
    preload()  # now, so that the first call finds it loaded
    async with join(
        role.group,
        account=role.account,
        name=role.name,
        candidate=False,
        microphone="silence",
        loudspeaker="none",
        wait=False,
    ) as phone:

        async def answer(call: Call) -> None:
            if call.remote_number.removeprefix("+") != role.caller:
                return
            began = boottime()
            await call.answer()
            report(role, "answered", at=boottime(), began=began)

        phone.on("inbound_call", answer)
        await asyncio.Event().wait()


async def _newcomer(role: NewcomerRole) -> None:
    began = boottime()
    async with join(
        role.group, account=role.account, name=role.name, candidate=False, microphone=None, wait=False
    ) as phone:
        await phone.until(lambda: bool(phone.calls))
        report(role, "call_visible", at=boottime(), began=began)


async def _listener(role: ListenerRole) -> None:
    shown = asyncio.Event()
    times: dict[int, float] = {}
    # No leader answers here, so the agent is told not to worry about silence.
    settings = load_settings(stale_after=3600.0, presence_time=3600.0)
    window = Window(instance=role.name, name=role.name, pid=os.getpid())

    def changed(changes: list[Change]) -> None:
        phone.apply(changes)
        times[phone.version.sequence] = boottime()
        if phone.version.sequence % role.count == 0:
            shown.set()

    agent = DummyAgent(zmq.Context(), window, settings, changed)
    phone = Phone(agent)
    endpoints = Endpoints(role.endpoint, desk_of(role.endpoint), f"{role.endpoint}.estate")
    agent.follow(Holder(1, float("inf"), "leader", 0, endpoints))
    report(role, "listening")
    while True:
        await shown.wait()
        shown.clear()
        report(role, "heard", times=times)
        times.clear()


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(coroutine)


# -- the yardsticks --------------------------------------------------------------------------------------


class _Notes:
    """When each publication came; reported whenever a block of ``count`` is complete, never if that is 0."""

    def __init__(self, role: Role, count: int) -> None:
        self._role, self._count = role, count
        self._times: dict[int, float] = {}

    def heard(self, publication: bytes) -> None:
        """Note that it is there, now."""
        (sequence,) = SEQUENCE.unpack_from(publication)
        if not self._count:
            return
        self._times[sequence] = boottime()
        if sequence % self._count == 0:
            report(self._role, "heard", times=self._times)
            self._times.clear()


def _bare_listener(role: BareListenerRole) -> None:
    socket = bare_subscriber(role.endpoint)
    report(role, "listening")
    notes = _Notes(role, role.count)
    while True:
        notes.heard(socket.recv())


async def _nats_listener(role: NatsListenerRole) -> None:
    import nats
    from nats.aio.msg import Msg

    notes = _Notes(role, role.count)

    async def heard(message: Msg) -> None:
        notes.heard(message.data)

    client = await nats.connect(role.url)
    await client.subscribe(SUBJECT, cb=heard)
    await client.flush()  # until the server has it
    report(role, "listening")
    await asyncio.Event().wait()


def _redis_listener(role: RedisListenerRole) -> None:
    import redis

    client = redis.Redis(port=role.port, password=role.password)
    subscription = client.pubsub()  # type: ignore[no-untyped-call]
    subscription.subscribe(SUBJECT)
    notes = _Notes(role, role.count)
    for message in subscription.listen():
        if message["type"] == "subscribe":
            report(role, "listening")
        else:
            notes.heard(message["data"])


def bare_subscriber(endpoint: str) -> zmq.Socket[bytes]:
    """Return a SUB that keeps the newest state only, as a window's does."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    socket = context.socket(zmq.SUB)
    socket.set(zmq.CONFLATE, 1)
    socket.set(zmq.SUBSCRIBE, b"")
    socket.connect(endpoint)
    return socket


def _bare_leader(role: BareLeaderRole) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    desk, publications = context.socket(zmq.ROUTER), context.socket(zmq.PUB)
    desk.bind(role.desk)
    publications.bind(role.publications)
    state = bytes(role.size - SEQUENCE.size)
    sequence = 0
    report(role, "listening")
    while True:
        peer, request = desk.recv_multipart()
        sequence += 1
        publications.send(SEQUENCE.pack(sequence) + state)
        desk.send_multipart([peer, request])


def _lock(role: LockRole) -> None:
    fd = os.open(role.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    report(role, "waiting")
    fcntl.flock(fd, fcntl.LOCK_EX)
    report(role, "locked", at=boottime())
    signal.pause()
