"""One window's agent on a real bus, and leaders that a test plays."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import zmq

from agents.bus import ActionServer, Publisher
from agents.dummy import DummyAgent
from shared.election import Endpoints, Holder
from shared.messages import Attach, Done, Hold, Request, Snapshot, ToLeader, Version, encode
from tests.fakes import DESK, KIOSK, of_kind, settings, snapshot

Context = zmq.Context[zmq.Socket[bytes]]
HOLD = Hold(call_id="c1")


@dataclass
class Leader:
    """One epoch's sockets, and what a window told it."""

    context: Context
    holder: Holder
    heard: list[ToLeader] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.peer = b""
        self._news = asyncio.Event()
        self.has_listeners = False
        self.publisher = Publisher(self.context, self.holder.endpoints.state, self._listened)
        self.server = ActionServer(self.context, self.holder.endpoints.actions, self._received)

    def _listened(self) -> bool:
        self.has_listeners = True
        return True

    def _received(self, peer: bytes, message: ToLeader) -> None:
        self.peer = peer
        self.heard.append(message)
        self._news.set()

    async def wait(self, kind: type[ToLeader]) -> Any:
        while not (found := [message for message in self.heard if isinstance(message, kind)]):
            self._news.clear()
            await self._news.wait()
        return found[0]

    def publish(self, sequence: int, **facts: Any) -> Version:
        shown: Snapshot = snapshot(self.holder.epoch, sequence, **facts)
        self.publisher.publish(encode(shown))
        return shown.version

    async def does_what_is_asked(self, version: Version | None = None) -> Request:
        """Wait for an action, and acknowledge it: its effect is shown from ``version`` on."""
        request: Request = await self.wait(Request)
        done = Done(action_id=request.action_id, version=version or Version(self.holder.epoch, 1))
        self.server.send(self.peer, done)
        return request

    def die(self) -> None:
        self.publisher.close()
        self.server.close()


class Scene:
    """One window, and leaders on demand."""

    def __init__(self, context: Context, directory: str) -> None:
        self.context, self.directory = context, directory
        self.changes: list[str] = []
        self.lost: list[int] = []
        self.agent = DummyAgent(
            context,
            DESK,
            settings(stale_after=0.3),
            lambda changes: self.changes.extend(of_kind(changes)),
            endpoints=lambda epoch, instance: self.holder(epoch, instance).endpoints,
            lost=self.lost.append,
        )
        self.leaders: list[Leader] = []

    def holder(self, epoch: int, instance: str = "") -> Holder:
        base = f"ipc://{self.directory}/{epoch}.{instance}"
        endpoints = Endpoints(*(f"{base}.{kind}" for kind in Endpoints._fields))
        return Holder(epoch, 1e12, instance or f"l{epoch}", 1, endpoints)

    def lead(self, epoch: int) -> Leader:
        """Let a new leader come, and the window follow it."""
        leader = self.prepare(epoch)
        self.agent.follow(leader.holder)
        return leader

    def prepare(self, epoch: int, instance: str = "") -> Leader:
        """Let a process have the sockets of a leader; the window is not told."""
        leader = Leader(self.context, self.holder(epoch, instance))
        self.leaders.append(leader)
        return leader

    async def leader_and_heir(self) -> tuple[Leader, Leader]:
        """Return a leader that is followed, and the heir that its state names, who is listened to."""
        leader, heir = self.lead(1), self.prepare(2, "kiosk")
        leader.publish(1, leader="l1", windows=(KIOSK, DESK))
        await leader.wait(Attach)
        await self.shows((1, 1))
        await self.until(lambda: heir.has_listeners)
        return leader, heir

    async def shows(self, version: tuple[int, int]) -> None:
        await self.until(lambda: self.agent.replica.version >= version)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 - bounded by play
            await asyncio.sleep(0.002)


def play(story: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory(prefix="sl-", dir="/tmp") as directory:
            context: Context = zmq.Context()
            scene = Scene(context, directory)
            try:
                async with asyncio.timeout(10):
                    await story(scene)
            finally:
                scene.agent.close()
                for leader in scene.leaders:
                    leader.die()
                await asyncio.to_thread(context.term)

    asyncio.run(main())


def perform(scene: Scene, time: float = 5.0) -> "asyncio.Future[Done]":
    return asyncio.ensure_future(scene.agent.perform(HOLD, time))
