import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agents.pbx.ledger import Entry, Ledger, read_ledger
from shared.errors import ConfigError

ledgers: list[Ledger] = []


@pytest.fixture(autouse=True)
def _close_ledgers() -> Iterator[None]:
    yield
    while ledgers:
        ledgers.pop().close()


def make_ledger(directory: Path) -> Ledger:
    ledgers.append(Ledger(directory / "ledger.ndjson"))
    return ledgers[-1]


def test_each_entry_is_one_line_that_is_in_the_file_at_once(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.record("REGISTER", status=200, extension="101", bindings=1)

    [line] = (tmp_path / "ledger.ndjson").read_text().splitlines()
    facts = json.loads(line)
    assert facts["event"] == "REGISTER"
    assert facts["bindings"] == 1
    assert {"at", "boottime"} <= facts.keys()
    assert "call" not in facts


def test_a_line_that_is_half_written_is_left_for_later(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.record("INVITE")
    with (tmp_path / "ledger.ndjson").open("a") as file:
        file.write('{"at":1,')

    assert [entry.event for entry in read_ledger(tmp_path / "ledger.ndjson")] == ["INVITE"]


def test_a_later_run_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for event in ("INVITE", "BYE"):
        ledger = make_ledger(tmp_path)
        ledger.record(event)
        ledger.close()

    assert [entry.event for entry in read_ledger(tmp_path / "ledger.ndjson")] == ["INVITE", "BYE"]


def test_subscribers_hear_each_entry_until_they_leave(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    heard: list[Entry] = []
    leave = ledger.subscribe(heard.append)
    entry = ledger.record("INVITE")
    leave()
    ledger.record("BYE")

    assert heard == [entry]


def test_a_name_cannot_forge_a_line(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.record("BAD_FRAME", reason='x"}\n{"event":"BYE"}\ud800')

    assert [entry.event for entry in ledger.entries()] == ["BAD_FRAME"]


def test_a_ledger_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write the ledger"):
        Ledger(tmp_path / "missing" / "ledger.ndjson")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_costs_the_ledger_and_says_so_once_and_nobody_else_notices() -> None:
    ledgers.append(ledger := Ledger(Path("/dev/full")))
    heard: list[Entry] = []
    ledger.subscribe(heard.append)
    with capture_logs() as logs:
        ledger.record("INVITE")
        ledger.record("BYE")
    assert [entry.event for entry in heard] == ["INVITE", "BYE"]
    assert ledger.is_torn
    assert [line["event"] for line in logs] == ["ledger.failed"]
