"""A window of Qt's: the phone lives in the toolkit's own loop, and a slot that blocks does not stop it."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("qasync", reason="qasync is not installed", exc_type=ImportError)
pytest.importorskip("PySide6.QtWidgets", reason="Qt cannot be loaded", exc_type=ImportError)


def run_program(story: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.qt_program", story],
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_slot_that_blocks_the_leaders_window_does_not_stop_the_phone() -> None:
    run_program("blocked")


def test_the_desktop_window_shows_a_call_and_its_button_answers_and_ends_it() -> None:
    run_program("desktop")
