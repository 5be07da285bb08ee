"""The story, told unattended: its steps in order, each of them done only when all of it was observed."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

from shared.errors import SharedlineError

from . import closing, failover, opening
from .report import Report
from .scene import Scene
from .stage import Stage


class Step(NamedTuple):
    """A step does something, and yields a line for everything that it has seen.

    It takes what it tells from what windows printed, the service's ledger and the recordings, and raises
    :exc:`.checks.NotObserved`, or what failed, when it does not see what it should.
    """

    title: str
    play: Callable[[Scene], AsyncIterator[str]]


STEPS = (
    Step("service", opening.service),
    Step("join", opening.join),
    Step("ring", opening.ring),
    Step("answer", opening.answer),
    Step("speech", opening.speech),
    Step("hold", opening.hold),
    Step("unhold", opening.unhold),
    Step("latecomer", opening.latecomer),
    Step("kill", failover.kill),
    Step("register", failover.register),
    Step("call's fate", failover.fate),
    Step("next call", failover.next_call),
    Step("hang up", failover.hang_up),
    Step("dial out", closing.dial),
    Step("far end", closing.far_end),
    Step("leave", closing.leave),
    Step("ledger", closing.ledger),
)


async def tell_story(stage: Stage, report: Report, steps: Sequence[Step]) -> bool:
    """Play ``steps`` on ``stage``; return whether all was observed. Ends at the first that was not."""
    scene = Scene(stage, report)
    for number, step in enumerate(steps):
        try:
            async for text in step.play(scene):
                report.observed(step.title, text)
        # A window that hangs or dies is a thing that was not to be seen, like any other.
        except (SharedlineError, TimeoutError) as exc:
            not_tried = [later.title for later in steps[number + 1 :]]
            report.failed(step.title, str(exc) or "a process did not answer in time", not_tried)
            return False
        report.step_done()
    return True
