"""Two ends of a call in one process, on 127.0.0.1, and ears that can be waited for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from agents.media.analysis import rms_level, tone_level
from agents.media.base import MediaState, Source
from agents.media.files import ToneSource
from agents.media.webrtc import WebRtcSession

LOOPBACK = ("127.0.0.1",)


class Ear:
    """A sink that remembers, and can be waited for."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed = 0

    def write(self, frame: bytes) -> None:
        self.frames.append(frame)

    def close(self) -> None:
        self.closed += 1

    async def hears(self, what: Callable[[bytes], bool]) -> None:
        """Return once the newest five frames are ``what``."""
        await until(lambda: what(b"".join(self.frames[-5:])) and len(self.frames) >= 5)

    async def listen(self, frames: int) -> bytes:
        """Return the next ``frames`` frames."""
        first = len(self.frames)
        await until(lambda: len(self.frames) >= first + frames)
        return b"".join(self.frames[first : first + frames])


def hears_tone(hz: float) -> Callable[[bytes], bool]:
    return lambda pcm: tone_level(pcm, hz) > 0.15


def is_silent(pcm: bytes) -> bool:
    return rms_level(pcm) < 0.0005


async def until(condition: Callable[[], bool], *, within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - sound has no event to wait for
            await asyncio.sleep(0.002)


class Pair:
    """Two connected sessions and what they told."""

    def __init__(self, one: Source, other: Source, **options: Any) -> None:
        self.ears = Ear(), Ear()
        self.states: tuple[list[MediaState], list[MediaState]] = ([], [])
        self.tones: tuple[list[str], list[str]] = ([], [])
        self.one, self.other = (
            WebRtcSession(
                source,
                self.ears[index],
                addresses=LOOPBACK,
                on_state=self.states[index].append,
                on_tone=self.tones[index].append,
                **options,
            )
            for index, source in enumerate((one, other))
        )

    async def connect(
        self, edit: Callable[[str], str] = str, edit_answer: Callable[[str], str] = str
    ) -> None:
        await self.one.apply(edit_answer(await self.other.answer(edit(await self.one.offer()))))
        await until(lambda: self.one.state == self.other.state == "connected")


@contextlib.asynccontextmanager
async def pair(one: Source | None = None, other: Source | None = None, **options: Any) -> AsyncIterator[Pair]:
    both = Pair(one or ToneSource(440), other or ToneSource(880), **options)
    try:
        yield both
    finally:
        await both.one.close()
        await both.other.close()


@contextlib.asynccontextmanager
async def connected(
    one: Source | None = None,
    other: Source | None = None,
    *,
    edit: Callable[[str], str] = str,
    edit_answer: Callable[[str], str] = str,
    **options: Any,
) -> AsyncIterator[Pair]:
    """Return a pair that is connected, its descriptions edited on their way."""
    async with pair(one, other, **options) as both:
        await both.connect(edit, edit_answer)
        yield both


def without(*names: str) -> Callable[[str], str]:
    """Return what removes the lines that begin so."""
    return lambda sdp: "".join(
        line
        for line in sdp.splitlines(keepends=True)
        if not line.startswith(tuple(f"a={name}" for name in names))
    )
