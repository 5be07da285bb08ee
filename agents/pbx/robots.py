"""Robots: callers and callees that play one WAV file and record what they hear into another.

A robot is a :class:`~agents.pbx.legs.Leg` whose mouth and ears are at the board of the service: it needs no
connection, and is heard as soon as whoever talks with it has one.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from shared.errors import ActionRefused, SharedlineError
from shared.log import log

from .ears import Head
from .ledger import Ledger
from .legs import Ends
from .media.board import Board
from .media.recorder import Nowhere, Recorders
from .roster import Roster
from .settings import SimulatorSettings
from .views import LegView, RobotState, RobotView

if TYPE_CHECKING:
    from agents.media.base import MediaState


SOUNDS = Path(__file__).parents[1] / "media" / "sounds"
_ORDER: tuple[RobotState, ...] = ("calling", "ringing", "answered", "ended")
_REMEMBERED = 100
_MOST_KEYS = 1000
_LAST_PACKETS = 0.3  # seconds between the end of a file and hanging up


class Robot:
    """One robot and its one call. ``play`` and ``recording`` are WAV files."""

    def __init__(
        self,
        robot: str,
        number: str,
        *,
        calls: bool,
        play: Path,
        recording: Path,
        longest: float | None,
        stage: "Stage",
    ) -> None:
        self.name = robot
        self.number = number
        self.state: RobotState = "calling" if calls else "ringing"
        self.media_state: MediaState = "new"
        self.holds = False
        self.held = False
        """Whether the other end holds it."""

        self.ends: Ends | None = None
        self._calls, self._play, self._recording = calls, play, recording
        self._longest, self._stage = longest, stage
        self._head: Head | None = None
        self.on_key: Callable[[str], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.hangs_up = False
        """Whether it hangs up when it has played its file."""

        self._keys = ""
        self._seconds = 0.0  # it has heard, when it has ended
        self._over = asyncio.Event()
        self._status: int | None = None
        self._reason = ""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def party(self) -> Head | None:
        """Its mouth and ears."""
        return self._head

    def open(self) -> None:
        """Open its files.

        Raises:
            MediaError: If what it is to play is no WAV file, or its recording cannot be written.
        """
        from agents.media.files import WavSource

        if self._head is None:
            longest = self._longest or self._stage.settings.max_recording
            sink = self._stage.recorders.sink(self._recording, longest) or Nowhere()
            self._head = Head(
                self._stage.board, lambda: WavSource(self._play, on_end=self._said), sink, self._key_pressed
            )
            if self._longest is not None:
                sink.on_full = self.leave

    def greet(self) -> None:
        """Say its text again, to somebody who has not heard it."""
        if self._head is not None and self.state != "ended":
            self._head.mouth.start_over()

    def ring(self) -> None:
        """Answer, a moment later."""
        self._spawn(self._pick_up())

    def progress(self, then: Callable[[], None]) -> None:
        """Note that the called phones are being called."""
        self._become("ringing")
        then()

    def answer(self) -> None:
        """Talk, as a robot that called."""
        self._become("answered")

    def reject(self, status: int, reason: str) -> None:
        """Give up."""
        self._status = status
        self.end(reason)

    def partner_is(self, state: "MediaState", *, holds: bool) -> None:
        """Begin to listen when the other end's sound is connected; be held, or not any more."""
        if self.state == "ended":
            return
        if state == "connected" and self._head is not None:
            self._head.listen()
        if state != self.media_state:
            self._media_is(state)
        if holds != self.held:
            self.held = holds
            self._stage.changed()

    def end(self, reason: str) -> None:
        """Stop the sound and finish the recording. What is remembered of it then is what its view shows."""
        if self.state != "ended":
            self._reason = reason
            self._over.set()
            if self.media_state != "new":
                self._media_is("closed")
            self._become("ended")
            self._close_head()
            on_end, self.on_end, self.on_key, self.ends = self.on_end, None, None, None
            if on_end is not None:
                on_end()

    def hang_up(self) -> None:
        """Hang up, as by control.

        Raises:
            ActionRefused: If the call has ended.
        """
        if self.state == "ended" or self.ends is None:
            raise ActionRefused(
                "wrong_state", f"robot {self.name} has no call: {self._reason or 'it has ended'}"
            )
        ends = self.ends
        self.end("robot hung up")
        ends.ended(self, "robot hung up")

    def leave(self) -> None:
        """Hang up if there still is a call."""
        if self.state != "ended" and self.ends is not None:
            self.hang_up()

    def say(self, play: Path) -> None:
        """Play another file from now on."""
        self._play = play
        self.greet()

    async def drained(self) -> None:
        """Wait until what was begun is done."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def view(self) -> LegView:
        """Return it as a leg of its call."""
        return LegView(
            leg=self.name,
            kind="robot",
            number=self.number,
            owner=self.name,
            state=self.state,
            held=self.held,
        )

    def robot_view(self) -> RobotView:
        """Return it as the control API shows it."""
        direction: Literal["inbound", "outbound"] = "outbound" if self._calls else "inbound"
        return RobotView(
            id=self.name,
            direction=direction,
            number=self.number,
            state=self.state,
            media=self.media_state,
            held=self.held,
            keys=self._keys,
            recording=str(self._recording),
            seconds=self._head.seconds if self._head else self._seconds,
            status=self._status,
            reason=self._reason,
        )

    async def _pick_up(self) -> None:
        if not self._stage.settings.answer_at_once:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._stage.settings.robot_answer_delay):
                    await self._over.wait()
        if self._live_ends() is None:
            return
        self.open()
        ends = self._live_ends()
        if ends is not None:
            self._become("answered")
            ends.answered(self)

    def _live_ends(self) -> Ends | None:
        """Return the call, unless it is over: while we waited, the world went on."""
        return None if self.state == "ended" else self.ends

    def _close_head(self) -> None:
        head, self._head = self._head, None
        if head is not None:
            head.close()
            self._seconds = head.seconds

    def _media_is(self, state: "MediaState") -> None:
        self.media_state = state
        self._stage.ledger.record("ROBOT_MEDIA", leg=self.name, number=self.number, state=state)
        self._stage.changed()

    def _key_pressed(self, key: str) -> None:
        self._keys = (self._keys + key)[-_MOST_KEYS:]
        self._stage.changed()
        if self.ends is not None:
            self.ends.pressed(self, key)
        if self.on_key is not None:
            self.on_key(key)

    def _said(self) -> None:
        if self.hangs_up:
            asyncio.get_running_loop().call_later(_LAST_PACKETS, self.leave)

    def _become(self, state: RobotState) -> None:
        if _ORDER.index(state) > _ORDER.index(self.state):
            self.state = state
            self._stage.changed()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guard(work), name=f"robot {self.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """A robot's failure ends its own call, and nothing else."""
        try:
            await work
        except SharedlineError as exc:
            log.warning("robot.failed", robot=self.name, reason=str(exc))
            self._fail(str(exc))
        except Exception as exc:
            log.exception("robot.crashed", robot=self.name)
            self._fail(f"{type(exc).__name__}: {exc}")

    def _fail(self, reason: str) -> None:
        was_ringing = self.state == "ringing" and not self._calls
        ends = self._live_ends()
        self.end(reason)
        if ends is not None:
            if was_ringing:
                ends.refused(self, 488, reason)
            else:
                ends.ended(self, reason)


