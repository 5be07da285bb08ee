"""A media host before a leader that a test plays: commands are answered, and what was opened is closed."""

import asyncio
import gc
import tempfile
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import zmq

from agents.bus import ActionServer
from agents.media.host import MediaHost
from agents.media.quality import Counts
from shared.messages import (
    MOST_KEYS,
    CloseMedia,
    HostAttach,
    KeysPressed,
    MakeOffer,
    MediaDone,
    PlayDtmf,
    ShapeMedia,
    ToLeader,
)


class SlowSession:
    """Sound that takes its time."""

    def __init__(self) -> None:
        self.may_play = asyncio.Event()
        self.is_closed = False
        self.counts = Counts()

    async def offer(self, like: str) -> str:
        return "an offer"

    async def dtmf(self, tones: str) -> None:
        await self.may_play.wait()

    def mute(self, on: bool) -> None: ...

    def hold(self, on: bool) -> None: ...

    async def close(self) -> None:
        await asyncio.sleep(0.1)
        self.is_closed = True


class Leader:
    """The leader's desk, the host, and what it said."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> None:
        self.heard: list[ToLeader] = []
        self.sessions: list[SlowSession] = []
        self._peer, self._news = b"", asyncio.Event()
        self._endpoint = endpoint
        self._server = ActionServer(context, endpoint, self._received)
        self.host = MediaHost(context, "desk", lambda: self._open, beat_every=0.05)
        self.host.follow(1, endpoint)

    async def _open(self, _call_id: str, _report: Any, press: Callable[[str], None]) -> Any:
        self.sessions.append(SlowSession())
        self.press = press
        return self.sessions[-1]

    def _received(self, peer: bytes, message: ToLeader) -> None:
        self._peer = peer
        self.heard.append(message)
        self._news.set()

    async def count(self, kind: type[ToLeader], number: int) -> list[Any]:
        while len(found := [message for message in self.heard if isinstance(message, kind)]) < number:
            self._news.clear()
            await self._news.wait()
        return found

    async def begin(self) -> None:
        self._server.send(self._peer, MakeOffer(epoch=1, command_id="begin", call_id="call"))
        await self.count(MediaDone, 1)

    def follow(self, epoch: int) -> None:
        """Lead again, as the next leader would from here."""
        self.host.follow(epoch, self._endpoint)

    def play(self, number: int = 0) -> None:
        self._server.send(self._peer, PlayDtmf(epoch=1, command_id=f"c{number}", call_id="call", tones="1"))

    def shape(self) -> None:
        command = ShapeMedia(epoch=1, command_id="shape", call_id="call", muted=False, held=False)
        self._server.send(self._peer, command)

    def end(self) -> None:
        self._server.send(self._peer, CloseMedia(epoch=1, command_id="end", call_id="call"))

    def close(self) -> None:
        self._server.close()


def play(story: Callable[[Leader], Coroutine[Any, Any, None]]) -> Leader:
    """Let ``story`` happen to a host that has attached to its leader; then the host leaves."""

    async def main() -> Leader:
        with tempfile.TemporaryDirectory(prefix="sl-", dir="/tmp") as directory, zmq.Context() as context:
            leader = Leader(context, f"ipc://{directory}/actions")
            async with asyncio.timeout(10):
                await leader.count(HostAttach, 1)
                await story(leader)
                await leader.host.close()
            leader.close()
            return leader

    return asyncio.run(main())


def test_a_host_repeats_that_it_is_here_and_answers_every_command_however_many_come_at_once() -> None:
    async def story(leader: Leader) -> None:
        await leader.count(HostAttach, 3)
        await leader.begin()
        for number in range(200):
            leader.play(number)
        _, *refused = await leader.count(MediaDone, 100)
        assert {done.error for done in refused} == {"too much is asked of this call's sound at once"}

    leader = play(story)
    assert leader.sessions[0].is_closed


def test_the_sound_of_a_call_that_is_over_is_kept_by_nobody() -> None:
    async def story(leader: Leader) -> None:
        gc.disable()
        try:
            await leader.begin()
            session = weakref.ref(leader.sessions.pop())
            leader.end()
            while session() is not None:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
        finally:
            gc.enable()

    play(story)


def test_sound_that_is_ending_when_its_process_leaves_is_ended() -> None:
    async def story(leader: Leader) -> None:
        await leader.begin()
        leader.play()
        await leader.count(HostAttach, 5)
        leader.end()
        beats = len(leader.heard)
        await leader.count(HostAttach, beats + 3)
        leader.sessions[0].may_play.set()

    leader = play(story)
    assert leader.sessions[0].is_closed


def test_keys_that_take_their_time_hold_up_neither_mute_nor_the_end_of_the_call() -> None:
    async def story(leader: Leader) -> None:
        await leader.begin()
        leader.play()
        leader.shape()
        _, shaped = await leader.count(MediaDone, 2)
        assert (shaped.command_id, shaped.error) == ("shape", "")
        leader.end()
        while not leader.sessions[0].is_closed:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)
        leader.sessions[0].may_play.set()
        played = (await leader.count(MediaDone, 3))[-1]
        assert played.command_id == "c0"

    play(story)


def test_keys_of_the_far_end_are_told_soon_all_of_them_and_again_to_the_next_leader() -> None:
    async def story(leader: Leader) -> None:
        await leader.begin()
        leader.press("7")
        [first] = await leader.count(KeysPressed, 1)
        assert (first.call_id, first.instance, first.newest, first.count) == ("call", "desk", "7", 1)
        for _ in range(100):  # faster than any hand
            leader.press("*")
        _, second = await leader.count(KeysPressed, 2)
        assert (second.newest, second.count) == ("*" * MOST_KEYS, 101)
        leader.follow(2)
        third = (await leader.count(KeysPressed, 3))[-1]
        assert (third.epoch, third.newest, third.count) == (2, second.newest, second.count)

    play(story)


def test_nothing_but_the_beginning_of_a_call_opens_a_microphone() -> None:
    async def story(leader: Leader) -> None:
        leader.shape()
        leader.play()
        refused = await leader.count(MediaDone, 2)
        assert {done.error for done in refused} == {"this call has no sound here"}
        assert leader.sessions == []

    play(story)
