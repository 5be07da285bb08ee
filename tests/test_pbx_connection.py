"""A WebSocket of the service against the library's own client, without a socket between them."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from agents.pbx.connection import Connection, House
from agents.pbx.settings import SimulatorSettings


class Wire(asyncio.Transport):
    """The transport of the connection, whose peer is a client without I/O."""

    def __init__(self, peer: "Peer") -> None:
        super().__init__()
        self._peer = peer
        self.writes: list[bytes] = []
        self.is_closed = self.is_reading_paused = False
        self._written = asyncio.Event()
        self.unread_bytes = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))
        self._written.set()
        self._peer.client.receive_data(bytes(data))

    async def next_write(self) -> None:
        """Return when more has been written."""
        self._written.clear()
        await self._written.wait()

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self._peer.connection.connection_lost, None)

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def get_write_buffer_size(self) -> int:
        return self.unread_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class Ears:
    """The listener: what it is told, and what it answers to each message."""

    def __init__(self) -> None:
        self.texts: list[str | None] = []
        self.ends: list[tuple[str, bool]] = []
        self.answers: list[str] = []
        self.drains = 0
        self.say: Callable[[str], None] = lambda _text: None

    def heard(self, text: str | None) -> None:
        self.texts.append(text)
        for answer in self.answers:
            self.say(answer)

    def drained(self) -> None:
        self.drains += 1

    def closed(self, reason: str, *, is_broken: bool) -> None:
        self.ends.append((reason, is_broken))


class Peer:
    """A client, and the connection that it talks with."""

    def __init__(self, *, subprotocol: str = "sip", **settings: Any) -> None:
        self.ears = Ears()
        self.refused: list[str] = []
        self.losses: list[None] = []
        made = SimulatorSettings(directory=Path(), **settings)
        self.house = House(made, lambda _connection: self.ears, self.refused.append)
        self.connection = Connection(self.house, lambda: self.losses.append(None))
        self.ears.say = self.connection.say
        self.client = ClientProtocol(
            parse_uri("wss://127.0.0.1/"), subprotocols=[Subprotocol(subprotocol)], max_size=None
        )
        self.wire = Wire(self)
        self.connection.connection_made(self.wire)

    def open(self) -> "Peer":
        """Become a WebSocket."""
        self.client.send_request(self.client.connect())
        self.flush()
        return self

    def flush(self) -> None:
        """Hand over what the client has to say, as one segment."""
        self.connection.data_received(b"".join(self.client.data_to_send()))

    def say(self, *texts: str) -> None:
        """Send text frames, in one segment."""
        for text in texts:
            self.client.send_text(text.encode())
        self.flush()

    def frames(self) -> list[Frame]:
        """Return the frames that came since."""
        return [event for event in self.client.events_received() if isinstance(event, Frame)]


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(5):
            await story()

    asyncio.run(main())


def test_a_frame_is_answered_in_the_same_turn_and_two_answers_are_one_write() -> None:
    async def story() -> None:
        peer = Peer().open()
        peer.ears.answers = ["100", "200"]
        peer.wire.writes.clear()
        peer.say("REGISTER")
        assert peer.ears.texts == ["REGISTER"]
        assert len(peer.wire.writes) == 1
        assert [bytes(frame.data) for frame in peer.frames()] == [b"100", b"200"]

    run(story)


def test_what_is_said_unasked_in_one_turn_is_one_write() -> None:
    async def story() -> None:
        peer = Peer().open()
        peer.wire.writes.clear()
        peer.connection.say("one")
        peer.connection.say("two")
        assert peer.wire.writes == []
        await asyncio.sleep(0)
        assert len(peer.wire.writes) == 1

    run(story)


def test_fragments_are_one_message_however_many_are_empty() -> None:
    async def story() -> None:
        peer = Peer().open()
        peer.client.send_text(b"IN", fin=False)
        for _ in range(1000):
            peer.client.send_continuation(b"", fin=False)
        peer.client.send_ping(b"between")
        peer.client.send_continuation(b"VITE", fin=True)
        peer.flush()
        assert peer.ears.texts == ["INVITE"]
        peer.client.send_binary(b"a", fin=False)
        peer.client.send_continuation(b"b", fin=True)
        peer.flush()
        assert peer.ears.texts == ["INVITE", None]
        assert [frame.opcode for frame in peer.frames()] == [Opcode.PONG]

    run(story)


def test_fragments_may_not_be_longer_together_than_one_message() -> None:
    async def story() -> None:
        peer = Peer(max_message_bytes=10).open()
        peer.client.send_text(b"12345678", fin=False)
        peer.client.send_continuation(b"90a", fin=True)
        peer.flush()
        await peer.connection.over.wait()
        assert peer.ears.texts == []
        assert [(reason[:11], broken) for reason, broken in peer.ears.ends] == [("closed 1009", True)]

    run(story)


def test_what_comes_with_the_close_frame_is_still_heard() -> None:
    async def story() -> None:
        peer = Peer().open()
        peer.client.send_text(b"BYE")
        peer.client.send_close(1000, "done")
        peer.flush()
        assert peer.ears.texts == ["BYE"]
        await peer.connection.over.wait()
        assert peer.ears.ends == [("closed 1000 done", False)]
        assert peer.losses == [None]

    run(story)


def test_who_was_told_to_go_is_not_heard_any_more_and_cannot_stay_by_talking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agents.pbx.connection._CLOSE_TIME", 0.05)

    async def story() -> None:
        peer = Peer().open()
        peer.connection.close(1000, "idle")
        peer.client.state = State.OPEN  # it ignores that
        while not peer.wire.is_closed:
            peer.client.send_text(b"wait")
            peer.flush()
            await asyncio.sleep(0)
        await peer.connection.over.wait()
        assert peer.ears.texts == []
        assert peer.ears.ends == [("closed 1000 idle", False)]

    run(story)


def test_text_that_is_no_utf_8_ends_it() -> None:
    async def story() -> None:
        peer = Peer().open()
        peer.client.send_text(b"\xff\xfe")
        peer.client.send_text(b"more")
        peer.flush()
        await peer.connection.over.wait()
        assert peer.ears.texts == []
        [(reason, is_broken)] = peer.ears.ends
        assert reason.startswith("closed 1007 invalid start byte")
        assert is_broken

    run(story)


def test_who_answers_pings_stays_and_who_does_not_is_dead() -> None:
    async def story() -> None:
        alive, dead = Peer(ping_time=0.03).open(), Peer(ping_time=0.03).open()
        for _ in range(3):
            await alive.wire.next_write()
            alive.flush()  # the client's core has the pong ready
        await dead.connection.over.wait()
        assert dead.ears.ends == [("closed 1011 keepalive ping timeout", False)]
        assert alive.ears.ends == []
        alive.wire.abort()
        await alive.connection.over.wait()
        assert alive.ears.ends == [("connection lost", False)]

    run(story)


def test_while_it_is_paused_nothing_is_heard_and_nothing_is_lost() -> None:
    async def story() -> None:
        peer = Peer(ping_time=0.02).open()
        peer.connection.pause()
        paused = [peer.wire.is_reading_paused]
        written = len(peer.wire.writes)
        peer.say("one", "two")
        await asyncio.sleep(0.05)
        assert (peer.ears.texts, len(peer.wire.writes)) == ([], written)
        peer.connection.resume()
        assert peer.ears.texts == ["one", "two"]
        assert [*paused, peer.wire.is_reading_paused] == [True, False]
        await peer.wire.next_write()  # pings go on

    run(story)


def test_a_peer_that_does_not_read_is_told_nothing_until_it_does() -> None:
    async def story() -> None:
        peer = Peer().open()
        said = [peer.connection.can_say]
        peer.connection.pause_writing()
        said.append(peer.connection.can_say)
        peer.connection.resume_writing()
        said.append(peer.connection.can_say)
        assert (said, peer.ears.drains) == ([True, False, True], 1)

    run(story)


def test_who_sends_pings_and_does_not_read_the_answers_is_cut_off() -> None:
    async def story() -> None:
        peer = Peer().open()
        peer.connection.pause_writing()
        for unread, is_closed in ((40_000, False), (262_144, False), (262_145, True)):
            peer.wire.unread_bytes = unread
            peer.client.send_ping(b"x" * 100)
            peer.flush()
            assert peer.wire.is_closed is is_closed
        await peer.connection.over.wait()
        assert peer.ears.ends == [("connection lost", False)]

    run(story)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (b"\x00\xff torn\r\n\r\n", "no WebSocket request: "),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP 426"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n", "no WebSocket request: "),
        (b"GET /" + b"x" * 20_000, "no WebSocket request: "),
    ],
)
def test_what_is_no_websocket_is_refused_with_the_reason(said: bytes, refused: str) -> None:
    async def story() -> None:
        peer = Peer()
        peer.connection.data_received(said)
        await peer.connection.over.wait()
        assert [reason.startswith(refused) for reason in peer.refused] == [True], peer.refused
        assert peer.ears.ends == []

    run(story)


def test_another_subprotocol_is_refused_and_so_is_everybody_when_the_service_stops() -> None:
    async def story() -> None:
        chat = Peer(subprotocol="chat").open()
        late = Peer()
        late.house.is_closing = True
        late.open()
        for peer in (chat, late):
            await peer.connection.over.wait()
            assert peer.ears.ends == []
        assert [reason[:8] for reason in chat.refused + late.refused] == ["HTTP 400", "HTTP 503"]

    run(story)


def test_who_says_nothing_in_time_or_hangs_up_is_refused() -> None:
    async def story() -> None:
        silent, gone = Peer(handshake_time=0.01), Peer()
        gone.connection.eof_received()
        for peer in (silent, gone):
            await peer.connection.over.wait()
            await peer.house.empty()
        assert silent.refused == ["no WebSocket request in time"]
        assert gone.refused[0].startswith("no WebSocket request: ")

    run(story)


def test_a_listener_that_fails_costs_its_own_connection_only() -> None:
    async def story() -> None:
        peer = Peer().open()
        peer.ears.answers = ["\ud800"]  # cannot be written
        peer.say("x")
        await peer.connection.over.wait()
        assert peer.ears.ends == [("connection lost", False)]

    run(story)
