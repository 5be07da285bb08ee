"""What the steps of the story share: who plays which part, and what is done more than once."""

from dataclasses import dataclass, field
from pathlib import Path

from agents.pbx.ledger import Entry
from agents.pbx.views import RobotView
from shared.clock import boottime
from shared.messages import Direction

from . import checks, hearing
from .report import Report, ms, spread
from .stage import EXTENSION, OURS, Stage, Window
from .view import View


@dataclass(slots=True)
class Scene:
    """The parts. The order in which processes become leader is theirs, so parts are given as they do."""

    stage: Stage
    report: Report
    epoch: int = 1
    leader: Window = field(init=False)
    host: Window = field(init=False)  # where the first call was answered
    other: Window = field(init=False)  # neither of them
    robot: RobotView = field(init=False)  # the far end of the call of the moment
    call_id: str = ""
    killed_at: float = 0.0

    @property
    def views(self) -> list[View]:
        """What the living windows show."""
        return self.stage.views

    @property
    def far_recording(self) -> Path:
        """What the far end of the call of the moment hears."""
        return Path(self.robot.recording)

    @property
    def short_id(self) -> str:
        """The call of the moment, as a command names it."""
        return self.call_id[:8]

    async def ring(self) -> str:
        """Have a robot call, see it ring in every window, and say when."""
        since = boottime()
        self.robot = await self.stage.call_in()
        self.call_id = await self.stage.until(
            "every window shows the same new call",
            lambda: checks.new_call(self.views, Direction.INBOUND, since=since),
        )
        rang = await self.stage.until(
            "the call rings in every window",
            lambda: checks.shown(self.views, self.call_id, checks.is_ringing),
        )
        begun = await self.entry("CALL_STARTED", after=since, leg=self.robot.id)
        took = spread([at - begun.boottime for at in rang.values()])
        self.report.figure("call at the service -> ringing in every window", took)
        number = self.views[0].calls[self.call_id].now.remote_number
        return f"{number} calls: rings in {len(rang)} windows after {took}"

    async def answer(self, window: Window) -> str:
        """Have a window answer, see it answered in every window, and say when the service had its 200."""
        began = boottime()
        done = await window.do(f"answer {self.short_id}")
        pressed_at = float(done["at"]) - float(done["took_ms"]) / 1000
        call = await self.entry("CALL_STARTED", leg=self.robot.id)
        accepted = await self.entry(
            "RESPONSE", after=began, direction="in", method="INVITE", status=200, call=call.call
        )
        answered = await self.stage.until(
            "the call is answered in every window",
            lambda: checks.shown(self.views, self.call_id, checks.is_answered),
        )
        took = ms(accepted.boottime - pressed_at)
        everywhere = ms(max(answered.values()) - pressed_at)
        self.report.figure("answer pressed -> 200 OK at the service", took)
        role = "the leader" if window.view.leads else "not the leader"
        return (
            f"{window.view.name} ({role}) answers: 200 OK at the service after {took}, "
            f"every window shows it after {everywhere}"
        )

    def caller(self) -> Window:
        """Return a window that does not lead, and had no call yet if there is one: it has one recording."""
        dummies = [window for window in self.stage.living if window is not self.leader]
        return next((window for window in dummies if window is not self.host), dummies[0])

    async def sound_since(self, robot: RobotView) -> float:
        """Return when a robot's sound was connected: the beginning of its recording."""
        return (await self.entry("ROBOT_MEDIA", leg=robot.id, state="connected")).boottime

    async def heard_since(self, at: float) -> str:
        """Return how well the far end hears what our window says, and from how long after ``at`` on.

        Raises:
            NotObserved: It does not hear it.
        """
        begin = at - await self.sound_since(self.robot)
        part = await hearing.heard_part(OURS, self.far_recording, begin)
        piece = f"{part.likeness} over {hearing.PART_SECONDS:g} s"
        return f"{OURS.name}, {piece} that begin {ms(part.begin - begin)}"

    async def entry(self, event: str, *, after: float = 0.0, **facts: object) -> Entry:
        """Return an entry of the ledger once it is there."""
        what = " ".join(
            [f"the service's ledger has {event}", *(f"{name} {value}" for name, value in facts.items())]
        )
        return await self.stage.until(
            what, lambda: checks.entry(self.stage.ledger.entries, event, after=after, **facts)
        )

    async def one_binding(self) -> str:
        """See that the registrar has exactly one binding that works, and return its instance id."""
        bindings = await self.stage.control.bindings(EXTENSION)
        if len(bindings) != 1 or not bindings[0].reachable:
            raise checks.NotObserved(f"the registrar has {len(bindings)} bindings: {bindings}")
        return bindings[0].instance_id
