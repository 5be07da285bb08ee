"""The wheel as somebody gets it who installs it: built here, unpacked elsewhere, run from there."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ..sources import PACKAGES, ROOT
from .imports import spared


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return next(folder.glob("sharedline-*.whl"))


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_our_three_packages_and_nothing_else(wheel: Path) -> None:
    top = {name.split("/")[0] for name in names_in(wheel)}
    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)


def test_the_wheel_holds_every_module_sound_and_type_marker(wheel: Path) -> None:
    sources = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".py", ".wav"} or path.name == "py.typed"
    }
    assert sources - names_in(wheel) == set()
    assert sum(name.endswith("py.typed") for name in sources) == len(PACKAGES)
    assert {Path(name).name for name in sources} >= {"greeting.wav", "farewell.wav"}


def test_the_wheel_installs_the_command_and_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        texts = {
            name.split("/", 1)[1]: archive.read(name).decode()
            for name in archive.namelist()
            if "dist-info" in name
        }
    assert "sharedline = coordinator.command:main" in texts["entry_points.txt"]
    assert "MIT" in texts["licenses/LICENSE"]
    assert "License-Expression: MIT" in texts["METADATA"]


def test_the_unpacked_wheel_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        "import coordinator, coordinator.command as cli; print(coordinator.__file__); cli.main(['--help'])"
    )
    done = run_in(tmp_path, program)
    assert done.stdout.startswith(str(tmp_path))
    assert "simulator" in done.stdout


def test_a_window_that_hosts_no_sound_loads_no_media_library(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = "import sys, coordinator; print(*sys.modules)"
    assert spared(run_in(tmp_path, program).stdout.split()) == set()


def run_in(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
