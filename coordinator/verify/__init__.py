"""The checker: decides from what a run left behind whether the promises P1 to P7 were kept.

It reads the simulated service's ledger, which is the truth about effects, and the traces of the windows
(:mod:`shared.trace`), which say what was asked, told and shown. Each promise is one module here, and ends in
one :class:`Verdict`: passed, violated with the lines that prove it, or undecided where the files do not tell.

    Promise  Module         The question
    P1       leaders        Does one process act per epoch, and nobody after it was deposed?
    P2       actions        Has each action at most one effect, and an acknowledged one its effect?
    P3       convergence    Does every window come to the newest state in time, and never go back?
    P4       binding        Is there one binding, and is there one again in time?
    P5       calls          Do answered calls survive, and are lost ones reported lost everywhere in time?
    P6       bounds         Do memory, descriptors, tasks and threads stay bounded?
    P7       secrecy        Is any secret in any file?
"""

from collections.abc import Callable
from pathlib import Path

from . import actions, binding, bounds, calls, convergence, leaders, secrecy
from .evidence import Evidence, gather
from .verdict import Verdict

_PROMISES: tuple[Callable[[Evidence], Verdict], ...] = (
    leaders.judge,
    actions.judge,
    convergence.judge,
    binding.judge,
    calls.judge,
    bounds.judge,
    secrecy.judge,
)

__all__ = ["Verdict", "judge", "report"]


def judge(directory: Path) -> list[Verdict]:
    """Return the verdicts on what ``directory`` and all below it hold, P1 to P7.

    Raises:
        ConfigError: There is nothing to judge, or a file is not what its name says.
    """
    evidence = gather(directory)
    return [promise(evidence) for promise in _PROMISES]


def report(verdicts: list[Verdict]) -> tuple[list[str], int]:
    """Return a line for each promise, its proof below it if it was broken, and the exit status.

    The status is 0 if at least one promise could be decided and none was broken, else 1.
    """
    lines = [line for verdict in verdicts for line in verdict.lines()]
    is_good = all(verdict.is_kept is not False for verdict in verdicts)
    is_decided = any(verdict.is_kept for verdict in verdicts)
    return lines, 0 if is_good and is_decided else 1
