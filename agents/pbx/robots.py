"""Robots: callers and callees with real sound, that play one WAV file and record what they hear into another.

A robot is a :class:`~agents.pbx.legs.Leg` whose other side is a media session in this process. Media code is
imported when the first robot needs it: it is large, and the service must listen at once.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import structlog

from shared.errors import ActionRefused, MediaError, SharedlineError

from .ears import Ear, Mouth
from .ledger import Ledger
from .legs import Ends
from .settings import SimulatorSettings
from .views import LegView, RobotState, RobotView

if TYPE_CHECKING:
    from agents.media.base import MediaState
    from agents.media.webrtc import WebRtcSession

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

SOUNDS = Path(__file__).parents[1] / "media" / "sounds"
_ORDER: tuple[RobotState, ...] = ("calling", "ringing", "answered", "ended")
_REMEMBERED = 100
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
        settings: SimulatorSettings,
        ledger: Ledger,
        changed: Callable[[], None],
    ) -> None:
        self.name = robot
        self.number = number
        self.state: RobotState = "calling" if calls else "ringing"
        self.media_state = "new"
        self.ends: Ends | None = None
        self._calls, self._play, self._recording = calls, play, recording
        self._settings, self._ledger, self._changed = settings, ledger, changed
        self._source: Mouth | None = None
        self._sink: Ear | None = None
        self._media: WebRtcSession | None = None
        self._held = False
        self.on_key: Callable[[str], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.hangs_up = False
        """Whether it hangs up when it has played its file."""

        self._keys = ""
        self._over = asyncio.Event()
        self._status: int | None = None
        self._reason = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def offer(self) -> str:
        """Return an offer of a new connection for its sound: of a robot that calls, or is to move.

        Raises:
            MediaError: If the WAV file is none, or the call is over.
        """
        await self._drop_failed()
        return await self._session().offer()

    async def meet(self, sdp: str) -> None:
        """Talk with whoever answered the newest :meth:`offer`; the recording goes on."""
        await self._session().apply(sdp)
        self._hold(False)

    def greet(self) -> None:
        """Say its text again, to somebody who has not heard it."""
        if self._source is not None and self.state != "ended":
            self._source.start_over()

    def ring(self, offer: str) -> None:
        """Answer, a moment later."""
        self._spawn(self._pick_up(offer))

    def progress(self) -> None:
        """Note that the called phones are being called."""
        self._become("ringing")

    def answer(self, sdp: str) -> None:
        """Start the sound of a robot that called."""
        self._become("answered")
        self._spawn(self._apply(sdp))

    def reject(self, status: int, reason: str) -> None:
        """Give up."""
        self._status = status
        self.end(reason)

    def reoffer(self, sdp: str) -> None:
        """Follow the far end to another direction, or to another process."""
        self._spawn(self._reanswer(sdp))

    def reanswer(self, status: int, sdp: str) -> None:
        """Do nothing: a robot wants no change."""

    def end(self, reason: str) -> None:
        """Stop the sound and finish the recording."""
        if self.state != "ended":
            self._reason = reason
            self._over.set()
            self._become("ended")
            if self.on_end is not None:
                self.on_end()
            self._spawn(self.close())

    def hang_up(self) -> None:
        """Hang up, as by control.

        Raises:
            ActionRefused: If the call has ended.
        """
        if self.state == "ended" or self.ends is None:
            raise ActionRefused(
                "wrong_state", f"robot {self.name} has no call: {self._reason or 'it has ended'}"
            )
        self.end("robot hung up")
        self.ends.ended(self, "robot hung up")

    def leave(self) -> None:
        """Hang up if there still is a call."""
        if self.state != "ended" and self.ends is not None:
            self.hang_up()

    def say(self, play: Path) -> None:
        """Play another file from now on."""
        self._play = play
        if self._source is not None:
            self._source.start_over()

    @property
    def is_recorded(self) -> bool:
        """Whether its call is being recorded."""
        return self._sink is not None and self._sink.is_recorded

    def record(self, path: Path | None) -> None:
        """Record both ways of its call into a WAV file from now on; None ends that."""
        from agents.media.files import WavSink

        if self._sink is not None:
            self._sink.record(WavSink(path) if path is not None else None)

    async def close(self) -> None:
        """Release media and files; harmless twice."""
        media, self._media = self._media, None
        if media is not None:
            await media.close()
        for end in (self._source, self._sink):
            if end is not None:
                end.finish()

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
            held=self._held,
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
            held=self._held,
            keys=self._keys,
            recording=str(self._recording),
            seconds=self._sink.seconds if self._sink else 0.0,
            status=self._status,
            reason=self._reason,
        )

    async def _pick_up(self, offer: str) -> None:
        if not self._settings.answer_at_once:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.robot_answer_delay):
                    await self._over.wait()
        if self._live_ends() is None:
            return
        sdp = await self._session().answer(offer)
        ends = self._live_ends()
        if ends is not None:
            self._become("answered")
            ends.answered(self, sdp)

    async def _apply(self, sdp: str) -> None:
        if self._media is not None:
            await self._media.apply(sdp)

    async def _reanswer(self, sdp: str) -> None:
        from agents.sip.sdp import direction_of

        await self._drop_failed()
        try:
            answer = await self._session().answer(sdp)
        except SharedlineError as exc:
            log.warning("robot.reoffer_refused", robot=self.name, reason=str(exc))
            answer = ""
        ends = self._live_ends()
        if ends is None:
            return
        if answer:
            self._hold(direction_of(sdp) in ("sendonly", "inactive"))
        ends.reanswered(self, 200 if answer else 488, answer)

    async def _drop_failed(self) -> None:
        """Make room: a failed connection is final, and a call that goes on gets a new one, same sound."""
        if self._media is not None and self._media.state in ("failed", "closed"):
            await self._media.close()
            self._media = None

    def _live_ends(self) -> Ends | None:
        """Return the call, unless it is over: while we waited, the world went on."""
        return None if self.state == "ended" else self.ends

    def _hold(self, held: bool) -> None:
        if held != self._held:
            self._held = held
            if self._sink is not None:
                self._sink.hears = not held
            self._changed()

    def _session(self) -> "WebRtcSession":
        if self.state == "ended":
            raise MediaError(f"robot {self.name} has no call any more")
        from agents.media.files import WavSink, WavSource
        from agents.media.webrtc import WebRtcSession

        if self._source is None or self._sink is None:
            self._source = Mouth(lambda: WavSource(self._play, on_end=self._said))
            self._sink = Ear(WavSink(self._recording), self._source)
        if self._media is None:
            self._media = WebRtcSession(
                self._source,
                self._sink,
                addresses=self._settings.media_addresses,
                on_state=self._media_changed,
                on_tone=self._key_pressed,
                dead_after=self._settings.flow_grace,
            )
        return self._media

    def _media_changed(self, state: "MediaState") -> None:
        self.media_state = state
        self._ledger.record("ROBOT_MEDIA", leg=self.name, number=self.number, state=state)
        self._changed()

    def _key_pressed(self, key: str) -> None:
        self._keys += key
        self._changed()
        if self.on_key is not None:
            self.on_key(key)

    def _said(self) -> None:
        if self.hangs_up:
            asyncio.get_running_loop().call_later(_LAST_PACKETS, self.leave)

    def _become(self, state: RobotState) -> None:
        if _ORDER.index(state) > _ORDER.index(self.state):
            self.state = state
            self._changed()

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
        was_over = self.state == "ended"
        self.end(reason)
        if self.ends is not None and not was_over:
            if was_ringing:
                self.ends.refused(self, 488, reason)
            else:
                self.ends.ended(self, reason)


class Robots:
    """All robots of the service: those in calls, and the latest that were."""

    def __init__(self, settings: SimulatorSettings, ledger: Ledger) -> None:
        self._settings, self._ledger = settings, ledger
        self._robots: dict[str, Robot] = {}
        self._change = asyncio.Event()
        self._directory = settings.directory / "recordings"
        self._directory.mkdir(mode=0o700, exist_ok=True)
        # Recordings of earlier runs stay.
        taken = [int(path.stem) for path in self._directory.glob("*.wav") if path.stem.isdecimal()]
        self._count = max(taken, default=0)

    def make(self, number: str, *, calls: bool, play: Path | None = None) -> Robot:
        """Return a new robot; its sound is by default the greeting of a caller, the farewell of a callee."""
        self._count += 1
        self._forget()
        robot = Robot(
            f"r{self._count}",
            number,
            calls=calls,
            play=play or SOUNDS / ("greeting.wav" if calls else "farewell.wav"),
            recording=self._directory / f"{self._count}.wav",
            settings=self._settings,
            ledger=self._ledger,
            changed=self._changed,
        )
        self._robots[robot.name] = robot
        return robot

    def all(self) -> list[Robot]:
        """Return them, oldest first."""
        return list(self._robots.values())

    def get(self, robot: str) -> Robot:
        """Return one.

        Raises:
            ActionRefused: If there is none of that id.
        """
        if robot not in self._robots:
            raise ActionRefused("no_such_call", f"there is no robot {robot!r}")
        return self._robots[robot]

    async def until(self, robot: str, state: RobotState, within: float) -> Robot:
        """Return a robot once it is in ``state`` or past it, or ``within`` seconds are over."""
        wanted, found = _ORDER.index(state), self.get(robot)
        try:
            async with asyncio.timeout(within):
                while _ORDER.index(found.state) < wanted:
                    change = self._change
                    await change.wait()
        except TimeoutError:
            pass
        return found

    async def close(self) -> None:
        """End all robots and wait until their recordings are finished."""
        for robot in self.all():
            robot.end("service stopped")
        for robot in self.all():
            await robot.drained()

    def _changed(self) -> None:
        change, self._change = self._change, asyncio.Event()
        change.set()

    def _forget(self) -> None:
        ended = [robot.name for robot in self.all() if robot.state == "ended"]
        for name in ended[: max(len(ended) - _REMEMBERED, 0)]:
            del self._robots[name]
