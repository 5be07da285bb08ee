"""What ``make chaos`` saw, written into docs/reliability.md: a pytest plugin, and what tests tell it.

The record stands between two marks and is replaced whole: date, commit, machine, and a row for each test that
has something to say. A test that failed stands there as well as one that did not.
"""

import os
import platform
import subprocess
import sys
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zmq

from . import SCALE

BEGIN, END = "<!-- written by make chaos -->\n\n", "<!-- end of what make chaos writes -->\n"
_HEAD = "| what | | seen |\n|---|---|---|\n"

_said: defaultdict[str, list[str]] = defaultdict(list)


def say(text: str) -> None:
    """Print what the running test saw, and have it recorded."""
    sys.stdout.write(f"{text}\n")
    _said[os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]].append(text)


class Recorder:
    """Writes the record into ``path`` at the end."""

    def __init__(self, path: Path) -> None:
        self._path, self._began = path, time.monotonic()
        self._outcomes: dict[str, Counter[str]] = defaultdict(Counter)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count how a test ended; it may have had more than one chance."""
        if report.when == "call" or report.failed:
            self._outcomes[report.nodeid][report.outcome] += 1

    def pytest_sessionfinish(self) -> None:
        """Replace the record."""
        text = self._path.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        self._path.write_text(f"{before}{BEGIN}{self._record()}{END}{after}", encoding="utf-8")

    def _record(self) -> str:
        rows = [
            f"| {_sentence(test)} | {_result(outcomes)} | {'; '.join(_said[test])} |\n"
            for test, outcomes in self._outcomes.items()
            if _said[test] or outcomes["failed"]
        ]
        silent = sum(not _said[test] and not outcomes["failed"] for test, outcomes in self._outcomes.items())
        minutes = (time.monotonic() - self._began) / 60
        return (
            f"On {datetime.now(UTC):%Y-%m-%d}, commit {_commit()}, Python {platform.python_version()}, "
            f"libzmq {zmq.zmq_version()}, {os.cpu_count()} processors, load average {os.getloadavg()[2]:.1f} "
            f"in the last quarter of an hour, `SCALE={SCALE:g}`, {minutes:.0f} minutes. Not in the table: "
            f"{silent} tests that held and have no figures.\n\n{_HEAD}{''.join(rows)}\n"
        )


def pytest_configure(config: pytest.Config) -> None:
    """Record if ``CHAOS_RECORD`` says where."""
    if path := os.environ.get("CHAOS_RECORD"):
        config.pluginmanager.register(Recorder(Path(path)))


def _sentence(test: str) -> str:
    return test.rpartition("::")[2].removeprefix("test_").replace("_", " ")


def _result(outcomes: Counter[str]) -> str:
    if outcomes["failed"]:
        return "**broken**"
    return f"held at try {outcomes['rerun'] + 1}" if outcomes["rerun"] else "held"


def _commit() -> str:
    def git(*command: str) -> str:
        return subprocess.run(["git", *command], capture_output=True, text=True, check=False).stdout.strip()

    # What it writes itself is no change.
    is_changed = any("docs/reliability.md" not in line for line in git("status", "--porcelain").splitlines())
    return git("rev-parse", "--short", "HEAD") + (" with changes" if is_changed else "")
