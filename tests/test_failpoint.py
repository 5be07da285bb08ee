"""A failpoint kills a process that was asked for an action, at its place, and nobody else."""

import os
import signal
import subprocess
import sys

import pytest

from shared import failpoint

SCRIPT = """
import sys
from shared import failpoint
failpoint.reached("sent")
print("before", flush=True)
failpoint.asked()
print("asked", flush=True)
failpoint.reached("sent")
print("sent", flush=True)
"""


def run(point: str) -> tuple[int, list[str]]:
    env = os.environ | {"SHAREDLINE_FAILPOINT": point}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize(
    ("point", "seen"), [("received", ["before"]), ("sent", ["before", "asked"])], ids=["received", "sent"]
)
def test_a_process_dies_at_its_failpoint_once_it_was_asked(point: str, seen: list[str]) -> None:
    assert run(point) == (-signal.SIGKILL, seen)


@pytest.mark.parametrize("point", ["", "nowhere"])
def test_without_one_nothing_happens(point: str) -> None:
    assert run(point) == (0, ["before", "asked", "sent"])


def test_in_this_process_there_is_none() -> None:
    failpoint.asked()
    for point in failpoint.POINTS:
        failpoint.reached(point)
    assert failpoint._fatal == ""
