"""The outbox of a flow: what waits, for how long, and how much of it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agents.pbx.flow import Flow


class FakeConnection:
    """Writes down what is said; the peer may be slow."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.closes: list[tuple[int, str]] = []
        self.can_say = True
        self.is_paused = False
        self.over = asyncio.Event()
        self.has_said_two = asyncio.Event()

    def say(self, text: str) -> None:
        self.said.append(text)
        if len(self.said) == 2:
            self.has_said_two.set()

    def close(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))
        self.over.set()

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False


class FakeListener:
    def __init__(self) -> None:
        self.frames: list[str | None] = []
        self.lost: list[tuple[str, bool]] = []

    def frame_received(self, _flow: Flow, text: str | None) -> None:
        self.frames.append(text)

    def flow_lost(self, flow: Flow, *, is_broken: bool) -> None:
        self.lost.append((flow.closed_because, is_broken))


def run(story: Callable[[Flow, FakeConnection, FakeListener], Any]) -> None:
    async def main() -> None:
        connection, listener = FakeConnection(), FakeListener()
        async with asyncio.timeout(5):
            await story(Flow("f1", connection, listener), connection, listener)  # type: ignore[arg-type]  # fakes

    asyncio.run(main())


def test_what_a_slow_peer_is_sent_waits_in_order_and_no_more_than_the_outbox_holds() -> None:
    async def story(flow: Flow, connection: FakeConnection, _listener: FakeListener) -> None:
        connection.can_say = False
        for number in range(256):
            flow.send(str(number))
        assert (connection.said, flow.is_closing) == ([], False)
        connection.can_say = True
        flow.drained()
        assert connection.said == [str(number) for number in range(256)]
        connection.can_say = False
        for number in range(257):
            flow.send(str(number))
        assert flow.closed_because == "does not read what it is sent"

    run(story)


def test_a_delayed_frame_leaves_late_and_what_is_sent_after_the_delay_follows_it() -> None:
    async def story(flow: Flow, connection: FakeConnection, _listener: FakeListener) -> None:
        flow.delay = 0.03
        flow.send("late")
        flow.delay = 0.0
        flow.send("next")
        assert connection.said == []
        await connection.has_said_two.wait()
        assert connection.said == ["late", "next"]

    run(story)


def test_half_open_nothing_leaves_and_what_is_too_much_is_lost_as_on_a_dead_network() -> None:
    async def story(flow: Flow, connection: FakeConnection, _listener: FakeListener) -> None:
        flow.freeze()
        for number in range(300):
            flow.send(str(number))
        assert (connection.is_paused, connection.said, flow.is_closing) == (True, [], False)
        flow.thaw()
        assert (connection.is_paused, len(connection.said)) == (False, 256)

    run(story)


@pytest.mark.parametrize("is_slow", [False, True])
def test_it_is_closed_when_what_was_posted_has_left(is_slow: bool) -> None:
    async def story(flow: Flow, connection: FakeConnection, listener: FakeListener) -> None:
        connection.can_say = not is_slow
        flow.send("bye")
        flow.close(1000, "idle")
        assert connection.closes == ([] if is_slow else [(1000, "idle")])
        connection.can_say = True
        flow.drained()
        assert connection.said == ["bye"]
        assert connection.closes[0] == (1000, "idle")
        flow.heard("too late")
        assert listener.frames == []
        flow.closed("closed 1006", is_broken=True)
        assert listener.lost == [("idle", False)]

    run(story)


def test_a_peer_that_never_reads_is_closed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.pbx.flow._FLUSH_TIME", 0.01)

    async def story(flow: Flow, connection: FakeConnection, _listener: FakeListener) -> None:
        connection.can_say = False
        flow.send("bye")
        await flow.finish(1001, "service stopped")
        assert connection.closes == [(1001, "service stopped")]

    run(story)
