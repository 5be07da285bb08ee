"""The targets of ``tests/fuzz``: their seeds everywhere, and a short run where atheris is installed."""

import importlib.util
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .fuzz.seeds import seeds
from .fuzz.targets import TARGETS

ROOT = Path(__file__).parents[1]
#: What libFuzzer writes at its end. It counts in whole seconds.
EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_takes_its_seeds_and_what_is_left_of_them_after_damage(target: str) -> None:
    chance = random.Random(target)
    assert seeds(target)
    for seed in seeds(target):
        TARGETS[target](seed)
        for _ in range(20):
            at, end = sorted(chance.randrange(len(seed) + 1) for _ in range(2))
            piece = chance.choice(
                ["", seed[at:end] * 2, chr(chance.randrange(0xD800)), '"', "<", ";", "\r\n", " "]
            )
            TARGETS[target](seed[:at] + piece + seed[end:])


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this system"
)
@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run_finds_nothing(target: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target, "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=100,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    executed = EXECUTED.search(run.stderr)
    assert executed is not None, run.stderr
    assert int(executed[1]) > 50
