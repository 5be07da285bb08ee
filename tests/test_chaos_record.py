"""What a chaos run leaves in the documents."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos.record import BEGIN, END, Recorder, say

HERE = f"tests/{Path(__file__).name}"


def ran(test: str, outcome: str) -> Any:
    return SimpleNamespace(nodeid=f"{HERE}::{test}", outcome=outcome, when="call", failed=outcome == "failed")


def test_the_record_is_replaced_and_all_around_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}an old run\n{END}\nafter\n")
    recorder = Recorder(page)
    monkeypatch.setenv("PYTEST_CURRENT_TEST", f"{HERE}::test_a_leader_dies (call)")
    say("50 deaths")
    say("out of reach for 40 ms")
    for test, outcome in (
        ("test_a_leader_dies", "rerun"),
        ("test_a_leader_dies", "passed"),
        ("test_it_ends", "failed"),
        ("test_of_no_figures", "passed"),
    ):
        recorder.pytest_runtest_logreport(ran(test, outcome))
    recorder.pytest_sessionfinish()
    text = page.read_text()
    assert text.startswith(f"# Before\n\n{BEGIN}On 2")
    assert text.endswith(f"{END}\nafter\n")
    assert "an old run" not in text
    assert "| a leader dies | held at try 2 | 50 deaths; out of reach for 40 ms |" in text
    assert "| it ends | **broken** |  |" in text
    assert "1 tests that held and have no figures" in text
