"""Actors: one message after the other, and a loop on a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.actor import ActorThread, Inbox, new_event_loop


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            await main

    asyncio.run(bounded())


def test_messages_are_handled_one_by_one_and_in_order() -> None:
    async def main() -> None:
        running = most = 0
        handled: list[int] = []
        done = asyncio.Event()

        async def handle(message: int) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            handled.append(message)
            if message == 9:
                done.set()

        inbox = Inbox(handle, name="test")
        for number in range(10):
            inbox.post(number)
        await done.wait()
        await inbox.close()
        assert handled == list(range(10))
        assert most == 1

    run(main())


def test_a_handler_that_raises_is_logged_and_does_not_stop_the_next() -> None:
    async def main() -> None:
        handled: list[str] = []
        done = asyncio.Event()

        async def handle(message: str) -> None:
            if message == "bad":
                raise ValueError(message)
            handled.append(message)
            done.set()

        with capture_logs() as logs:
            inbox = Inbox(handle, name="sound-1")
            inbox.post("bad")
            inbox.post("good")
            await done.wait()
        await inbox.close()
        assert handled == ["good"]
        [entry] = logs
        assert (entry["event"], entry["actor"], entry["message"]) == ("actor.failed", "sound-1", "str")

    run(main())


def test_an_inbox_is_bounded() -> None:
    async def main() -> None:
        inbox: Inbox[int] = Inbox(lambda _: asyncio.sleep(0), name="test", limit=2)
        inbox.post(1)
        inbox.post(2)
        with pytest.raises(asyncio.QueueFull):
            inbox.post(3)
        await inbox.close()

    run(main())


def test_closing_an_inbox_stops_it_in_the_middle_of_a_message() -> None:
    async def main() -> None:
        begun, finished = asyncio.Event(), False

        async def handle(_message: int) -> None:
            nonlocal finished
            begun.set()
            await asyncio.Event().wait()
            finished = True

        inbox = Inbox(handle, name="test")
        inbox.post(1)
        await begun.wait()
        await inbox.close()
        assert not finished

    run(main())


def test_an_actor_thread_runs_on_a_thread_of_its_own_and_cleans_up_when_stopped() -> None:
    async def main() -> None:
        names: list[str] = []
        begun = threading.Event()

        async def actor() -> None:
            try:
                names.append(threading.current_thread().name)
                begun.set()
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                names.append("cleaned up")

        thread = ActorThread("phone-test", actor)
        thread.start()
        assert await asyncio.to_thread(begun.wait, 5)
        await thread.stop()
        assert names == ["phone-test", "cleaned up"]

    run(main())


def test_what_is_posted_to_an_actor_thread_runs_there_and_to_an_ended_one_nowhere() -> None:
    async def main() -> None:
        ran: list[str] = []
        there = threading.Event()

        def note() -> None:
            ran.append(threading.current_thread().name)
            there.set()

        thread = ActorThread("phone-test", asyncio.Event().wait)  # type: ignore[arg-type]  # never returns
        thread.start()
        thread.post(note)
        assert await asyncio.to_thread(there.wait, 5)
        await thread.stop()
        thread.post(note)
        assert ran == ["phone-test"]

    run(main())


def test_a_crash_of_an_actor_thread_is_logged_and_raised_to_whoever_stops_it() -> None:
    async def main() -> None:
        async def actor() -> None:
            raise ValueError("broken")

        with capture_logs() as logs:
            thread = ActorThread("phone-test", actor)
            thread.start()
            with pytest.raises(ValueError, match="broken"):
                await thread.stop()
        assert [entry["event"] for entry in logs] == ["actor.crashed"]

    run(main())


def test_an_actor_that_does_not_end_is_not_waited_for_forever() -> None:
    async def main() -> None:
        release = threading.Event()

        async def actor() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.to_thread(release.wait, 5)

        thread = ActorThread("phone-test", actor)
        thread.start()
        with pytest.raises(TimeoutError):
            await thread.stop(time=0.02)
        release.set()
        await thread.stop()

    run(main())


def test_what_an_actor_left_running_is_ended_with_it() -> None:
    async def main() -> None:
        ended = threading.Event()

        async def forgotten() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async def actor() -> None:
            left = asyncio.create_task(forgotten())
            await asyncio.sleep(0)
            assert not left.done()

        thread = ActorThread("phone-test", actor)
        thread.start()
        await thread.stop()
        assert ended.is_set()

    run(main())


def test_a_loop_is_to_be_had_with_and_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    new_event_loop().close()
    monkeypatch.setitem(__import__("sys").modules, "uvloop", None)
    loop = new_event_loop()
    assert type(loop).__module__.startswith("asyncio")
    loop.close()
