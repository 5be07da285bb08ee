import os
from pathlib import Path

import pytest

from agents.pbx.claim import Claim
from shared.errors import ConfigError


def test_a_directory_is_one_services_until_it_is_released(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    with pytest.raises(
        ConfigError, match=rf"another simulated service \(process {os.getpid()}\) runs in .*--dir"
    ):
        Claim(tmp_path)
    claim.release()
    claim.release()
    Claim(tmp_path).release()


def test_a_service_that_is_forgotten_lets_go(tmp_path: Path) -> None:
    Claim(tmp_path)
    Claim(tmp_path).release()


def test_a_file_of_an_earlier_run_is_no_obstacle_and_may_hold_anything(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"\xff nonsense")
    claim = Claim(tmp_path)
    (tmp_path / ".lock").write_bytes(b"x\nno number")
    with pytest.raises(ConfigError, match="another simulated service runs in"):
        Claim(tmp_path)
    claim.release()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing"):
        Claim(tmp_path / "missing")
