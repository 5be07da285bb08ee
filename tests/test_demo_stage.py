"""The files of the demo."""

import asyncio
from pathlib import Path

import pytest

from coordinator.demo.stage import Ledger, Stage
from shared.errors import ConfigError


def line(event: str) -> str:
    return f'{{"at":1.0,"boottime":1.0,"event":"{event}"}}\n'


def test_a_ledger_is_read_as_it_grows_and_a_line_that_is_being_written_waits(tmp_path: Path) -> None:
    path = tmp_path / "ledger.ndjson"
    ledger = Ledger(path)
    assert ledger.new_entries() == []

    path.write_text(line("REGISTER") + line("INVITE")[:10])
    assert [entry.event for entry in ledger.new_entries()] == ["REGISTER"]
    with path.open("a") as file:
        file.write(line("INVITE")[10:])
    assert [entry.event for entry in ledger.new_entries()] == ["INVITE"]
    assert [entry.event for entry in ledger.entries] == ["REGISTER", "INVITE"]


def test_what_an_earlier_demo_left_in_a_kept_ledger_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "ledger.ndjson"
    path.write_text(line("REGISTER"))
    assert Ledger(path).new_entries() == []


def test_a_place_to_keep_files_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def open_stage() -> None:
        async with Stage(tmp_path / "file" / "below"):
            pass

    with pytest.raises(ConfigError, match="cannot keep anything in"):
        asyncio.run(open_stage())
