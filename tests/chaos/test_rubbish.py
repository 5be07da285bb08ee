"""Peers that send rubbish, and peers that do not read: the phone goes on, at its usual pace and size."""

import asyncio
import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from coordinator.lease import FileLease, Vacant
from shared.clock import boottime
from shared.errors import ActionRefused
from shared.messages import (
    MAX_FRAME_BYTES,
    Attach,
    Dial,
    Hangup,
    HostAttach,
    MediaDone,
    Request,
    Window,
    encode,
)

from . import times
from .arena import GROUP, Arena, arena
from .record import say

_FRAMES = 10_000


@pytest.mark.timeout(3000)
def test_ten_thousand_frames_of_rubbish_stop_nobody_and_are_told_in_few_lines() -> None:
    async def main() -> None:
        async with arena(sound=False) as it:
            leader = await it.supervisor.start_window(
                GROUP, it.account, "target", "--no-sound", "--may-lead", **it.environment
            )
            await it.until(lambda: it.is_well and it.leader == leader.pid)
            epoch, began = it.epoch, boottime()
            attack = asyncio.create_task(asyncio.to_thread(send_rubbish, it, times(1) * _FRAMES))
            took = [await answered(it)]
            while not attack.done():
                took.append(await answered(it))
                await asyncio.sleep(0.002)
            peers = await attack
            seconds = boottime() - began
            took.sort()
            p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
            lines = leader.errors.count("\n")
            say(
                f"{times(1) * _FRAMES} frames by {peers} peers in {seconds:.1f} s: {len(took)} actions "
                f"answered meanwhile, p50 {p50 * 1000:.2f} ms, p99 {p99 * 1000:.2f} ms; {lines} log lines"
            )
            assert leader.is_running
            assert (it.epoch, it.leader) == (epoch, leader.pid)
            assert p99 < 0.05
            assert lines <= peers * (seconds + 1)
            assert "Traceback" not in leader.errors
            await it.hire(1)  # a late window still joins, and sees the same state
            await it.peace()
            it.check("P1", "P3", "P4", "P6", "P7")

    asyncio.run(main())


async def answered(it: Arena) -> float:
    """Return how long a valid action takes to be answered."""
    began = boottime()
    with pytest.raises(ActionRefused, match="there is no call"):
        await it.phone.perform(Hangup(call_id="nosuch"), 5.0)
    return boottime() - began


def send_rubbish(it: Arena, count: int) -> int:
    """Send frames to both sockets of the leader, and bytes that are no ZeroMQ; return how many peers did."""
    found = FileLease(it.root / "run" / GROUP, "rubbish").look()
    assert not isinstance(found, Vacant)
    rng, peers = random.Random(3), 0
    frames, pause = rubbish(rng), threading.Event()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        while count > 0:
            burst = min(count, 100)
            count -= burst
            peers += 1
            pause.wait(0.01)  # so that there is time for actions in between
            raw = peers % 4 == 0
            endpoint, kind = (
                (found.endpoints.actions, zmq.DEALER) if peers % 3 else (found.endpoints.state, zmq.XSUB)
            )
            if raw:
                _send_raw(endpoint, [next(frames) for _ in range(burst)], rng)
            else:
                _send_framed(context, endpoint, kind, [next(frames) for _ in range(burst)])
    finally:
        context.destroy(linger=0)
    return peers


def _send_framed(
    context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, kind: int, frames: list[bytes]
) -> None:
    peer = context.socket(kind)
    peer.set(zmq.SNDTIMEO, 500)
    peer.set(zmq.LINGER, 200)
    peer.connect(endpoint)
    try:
        for frame in frames:
            # libzmq 4.3.5 overflows the stack of whoever *sends* a subscription that is so long.
            is_too_long = kind == zmq.XSUB and len(frame) > 10_000
            peer.send(b"\2" + frame[1:] if is_too_long else frame)
    except zmq.Again:
        pass  # cut off: a frame was too long
    finally:
        peer.close()


def _send_raw(endpoint: str, frames: list[bytes], rng: random.Random) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(0.5)
        try:
            peer.connect(endpoint.removeprefix("ipc://"))
            if rng.random() < 0.5:
                peer.sendall(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00NULL" + bytes(48))  # ZMTP's greeting
            for frame in frames:
                peer.sendall(frame)
        except OSError:
            pass  # cut off


def rubbish(rng: random.Random) -> Iterator[bytes]:
    """Yield random, mutated, nested and over-long frames."""
    window = Window(instance="x", name="x", pid=os.getpid())
    valid = [
        encode(Attach(epoch=1, window=window)),
        encode(HostAttach(epoch=1, instance="x")),
        encode(MediaDone(epoch=1, command_id="x", sdp="v=0")),
        encode(Request(action_id="x", instance="x", epoch=1, deadline=1e9, action=Dial(target="199"))),
    ]
    while True:
        roll = rng.random()
        if roll < 0.3:
            yield rng.randbytes(rng.randrange(200))
        elif roll < 0.9:
            frame = bytearray(rng.choice(valid))
            for _ in range(rng.randint(1, 4)):
                frame[rng.randrange(len(frame))] = rng.randrange(256)
            yield bytes(frame)
        elif roll < 0.98:
            yield b"[" * rng.randrange(20_000)
        elif roll < 0.995:
            yield rng.randbytes(MAX_FRAME_BYTES - 1)
        else:
            yield bytes(MAX_FRAME_BYTES + 1)


@pytest.mark.timeout(300)
def test_a_window_that_does_not_read_neither_grows_the_leader_nor_slows_the_others() -> None:
    async def main() -> None:
        async with arena(sound=False) as it:
            await it.hire(3)
            deaf = next(w.pid for w in it.phone.windows if w.candidate and w.pid != it.leader)
            before = await pace(it, 2.0)
            size = memory_kb(it.leader)
            it.stop(deaf)
            during = await pace(it, 5.0)
            grown = memory_kb(it.leader) - size
            it.go_on(deaf)
            say(
                f"a window that slept for 5 s: the leader grew by {grown} kB, others waited "
                f"{before * 1000:.2f} ms before and {during * 1000:.2f} ms meanwhile (p99)"
            )
            assert grown < 20_000
            assert during < max(3 * before, 0.05)
            await it.peace()
            it.check("P1", "P2", "P3", "P6")

    asyncio.run(main())


async def pace(it: Arena, seconds: float) -> float:
    """Cause a hundred states a second; return how long the slowest but one in a hundred was."""
    took: list[float] = []
    end, sequence = boottime() + seconds, it.phone.version.sequence
    while boottime() < end:
        took.append(await answered(it))
        await asyncio.sleep(max(0.01 - took[-1], 0.0))
    assert it.phone.version.sequence - sequence > 50 * seconds
    return sorted(took)[int(len(took) * 0.99)]


def memory_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])
