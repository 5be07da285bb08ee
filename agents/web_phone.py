"""The phone alone, in one process that shares nothing: the parts of a group of one, joined inside it.

There is no lease, no file and no socket that another process could reach: the window, the real phone and
the media host talk over ZeroMQ's ``inproc`` transport. The real phone has a thread of its own here, too, so
that a program that blocks its event loop keeps its registration and its calls.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

import zmq

from shared.actor import ActorThread, until_cancelled
from shared.config import Account, Settings
from shared.election import Endpoints, Holder
from shared.errors import ActionRefused
from shared.messages import Action, Done, Snapshot, Window
from shared.phone import Phone
from shared.replica import Change
from shared.sound import Sound

from .bus import Post
from .dummy import DummyAgent
from .media.host import MediaHost, SessionFactory

if TYPE_CHECKING:
    from .real import RealAgent

_EPOCH = 1
#: Seconds that leaving may take at most: the farewell has 2, and a connection that does not close has a few.
_LEAVING_TIME = 8.0


class LonePhone(Phone):
    """A phone that is a process' own. :meth:`start` connects it, :meth:`dispose` ends it for good.

    Args:
        account: Who it is.
        instance_id: RFC 5626 instance id of the registration.
        settings: As for a group; its directories are not used.
        name: What it calls itself.
        load_sound: Imports what sound needs and returns the factory; None: it has no sound.
        sound: What ``phone.sound`` is.
    """

    def __init__(
        self,
        account: Account,
        *,
        instance_id: str,
        settings: Settings,
        name: str,
        load_sound: Callable[[], SessionFactory] | None,
        sound: Sound | None = None,
    ) -> None:
        instance = secrets.token_hex(4)
        window = Window(instance=instance, name=name, pid=os.getpid(), media=load_sound is not None)
        self._process = _Process(account, instance_id, settings, window, load_sound, self.apply)
        super().__init__(self._process, sound)

    @property
    def is_disposed(self) -> bool:
        """Whether it has ended."""
        return self._process.is_closed

    async def start(self) -> None:
        """Connect and register, in the running loop. Returns at once: the state says how it goes.

        Raises:
            AccountError: The account cannot be used.
            ActionRefused: It was started, or disposed, before.
        """
        await self._process.open()

    async def dispose(self) -> None:
        """Hang up, remove the registration at once, and end. Harmless to call again.

        A service that does not answer is not waited for longer than some seconds.
        """
        self.detached()
        await self._process.close()


class _Process:
    """What a group spreads over processes: a window's agent, the real phone and a media host."""

    def __init__(
        self,
        account: Account,
        instance_id: str,
        settings: Settings,
        window: Window,
        load_sound: Callable[[], SessionFactory] | None,
        changed: Callable[[list[Change]], None],
    ) -> None:
        self._account, self._instance_id, self._settings = account, instance_id, settings
        self._window, self._load_sound, self._changed = window, load_sound, changed
        self._endpoints = Endpoints(*(f"inproc://{window.instance}.{kind}" for kind in Endpoints._fields))
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._dummy: DummyAgent | None = None
        self._host: MediaHost | None = None
        self._thread: ActorThread | None = None
        self._closing: asyncio.Task[None] | None = None
        self.is_closed = False

    # -- what a phone needs; see shared.phone.Agent

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest state."""
        return self._dummy.snapshot if self._dummy is not None else None

    @property
    def is_stale(self) -> bool:
        """Whether the state may be old."""
        return self._dummy is None or self._dummy.is_stale

    @property
    def instance(self) -> str:
        """The id of this process."""
        return self._window.instance

    async def perform(self, action: Action, time: float | None = None) -> Done:
        """Do an action."""
        if self._dummy is None:
            raise ActionRefused("no_leader", "the phone is not started: await its start(), or use async with")
        return await self._dummy.perform(action, time)

    # -- its life

    async def open(self) -> None:
        """Start all parts."""
        if self._dummy is not None or self.is_closed:
            raise ActionRefused("wrong_state", "a phone is started once; make another one")
        loop, ready = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

        def tell(error: Exception | None) -> None:
            loop.call_soon_threadsafe(_settle, ready, error)

        self._context = context = zmq.Context()
        self._dummy = DummyAgent(context, self._window, self._settings, self._changed)
        if self._load_sound is not None:
            beat_every = self._settings.presence_time / 4
            self._host = MediaHost(context, self.instance, self._load_sound, beat_every=beat_every)
        self._thread = ActorThread(
            f"phone-{self.instance}",
            lambda: self._be_real(context, tell),
        )
        self._thread.start()
        await ready
        holder = Holder(
            epoch=_EPOCH,
            deadline=float("inf"),
            instance=self.instance,
            pid=self._window.pid,
            endpoints=self._endpoints,
        )
        self._dummy.follow(holder)
        if self._host is not None:
            self._host.follow(holder.epoch, holder.endpoints.actions)

    async def close(self) -> None:
        """End all parts, once; whoever asks meanwhile waits for the same end."""
        if self._closing is None:
            self.is_closed = True
            self._closing = asyncio.ensure_future(self._close())
        # Shielded: what one caller gives up is still to be waited for by another.
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._dummy is None or self._context is None:
            return
        self._dummy.close()
        try:
            if self._thread is not None:
                await self._thread.stop(_LEAVING_TIME)
        finally:
            if self._host is not None:
                await self._host.close()
        await asyncio.to_thread(self._context.term)

    async def _be_real(
        self, context: zmq.Context[zmq.Socket[bytes]], tell: Callable[[Exception | None], None]
    ) -> None:
        try:
            agent = self._make_real(context)
        except Exception as exc:  # is raised by open()
            tell(exc)
            return
        try:
            tell(None)
            await until_cancelled()
        finally:
            await agent.leave()

    def _make_real(self, context: zmq.Context[zmq.Socket[bytes]]) -> "RealAgent":
        from .real import Office, RealAgent

        post = Post(context, self._endpoints)
        office = Office(
            group=self._window.name,
            instance=self.instance,
            epoch=_EPOCH,
            post=post,
            account=self._account,
            sip_instance_id=self._instance_id,
            settings=self._settings,
            seed=None,
            estate=b"",
            predecessor_died=False,
            may_act=lambda: True,
            offer=lambda: None,
            deposed=lambda: None,
        )
        try:
            return RealAgent(office)
        except BaseException:
            post.close()
            raise


def _settle(ready: asyncio.Future[None], error: Exception | None) -> None:
    if ready.done():
        return
    if error is None:
        ready.set_result(None)
    else:
        ready.set_exception(error)