class Stage:
    """Where all sound of the service is played and recorded."""

    def __init__(self, settings: SimulatorSettings, ledger: Ledger) -> None:
        self.settings, self.ledger, self.board = settings, ledger, Board()
        directory = settings.directory / "recordings"
        self.recorders = Recorders(self.board, directory, most=settings.max_recorders)
        self.change = asyncio.Event()

    def changed(self) -> None:
        """Wake whoever waits for a change of a robot."""
        change, self.change = self.change, asyncio.Event()
        change.set()


class Robots(Roster[Robot]):
    """All robots of the service: those in calls, and the latest that were."""

    def __init__(self, stage: Stage) -> None:
        super().__init__("robot")
        self._stage = stage
        self._directory = stage.recorders.directory
        # Recordings of earlier runs stay.
        taken = [int(path.stem) for path in self._directory.glob("*.wav") if path.stem.isdecimal()]
        self._count = max(taken, default=0)

    def make(
        self, number: str, *, calls: bool, play: Path | None = None, longest: float | None = None
    ) -> Robot:
        """Return a new robot; its sound is by default the greeting of a caller, the farewell of a callee.

        ``longest``: after recording so many seconds it hangs up; without, it stays, and records no more after
        an hour.
        """
        self._count += 1
        self._forget()
        robot = Robot(
            f"r{self._count}",
            number,
            calls=calls,
            play=play or SOUNDS / ("greeting.wav" if calls else "farewell.wav"),
            recording=self._directory / f"{self._count}.wav",
            longest=longest,
            stage=self._stage,
        )
        self.add(robot.name, robot)
        return robot

    async def until(self, robot: str, state: RobotState, within: float) -> Robot:
        """Return a robot once it is in ``state`` or past it, or ``within`` seconds are over."""
        wanted, found = _ORDER.index(state), self.get(robot)
        try:
            async with asyncio.timeout(within):
                while _ORDER.index(found.state) < wanted:
                    await self._stage.change.wait()
        except TimeoutError:
            pass
        return found

    async def close(self) -> None:
        """End all robots and wait until their recordings are finished."""
        for robot in self.all():
            robot.end("service stopped")
        for robot in self.all():
            await robot.drained()

    def _forget(self) -> None:
        ended = [robot.name for robot in self.all() if robot.state == "ended"]
        for name in ended[: max(len(ended) - _REMEMBERED, 0)]:
            self.remove(name)
