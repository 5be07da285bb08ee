"""State machines on the pure cores: Hypothesis looks for steps that break a promise, and shortens them.

:mod:`tests.simulation` runs whole groups by seed, and judges what reached the service. Here each core is by
itself, next to a small model of what it must do, and steps come in orders that no seed would think of.

The ordinary run is the same each time. ``STATEFUL_SCALE=100`` runs as many times more, by chance.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

_SCALE = int(os.environ.get("STATEFUL_SCALE", "1"))
#: Seconds for shortening what failed: Hypothesis' own 300 are more than a test may take, which would then end
#: without a word of what it has found. (One of the constants that its documentation gives away for this.)
_SHRINKING_TIME = 40 * _SCALE


def explore(machine: type[RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    """Run so many examples of at most so many steps; fail with the shortest one that breaks something."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "MAX_SHRINKING_SECONDS", min(_SHRINKING_TIME, engine.MAX_SHRINKING_SECONDS))
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples * _SCALE,
                stateful_step_count=steps,
                derandomize=_SCALE == 1,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
