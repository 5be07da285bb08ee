"""The group's wires with real sockets: newest state at once, and no frame of anybody stops the leader."""

import asyncio
import random
import socket
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import zmq
from structlog.testing import capture_logs

from agents.bus import ActionClient, ActionServer, Publisher, Subscriber
from shared.messages import (
    MAX_FRAME_BYTES,
    Attach,
    Dial,
    Done,
    HostAttach,
    MediaDone,
    Request,
    Resync,
    Snapshot,
    Version,
    Window,
    decode_snapshot,
    encode,
)
from tests.fakes import snapshot

from .stage import assert_polite, epoch_is, stage

Context = zmq.Context[zmq.Socket[bytes]]


def with_sockets(story: Callable[[Context, str], Coroutine[Any, Any, None]]) -> None:
    """Run ``story`` with a context and the beginning of ipc paths. It must close its sockets."""

    async def main() -> None:
        with tempfile.TemporaryDirectory(prefix="sl-", dir="/tmp") as directory:
            context: Context = zmq.Context()
            try:
                async with asyncio.timeout(20):
                    await story(context, f"ipc://{directory}/")
            except BaseException:
                context.destroy(linger=0)
                raise
            await asyncio.to_thread(context.term)

    asyncio.run(main())


class Ear:
    """A subscriber's ears: what arrived, and a way to wait for it."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self._news = asyncio.Event()

    def __call__(self, *message: Any) -> None:
        self.heard.append(message[-1] if len(message) == 1 else message)
        self._news.set()

    async def until(self, condition: Callable[[list[Any]], bool]) -> None:
        while not condition(self.heard):
            self._news.clear()
            await self._news.wait()


# -- state


def test_a_late_subscriber_gets_the_newest_state_at_once_and_no_earlier_one() -> None:
    async def story(context: Context, base: str) -> None:
        publisher = Publisher(context, f"{base}state")
        for sequence in (1, 2, 3):
            publisher.publish(encode(snapshot(1, sequence)))
        for _ in range(3):  # the second and third of one topic are told to the publisher, too
            ear = Ear()
            subscriber = Subscriber(context, f"{base}state", decode_snapshot, ear)
            await ear.until(bool)
            assert {shown.version for shown in ear.heard} == {Version(1, 3)}
            subscriber.close()
        publisher.close()

    with_sockets(story)


def test_a_subscriber_that_comes_before_the_publisher_waits_for_it() -> None:
    async def story(context: Context, base: str) -> None:
        ear = Ear()
        subscriber = Subscriber(context, f"{base}state", decode_snapshot, ear)
        publisher = Publisher(context, f"{base}state")
        publisher.publish(encode(snapshot(1, 1)))
        await ear.until(bool)
        subscriber.close()
        publisher.close()

    with_sockets(story)


def test_a_window_that_slept_wakes_up_to_the_newest_state() -> None:
    async def story(context: Context, base: str) -> None:
        publisher = Publisher(context, f"{base}state")
        publisher.publish(encode(snapshot(1, 0)))
        ear = Ear()
        subscriber = Subscriber(context, f"{base}state", decode_snapshot, ear)
        await ear.until(bool)
        for sequence in range(1, 41):  # few enough that none is dropped on the way
            publisher.publish(encode(snapshot(1, sequence)))
        time.sleep(0.05)  # noqa: ASYNC251 - the window's loop is blocked, that is the point
        await ear.until(lambda heard: heard[-1].version.sequence == 40)
        assert len(ear.heard) < 20
        for sequence in range(41, 5_001):
            publisher.publish(encode(snapshot(1, sequence)))
        time.sleep(0.05)  # noqa: ASYNC251
        publisher.repeat()  # the heartbeat: past the high-water mark even the newest may have been dropped
        await ear.until(lambda heard: heard[-1].version.sequence == 5_000)
        assert len(ear.heard) < 1_000
        sequences = [shown.version.sequence for shown in ear.heard]
        assert sequences == sorted(sequences)
        subscriber.close()
        publisher.close()

    with_sockets(story)


def test_a_state_that_does_not_decode_is_logged_and_the_next_one_is_shown() -> None:
    async def story(context: Context, base: str) -> None:
        publisher = Publisher(context, f"{base}state")
        ear = Ear()
        subscriber = Subscriber(context, f"{base}state", decode_snapshot, ear)
        publisher.publish(b"[" * 10_000)
        with capture_logs() as logs:
            publisher.publish(b"[" * 10_000)
            while not logs:
                publisher.repeat()
                await asyncio.sleep(0.01)
        publisher.publish(encode(snapshot(1, 2)))
        await ear.until(bool)
        assert [type(shown) for shown in ear.heard] == [Snapshot]
        subscriber.close()
        publisher.close()

    with_sockets(story)


# -- actions


def test_a_message_to_the_leader_is_answered_to_whoever_sent_it() -> None:
    async def story(context: Context, base: str) -> None:
        desk, left, right = Ear(), Ear(), Ear()
        server = ActionServer(context, f"{base}desk", desk)
        clients = [ActionClient(context, f"{base}desk", ear) for ear in (left, right)]
        for name, client in zip(("left", "right"), clients, strict=True):
            assert client.send(Resync(epoch=1, instance=name))
        await desk.until(lambda heard: len(heard) == 2)
        for peer, message in desk.heard:
            assert server.send(peer, Done(action_id=message.instance, version=Version(1, 1)))
        await left.until(bool)
        await right.until(bool)
        assert [ear.heard[0].action_id for ear in (left, right)] == ["left", "right"]
        for client in clients:
            client.close()
        server.close()

    with_sockets(story)


def test_what_has_not_left_is_known_and_is_not_delivered_to_the_next_leader() -> None:
    async def story(context: Context, base: str) -> None:
        client = ActionClient(context, f"{base}1.desk", Ear())
        message = Request(action_id="a", instance="i", epoch=1, deadline=9.0, action=Dial(target="1"))
        assert client.send(message)
        assert client.unsent() == [message]
        client.close()
        desk = Ear()
        server = ActionServer(context, f"{base}1.desk", desk)
        other = ActionClient(context, f"{base}1.desk", Ear())
        other.send(Resync(epoch=2, instance="other"))
        await desk.until(bool)
        assert [message.instance for _, message in desk.heard] == ["other"]
        other.close()
        server.close()

    with_sockets(story)


def test_a_window_that_has_no_leader_keeps_a_bounded_number_of_messages() -> None:
    async def story(context: Context, base: str) -> None:
        client = ActionClient(context, f"{base}desk", Ear())
        sent = [client.send(Resync(epoch=1, instance=f"{number}")) for number in range(300)]
        assert sent == [True] * 256 + [False] * 44
        client.close()

    with_sockets(story)


def test_an_answer_to_a_peer_that_is_gone_says_so() -> None:
    async def story(context: Context, base: str) -> None:
        desk = Ear()
        server = ActionServer(context, f"{base}desk", desk)
        client = ActionClient(context, f"{base}desk", Ear())
        client.send(Resync(epoch=1, instance="i"))
        await desk.until(bool)
        client.close()
        peer = desk.heard[0][0]
        while server.send(peer, Done(action_id="a", version=Version(1, 1))):  # noqa: ASYNC110 - until it is known
            await asyncio.sleep(0.01)
        assert not server.send(b"nobody", Done(action_id="a", version=Version(1, 1)))
        server.close()

    with_sockets(story)


def stranger_at(context: Context, endpoint: str) -> "zmq.Socket[bytes]":
    """Return a socket that is connected to an action server, and says what it likes."""
    stranger = context.socket(zmq.DEALER)
    stranger.set(zmq.LINGER, 0)
    stranger.connect(endpoint)
    return stranger


def test_a_frame_that_is_too_long_costs_its_sender_the_connection_and_nobody_else() -> None:
    async def story(context: Context, base: str) -> None:
        desk = Ear()
        server = ActionServer(context, f"{base}desk", desk)
        giant = stranger_at(context, f"{base}desk")
        giant.send(b"x" * (MAX_FRAME_BYTES + 1))
        client = ActionClient(context, f"{base}desk", Ear())
        client.send(Resync(epoch=1, instance="good"))
        await desk.until(bool)
        assert [message.instance for _, message in desk.heard] == ["good"]
        client.close()
        giant.close()
        server.close()

    with_sockets(story)


def test_a_peer_that_sends_nonsense_is_logged_once() -> None:
    async def story(context: Context, base: str) -> None:
        desk = Ear()
        server = ActionServer(context, f"{base}desk", desk)
        stranger = stranger_at(context, f"{base}desk")
        with capture_logs() as logs:
            for _ in range(50):
                stranger.send(b"{}")
            stranger.send(encode(Resync(epoch=1, instance="end")))
            await desk.until(bool)
        assert [entry["event"] for entry in logs] == ["request.undecodable"]
        stranger.close()
        server.close()

    with_sockets(story)


# -- a real leader


def nonsense(rng: random.Random, epoch: int) -> list[bytes]:
    """Return what a broken or evil window might send: random bytes, and good messages with damage."""
    good = [
        Attach(epoch=epoch, window=Window(instance="evil", name="x" * 2000, pid=1, media=True)),
        HostAttach(epoch=epoch, instance="evil"),
        MediaDone(epoch=epoch, command_id="none", sdp="v=0"),
        Resync(epoch=epoch, instance="evil"),
        Request(action_id="a", instance="evil", epoch=epoch - 1, deadline=1e12, action=Dial(target="199")),
    ]
    kind = rng.random()
    if kind < 0.2:
        return [rng.randbytes(rng.randrange(300)) for _ in range(rng.randrange(1, 4))]
    if kind < 0.3:
        return [rng.choice([b"[" * 10_000, b'{"a":' * 5_000, b"\xff" * 999, b"", b"{}"])]
    frame = bytearray(encode(rng.choice(good)))
    for _ in range(rng.randrange(4)):
        frame[rng.randrange(len(frame))] = rng.randrange(256)
    return [bytes(frame[: rng.randrange(len(frame)) if rng.random() < 0.3 else None])]


@pytest.mark.parametrize("seed", [20261120])
def test_two_thousand_frames_of_nonsense_and_raw_bytes_do_not_disturb_the_leader(seed: int) -> None:
    async def main() -> None:
        rng = random.Random(seed)
        async with stage() as it:
            windows = await it.join("a", "b")
            holder = it.holder()
            context: Context = zmq.Context()
            strangers = []
            kinds = (zmq.XSUB, zmq.DEALER, zmq.XSUB, zmq.XSUB)  # one for each of the endpoints
            for kind, endpoint in zip(kinds, holder.endpoints, strict=True):
                strangers.append(context.socket(kind))
                strangers[-1].set(zmq.SNDHWM, 0)
                strangers[-1].connect(endpoint)
            for number in range(2_000):
                frames = nonsense(rng, holder.epoch)
                strangers[number % 5 % 4].send_multipart(frames, zmq.DONTWAIT)
                if number % 100 == 0:
                    await asyncio.to_thread(raw_bytes, Path(holder.endpoints.state[6:]), rng)
                    await asyncio.to_thread(raw_bytes, Path(holder.endpoints.actions[6:]), rng)
                    answer = await windows[1].do("hold")
                    assert answer["code"] == "no_such_call", answer
            robot = await it.control.call("101")
            for window in windows:
                await window.wait_for(lambda line: line["event"] == "inbound_call")
            await it.control.hang_up(robot.id)
            for window in windows:
                await window.wait_for(lambda line: line["event"] == "call_ended")
                assert_polite(window)
                assert not [line for line in window.lines if epoch_is(holder.epoch + 1)(line)]
            assert it.holder().epoch == holder.epoch
            leader = await it.leader()
            assert leader.errors.count("request.undecodable") <= 50
            assert it.ledger("INVITE", direction="in") == []
            context.destroy(linger=0)

    asyncio.run(main())


def raw_bytes(path: Path, rng: random.Random) -> None:
    """Write what is no ZeroMQ at all to a socket."""
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(2)
        stranger.connect(str(path))
        try:
            stranger.sendall(
                rng.choice([b"GET / HTTP/1.1\r\n\r\n", rng.randbytes(500), b"\xff" + b"\0" * 100])
            )
            if rng.random() < 0.5:
                stranger.recv(64)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass  # hung up on, as it should be
