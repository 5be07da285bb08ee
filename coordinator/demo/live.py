"""The live demo: a key is pressed, real processes do it, the screen shows what they say."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

from shared.clock import boottime, wall
from shared.errors import SharedlineError
from shared.messages import Call

from .chronicle import Chronicle
from .closing import CALLEE
from .keys import KeyReader, Press, Verb
from .picture import MOST_WINDOWS, compose, current_calls
from .screen import render
from .stage import Stage, Window
from .terminal import Terminal

_REDRAW_EVERY = 0.05
_FIRST_WINDOWS = 3


async def play(stage: Stage) -> None:
    """Show ``stage`` on the terminal and do what keys say, until the user quits."""
    with Terminal() as terminal:
        await Live(stage, terminal).run()


class Live:
    """One session at the terminal."""

    def __init__(self, stage: Stage, terminal: Terminal) -> None:
        self._stage, self._terminal = stage, terminal
        self._chronicle = Chronicle()
        self._keys = KeyReader()
        self._leaving = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._crash: BaseException | None = None
        self._ended: set[int] = set()
        self._starting = 0

    async def run(self) -> None:
        """Start service and windows, then redraw until the user quits."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._terminal.input, self._read)
        self._spawn(self._open())
        try:
            while not self._leaving.is_set():
                self._watch()
                self._draw()
                await asyncio.sleep(_REDRAW_EVERY)
        finally:
            loop.remove_reader(self._terminal.input)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._crash is not None:
            raise self._crash

    async def _open(self) -> None:
        line = await self._stage.start_service()
        self._chronicle.note(boottime(), f"service: up on port {line['wss']}, pid {self._stage.service.pid}")
        for _ in range(_FIRST_WINDOWS):
            self._spawn(self._add_window())

    # -- what the screen shows ---------------------------------------------------------------------------

    def _watch(self) -> None:
        names = {window.view.instance: window.view.number for window in self._stage.windows}
        for window in self._stage.windows:
            for line in window.new_lines():
                self._chronicle.line(window.view.number, line, names)
            self._watch_end(window)
        for entry in self._stage.ledger.new_entries():
            self._chronicle.entry(entry)

    def _watch_end(self, window: Window) -> None:
        number, status = window.view.number, window.status
        if status is not None and number not in self._ended:
            self._ended.add(number)
            words = window.child.errors.strip().splitlines()
            why = f"signal {-status}" if status < 0 else f"status {status}"
            last_words = f": {words[-1]}" if words else ""
            self._chronicle.note(boottime(), f"window {number} ended with {why}{last_words}")

    def _draw(self) -> None:
        picture = compose(
            self._stage.windows,
            self._stage.ledger.entries,
            self._chronicle,
            began=self._stage.began_at,
            now=boottime(),
            wall=wall(),
            is_served=self._stage.is_served,
        )
        width, height = self._terminal.size()
        self._terminal.show(render(picture, width, height, colour=self._terminal.has_colour))

    # -- what keys do ------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            data = os.read(self._terminal.input, 1024)
        except OSError:
            data = b""  # the terminal has gone
        for press in self._keys.feed(data):
            self._press(press)
        if not data:
            asyncio.get_running_loop().remove_reader(self._terminal.input)

    def _press(self, press: Press) -> None:
        match press.verb:
            case Verb.QUIT:
                self._leaving.set()
            case Verb.CALL_IN:
                self._act("c: a robot calls in", self._call_in())
            case Verb.NEW_WINDOW if len(self._stage.living) + self._starting < MOST_WINDOWS:
                self._act("n: one more process starts", self._add_window())
            case Verb.NEW_WINDOW:
                self._chronicle.act(boottime(), f"n: {MOST_WINDOWS} windows are enough")
            case Verb.KILL:
                self._kill()
            case Verb.DIAL_OUT:
                self._command(f"call {CALLEE}", self._dummy())
            case Verb.ANSWER:
                self._command("answer", self._answering(press.window))
            case Verb.HOLD | Verb.HANG_UP:
                self._change_call(press.verb)

    def _act(self, text: str, work: Coroutine[Any, Any, None]) -> None:
        self._chronicle.act(boottime(), text)
        self._spawn(work)

    def _kill(self) -> None:
        leader = next((window for window in self._stage.living if window.view.leads), None)
        if leader is None:
            self._chronicle.act(boottime(), "k: nobody leads")
            return
        self._chronicle.act(boottime(), f"k: kill -9 {leader.child.pid}, {leader.view.name}, the leader")
        leader.child.kill(signal.SIGKILL)

    def _change_call(self, verb: Verb) -> None:
        """Hold, unhold or end the newest call, from a window that does not have its sound."""
        call = self._newest_call()
        if call is None:
            self._chronicle.act(boottime(), f"{verb}: there is no call")
            return
        others = [window for window in self._stage.living if window.view.instance != call.media_host]
        command = "hangup" if verb is Verb.HANG_UP else "unhold" if call.held else "hold"
        self._command(f"{command} {call.call_id[:8]}", (others or self._stage.living)[-1])

    def _command(self, command: str, window: Window | None) -> None:
        if window is None:
            self._chronicle.act(boottime(), f"{command}: there is no such window")
            return
        self._chronicle.act(boottime(), f"{command}, at {window.view.name}")
        # What becomes of it is among the lines that the window prints.
        window.child.tell(command)

    def _newest_call(self) -> Call | None:
        views = self._stage.views
        if not views:
            return None
        calls = current_calls(max(views, key=lambda view: view.version))
        return next((call for call in reversed(calls) if not call.state.is_final), None)

    def _dummy(self) -> Window | None:
        living = self._stage.living
        return next((window for window in living if not window.view.leads), living[0] if living else None)

    def _answering(self, number: int | None) -> Window | None:
        if number is None:
            return self._dummy()
        return next((window for window in self._stage.living if window.view.number == number), None)

    # -- work that takes its time ------------------------------------------------------------------------

    async def _call_in(self) -> None:
        await self._stage.call_in()

    async def _add_window(self) -> None:
        self._starting += 1
        try:
            await self._stage.add_window()
        finally:
            self._starting -= 1

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (crash := task.exception()):
            self._crash = crash  # a mistake of ours: shown once the terminal is restored
            self._leaving.set()

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (SharedlineError, TimeoutError) as exc:
            text = str(exc).strip().splitlines()
            self._chronicle.note(boottime(), f"failed: {text[-1] if text else 'no answer in time'}")
