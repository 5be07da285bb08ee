"""Strangers at the door of the simulated service: what they cost, and that phones do not notice them."""

import asyncio
import contextlib
import errno
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from agents.media.files import WavSink, WavSource
from agents.pbx import Simulator
from agents.pbx.ledger import Entry
from agents.pbx.robots import SOUNDS
from agents.sip.events import InviteReceived, SessionConfirmed, SessionEnded

from .service import answer, check_sound, controlled, happens, of, phone_of, raw, refresh, simulate

PLAIN = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HELLO = b"\x16\x03\x01"


async def strangers(simulator: Simulator, count: int, word: bytes = b"") -> list[socket.socket]:
    """Connect so many times, say ``word`` and nothing more."""
    loop = asyncio.get_running_loop()
    found = []
    for _ in range(count):
        one = socket.socket()
        one.setblocking(False)
        await loop.sock_connect(one, ("127.0.0.1", simulator.wss_port))
        if word:
            await loop.sock_sendall(one, word)
        found.append(one)
    return found


async def ended(one: socket.socket) -> bool:
    """Return once the service has closed it."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while await loop.sock_recv(one, 4096):
            pass
    return True


def refusals(entries: list[Entry], kind: str) -> tuple[int, int]:
    """Return how many refusals of a kind the ledger tells, and in how many lines."""
    lines = [entry for entry in of(entries, "FLOW_REFUSED") if (entry.reason or "").startswith(kind)]
    return sum(entry.count or 1 for entry in lines), len(lines)


def close(all_of_them: list[socket.socket]) -> None:
    for one in all_of_them:
        one.close()


def test_the_longest_silent_connection_makes_room_and_a_phone_registers_among_them(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        silent = await strangers(simulator, 60)
        async with asyncio.timeout(5), phone_of(simulator):
            await asyncio.gather(*(ended(one) for one in silent[:39]))
            assert len(simulator.server.flows) == 1
            async with phone_of(simulator, "102"):
                pass
        close(silent)

    entries = simulate(tmp_path, story, max_silent=20, handshake_time=60.0)
    assert refusals(entries, "too many silent")[0] >= 40


def test_a_peer_has_only_its_share_of_the_silent_connections(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        silent = await strangers(simulator, 12)
        async with asyncio.timeout(5):
            await asyncio.gather(*(ended(one) for one in silent[:7]))
        close(silent)

    assert refusals(simulate(tmp_path, story, max_silent_per_peer=5), "too many silent") == (7, 6)


def test_who_says_nothing_in_time_is_sent_away_and_a_flood_is_few_lines(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        silent = await strangers(simulator, 40)
        plain = await strangers(simulator, 40, PLAIN)
        async with asyncio.timeout(5):
            await asyncio.gather(*(ended(one) for one in [*silent, *plain]))
        close([*silent, *plain])

    entries = simulate(tmp_path, story, handshake_time=0.3)
    assert refusals(entries, "no TLS")[0] == 80
    assert refusals(entries, "no TLS")[1] <= 12


def test_who_begins_tls_and_stops_holds_a_place_for_a_short_time_only(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        stuck = await strangers(simulator, 12, HELLO)
        async with asyncio.timeout(10), phone_of(simulator):
            await asyncio.gather(*(ended(one) for one in stuck[:9]))
            assert len(simulator.server.flows) == 1
        close(stuck)

    entries = simulate(tmp_path, story, max_strangers=3, stranger_time=0.2, handshake_time=60.0)
    assert refusals(entries, "too many strangers")[0] >= 9


def test_who_opens_websockets_and_says_nothing_makes_room_for_who_registers(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator) as registered:
            quiet: list[Any] = [await raw(simulator) for _ in range(3)]
            async with phone_of(simulator, "102"):
                with contextlib.suppress(ConnectionClosed):
                    await quiet[0].recv()
                assert len(simulator.server.flows) <= 4
            await refresh(registered)
            for one in quiet:
                await one.close()

    entries = simulate(tmp_path, story, max_strangers=3, stranger_time=0.2)
    lost = [entry for entry in of(entries, "FLOW_CLOSED") if entry.reason == "connection lost"]
    assert [entry.extension for entry in lost] == [None]


def test_phones_that_register_together_are_no_strangers_to_each_other(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        phones = [phone_of(simulator, instance_id=f"line-{number}") for number in range(30)]
        await asyncio.gather(*(phone.register() for phone in phones))
        assert len(simulator.registrar.bindings("101")) == 30
        for phone in phones:
            await phone.close()

    entries = simulate(tmp_path, story, max_strangers=4, max_instances=30, stranger_time=5.0)
    assert not of(entries, "FLOW_REFUSED")


def test_a_failed_tls_handshake_is_one_line_that_says_why(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        def distrust() -> None:
            with (
                socket.create_connection(("127.0.0.1", simulator.wss_port)) as plain,
                pytest.raises(ssl.SSLCertVerificationError),
            ):
                ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")

        await asyncio.to_thread(distrust)
        await simulator.wait_for(lambda entry: entry.event == "FLOW_REFUSED")

    entries = simulate(tmp_path, story)
    assert "TLS failed: tlsv1 alert unknown ca" in [entry.reason for entry in of(entries, "FLOW_REFUSED")]


def test_without_descriptors_the_service_rests_instead_of_trying_again_all_the_time(tmp_path: Path) -> None:
    class Full:
        """A listener whose process has no descriptor left."""

        def __init__(self, listener: Any) -> None:
            self.real, self.tries, self.is_full = listener, 0, True

        def accept(self) -> Any:
            self.tries += 1
            if self.is_full:
                raise OSError(errno.EMFILE, "Too many open files")
            return self.real.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

    async def story(simulator: Simulator) -> None:
        door = simulator.server.door
        full = Full(door._listener)
        door._listener = full  # type: ignore[assignment]  # as good as one
        [one] = await strangers(simulator, 1)
        await happens(simulator, "FLOW_REFUSED")
        for _ in range(200):
            await asyncio.sleep(0)
        assert full.tries == 1
        full.is_full = False
        one.close()
        async with phone_of(simulator):
            assert full.tries > 1

    [refused] = of(simulate(tmp_path, story), "FLOW_REFUSED")[:1]
    assert refused.reason == "Too many open files: no descriptor is left"


def test_a_call_goes_on_with_good_sound_while_strangers_storm_the_door(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"

    async def storm(simulator: Simulator, calm: asyncio.Event) -> None:
        while not calm.is_set():
            flood = await strangers(simulator, 50) + await strangers(simulator, 5, PLAIN)
            flood += await strangers(simulator, 5, HELLO)
            await asyncio.sleep(0.05)
            close(flood)

    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control, phone_of(simulator) as phone:
            calm = asyncio.Event()
            storming = asyncio.create_task(storm(simulator, calm))
            robot = await control.call("101")
            call = await phone.wait(InviteReceived)
            said = asyncio.Event()
            await answer(phone, call, WavSource(SOUNDS / "farewell.wav", on_end=said.set), WavSink(heard))
            await phone.wait(SessionConfirmed)
            await said.wait()
            assert not storming.done()
            calm.set()
            await storming
            await control.hang_up(robot.id)
            assert (await phone.wait(SessionEnded)).cause == "remote_bye"
            await phone.silence()
            check_sound(Path(robot.recording), SOUNDS / "farewell.wav", 697.0)
            check_sound(heard, SOUNDS / "greeting.wav", 941.0)

    entries = simulate(tmp_path / "sim", story, max_silent=100, max_strangers=10, stranger_time=0.5)
    assert of(entries, "CALL_ENDED")[0].reason == "robot hung up"
    assert len(of(entries, "FLOW_CLOSED")) == len(of(entries, "FLOW_OPENED"))
