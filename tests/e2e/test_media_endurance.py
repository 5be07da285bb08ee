"""What breaks, starves or stands still takes no call down, and what a call took is given back."""

import asyncio
import gc
import os
import socket
import struct
import subprocess
import sys
import threading
import weakref
from collections import OrderedDict
from typing import Any

import pytest

from agents.media.base import FRAME_BYTES
from agents.media.files import Silence, ToneSource
from agents.media.webrtc import WebRtcSession
from shared.actor import new_event_loop
from shared.errors import MediaError

from .sound_pair import LOOPBACK, Ear, connected, hears_tone, is_silent, pair, until


def test_sound_that_has_ended_is_freed_without_the_garbage_collector() -> None:
    async def main() -> None:
        gc.collect()
        gc.disable()  # it comes seldom, and does not see how much C code holds
        try:
            async with connected() as both:
                await both.ears[0].hears(hears_tone(880))
                parts = [(one, one._send, one._receive) for one in (both.one, both.other)]
                ended: list[weakref.ref[Any]] = [weakref.ref(part) for three in parts for part in three]
                del parts
                heard = both.one.counts.received
            assert both.one.counts.received >= heard > 0  # they are still told
            del both
            await until(lambda: not any(session() for session in ended))
            assert not unreachable()
        finally:
            gc.enable()

    asyncio.run(main())


def unreachable() -> list[object]:
    """Return what only the garbage collector can free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = list(gc.garbage)
    gc.garbage.clear()
    return found


def test_the_event_loop_remembers_no_address_of_a_call() -> None:
    def addresses() -> int:
        caches = [known for known in gc.get_objects() if type(known) is OrderedDict]
        return sum(type(value).__name__ == "SockAddrHolder" for known in caches for value in known.values())

    async def main() -> None:
        before = addresses()
        async with connected() as both:
            await both.ears[0].hears(hears_tone(880))
        assert addresses() == before

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


class Starving:
    """A source that gives a frame now and then, and once something of the wrong size."""

    def __init__(self) -> None:
        self._count = 0

    def read(self) -> bytes:
        self._count += 1
        return b"" if self._count % 3 else bytes(FRAME_BYTES if self._count % 2 else 10)

    def close(self) -> None:
        pass


def test_a_source_that_starves_sends_silence_in_time() -> None:
    async def main() -> None:
        async with connected(one=Starving()) as both:
            assert is_silent(await both.ears[1].listen(50))
            assert both.one.counts.sent >= 45

    asyncio.run(main())


class Breaking(Starving):
    """A source whose device is gone."""

    def read(self) -> bytes:
        raise MediaError("unplugged")


def test_a_source_and_a_sink_that_break_do_not_take_the_call_down() -> None:
    class Full(Ear):
        def write(self, frame: bytes) -> None:
            raise MediaError("full")

    async def main() -> None:
        broken = WebRtcSession(Breaking(), Full(), addresses=LOOPBACK)
        ear = Ear()
        whole = WebRtcSession(ToneSource(440), ear, addresses=LOOPBACK)
        try:
            await whole.apply(await broken.answer(await whole.offer()))
            assert is_silent(await ear.listen(30))
            assert broken.state == "connected"
        finally:
            await broken.close()
            await whole.close()

    asyncio.run(main())


def test_a_callback_that_raises_does_not_end_the_connection() -> None:
    async def main() -> None:
        def broken(_what: str) -> None:
            raise RuntimeError("a bug in a program")

        ear, far_ear = Ear(), Ear()
        ours = WebRtcSession(ToneSource(440), ear, addresses=LOOPBACK, on_state=broken, on_tone=broken)
        far = WebRtcSession(ToneSource(880), far_ear, addresses=LOOPBACK)
        try:
            await far.apply(await ours.answer(await far.offer()))
            await ear.hears(hears_tone(880))
            await far.dtmf("1")
            await ear.hears(hears_tone(880))
            await far_ear.hears(hears_tone(440))
        finally:
            await far.close()
            await ours.close()

    asyncio.run(main())


def test_a_close_that_is_given_up_leaves_no_microphone_open() -> None:
    async def main() -> None:
        async with connected() as both:
            assert both.one._link is not None
            address = both.one._link.address
            closing = asyncio.create_task(both.one.close())
            await asyncio.sleep(0)
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
            assert both.ears[0].closed == 1
            await both.one.close()  # waits for the end of what went on in the background
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as successor:
                successor.bind(address)

    asyncio.run(main())


def datagrams_of_strangers() -> list[bytes]:
    """Return what aioice or aiortc stumble over: nothing, too much, STUN attributes cut short."""
    cut = [
        struct.pack("!HHI12sHH", 1, 8, 0x2112A442, b"x" * 12, kind, 2) + bytes(4) for kind in (0x24, 0x8029)
    ]
    return [b"", b"\x80", b"\x80\x6f" + bytes(5000), b"\x80\xc8" + bytes(5000), b"\x16" + bytes(9000), *cut]


@pytest.mark.parametrize("is_small", [True, False])
def test_what_strangers_send_to_the_address_of_a_call_does_not_end_it(is_small: bool) -> None:
    async def main() -> None:
        errors: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
        async with connected() as both:
            assert both.other._link is not None
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for datagram in datagrams_of_strangers():
                    stranger.sendto(datagram, both.other._link.address)
            await both.ears[1].listen(10)
            await both.ears[1].hears(hears_tone(440))
            assert both.other.state == "connected"
        assert errors == []

    with asyncio.Runner(loop_factory=lambda: new_event_loop(is_small=is_small)) as runner:
        runner.run(main())


def test_closing_in_the_middle_of_an_answer_leaves_nothing_open() -> None:
    async def main() -> None:
        async with pair() as both:
            answering = asyncio.create_task(both.other.answer(await both.one.offer()))
            await asyncio.sleep(0)
            await both.other.close()
            with pytest.raises(MediaError, match="closed"):
                await answering
            assert both.other._link is None

    asyncio.run(main())


def test_frames_keep_real_time_without_drift() -> None:
    async def main() -> None:
        async with connected() as both:
            loop = asyncio.get_running_loop()
            first, begun = both.one.counts.sent, loop.time()
            await both.ears[0].listen(150)
            sent, took = both.one.counts.sent - first, loop.time() - begun
            assert abs(sent * 0.02 - took) < 0.15

    asyncio.run(main())


def test_what_was_missed_while_the_process_stood_still_is_skipped_not_sent_late() -> None:
    async def main() -> None:
        async with connected() as both:
            await both.ears[0].hears(hears_tone(880))
            before = both.one.counts.sent
            subprocess.run([sys.executable, "-c", "import time; time.sleep(1.0)"], check=True)  # noqa: ASYNC221
            await asyncio.sleep(0)
            await both.ears[0].listen(10)
            assert both.one.counts.sent - before < 40

    asyncio.run(main())


def test_fifty_sessions_leave_no_task_no_thread_and_no_descriptor_behind() -> None:
    async def main() -> None:
        def counts() -> tuple[int, int, int]:
            descriptors = len(os.listdir("/dev/fd"))
            return len(asyncio.all_tasks()), threading.active_count(), descriptors

        async def once() -> None:
            async with connected() as both:
                await both.ears[0].listen(2)

        await once()
        before = counts()
        for _ in range(25):
            await once()
        for _ in range(5):  # and one that is offered, never answered
            session = WebRtcSession(Silence(), Ear(), addresses=LOOPBACK)
            await session.offer()
            await session.close()
        assert counts() == before

    asyncio.run(main())
