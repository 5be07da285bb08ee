"""Sound: how late a voice is heard, how many calls a processor carries, what a thousand leave behind."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from .pulse import is_available, open_pulse
from .report import AnyRow, CountRow, MemoryRow, MissingRow, timed
from .stage import Stage
from .worker import Worker, open_worker

_CALLS = 25
_BURSTS = 100
_ROUNDS = 5
#: Bursts in the first four seconds of a call, in which its queues find out how little they may hold.
_SETTLING = 10
_FIRST, _ALL = 100, 1000
_AT_A_TIME = 300  # a busy machine makes four a second, and an answer is waited for two minutes


def _worker(
    *words: str, environment: Mapping[str, str], processor: int | None = None
) -> AbstractAsyncContextManager[Worker]:
    """Run a role of :mod:`.sound_roles`."""
    command = (sys.executable, "-m", f"{__package__}.sound_roles", *words)
    return open_worker(*command, environment=environment, processor=processor)


async def measure_sound(stage: Stage) -> Sequence[AnyRow]:
    """Return ``mouth_to_ear`` where there is PulseAudio, ``calls_25_loop_lag``, and what is left of calls."""
    rows: list[AnyRow] = []
    if is_available():
        rows += await _mouth_to_ear(stage)
    else:
        rows.append(MissingRow(name="mouth_to_ear", missing="pulseaudio or libportaudio2 is not installed"))
    rows += await _many_calls(stage)
    rows += await _series(stage)
    return rows


async def _introduce(one: Worker, other: Worker, calls: int) -> None:
    """Exchange the descriptions of so many calls between two workers."""
    for _ in range(calls):
        offer = (await one.ask(offering=True))["sdp"]
        one.say(answer=(await other.ask(offer=offer))["sdp"])
    for worker in (one, other):
        await worker.answer()  # connected


async def _mouth_to_ear(stage: Stage) -> list[AnyRow]:
    """A voice into one device, a call between processes, out of another; a plain wire in its place."""
    calls = stage.rounds(_ROUNDS)
    bursts = stage.rounds(_BURSTS) // calls
    called: list[float] = []
    wired: list[float] = []
    async with open_pulse(("mouth", "ear")) as environment, AsyncExitStack() as stack:

        async def start(*words: str) -> Worker:
            return await stack.enter_async_context(_worker(*words, environment=environment))

        listener = await start("delays", "mouth_speaker", "mouth_mic", "ear_mic")
        for _ in range(calls):  # in turns, so that both see the same machine
            async with AsyncExitStack() as call:
                talker = await call.enter_async_context(
                    _worker("calls", "1", "device:mouth_mic", "none", environment=environment)
                )
                hearer = await call.enter_async_context(
                    _worker("calls", "1", "silence", "device:ear_speaker", environment=environment)
                )
                await _introduce(talker, hearer, 1)
                called += (await listener.ask(bursts=bursts + _SETTLING))["delays"][_SETTLING:]
            async with _worker("wire", "mouth_mic", "ear_speaker", environment=environment) as plain:
                await plain.answer()
                wired += (await listener.ask(bursts=bursts))["delays"][1:]
    return [timed("mouth_to_ear", called, wired, "one PortAudio stream")]


async def _many_calls(stage: Stage) -> list[AnyRow]:
    """25 calls in a process on one processor, their far ends on the other; the same with aiortc's own."""
    seconds = stage.rounds(15)
    lags, share = await _loaded("calls", (str(_CALLS), "tone:440", "none"), seconds)
    bare, bare_share = await _loaded("aiortc_calls", (str(_CALLS),), seconds)
    return [
        timed(f"calls_{_CALLS}_loop_lag", lags, bare, "aiortc"),
        CountRow(name=f"calls_{_CALLS}_processor_percent", n=1, count=round(share * 100, 1)),
        CountRow(name=f"aiortc_{_CALLS}_processor_percent", n=1, count=round(bare_share * 100, 1)),
    ]


async def _loaded(role: str, words: tuple[str, ...], seconds: int) -> tuple[list[float], float]:
    environment = dict(os.environ)
    async with (
        _worker(role, *words, environment=environment, processor=0) as one,
        _worker(role, *words, environment=environment, processor=1) as other,
    ):
        await _introduce(one, other, _CALLS)
        await one.ask(seconds=2)  # until all is in its stride
        facts = await one.ask(seconds=seconds)
        return facts["lags"], facts["processor"]


async def _series(stage: Stage) -> list[AnyRow]:
    """Call, hear, hang up, again and again; what is held after all compared with after the first hundred."""
    first, count = stage.rounds(_FIRST), stage.rounds(_ALL)
    environment = os.environ | stage.environment
    async with _worker("series", "series", stage.account, "199", environment=environment) as worker:
        early = late = await worker.ask(calls=first)
        for made in range(first, count, _AT_A_TIME):
            late = await worker.ask(calls=min(_AT_A_TIME, count - made))
    rows: list[AnyRow] = [
        MemoryRow(name="calls_in_series_growth_mb", n=count, mb=round(late["mb"] - early["mb"], 1))
    ]
    rows += [
        CountRow(name=f"calls_in_series_more_{what}", n=count, count=late[what] - early[what])
        for what in ("tasks", "threads", "descriptors")
    ]
    return rows
