"""The clock of all sound at the service: every 20 ms, each listener takes what it hears.

A voice is asked for its frame by all who hear it, and makes it once a tick. The clock runs as long as anybody
is on the board; after a stall it skips what was not said in time, as the ends do.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from agents.media.base import FRAME_SECONDS
from shared.log import log

from .voices import Listener

_MOST_BEHIND = 10


class Board:
    """All listeners of one service."""

    def __init__(self) -> None:
        self.tick = 0
        self._listeners: dict[Listener, None] = {}
        self._clock: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, listener: Listener) -> None:
        """Let a listener have its turns; harmless twice."""
        self._listeners[listener] = None
        if self._clock is None:
            self._clock = asyncio.create_task(self._run(), name="sound-board")

    def remove(self, listener: Listener) -> None:
        """Let it be; harmless twice."""
        self._listeners.pop(listener, None)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, whose failures are its own; :meth:`close` waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def close(self) -> None:
        """Stop the clock, and wait for what was begun."""
        self._listeners.clear()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.gather(self._clock, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("sound.crashed", exc_info=error)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self._listeners:
            due += FRAME_SECONDS
            behind = int((loop.time() - due) / FRAME_SECONDS)
            if behind > _MOST_BEHIND:
                due += behind * FRAME_SECONDS
                self.tick += behind
            await asyncio.sleep(max(due - loop.time(), 0))
            self.tick += 1
            for listener in tuple(self._listeners):
                self._step(listener)
        self._clock = None

    def _step(self, listener: Listener) -> None:
        try:
            listener.step(self.tick)
        except Exception:  # one call's failure is not the others'
            log.exception("sound.step_failed")
            self.remove(listener)
