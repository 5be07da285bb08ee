"""A process' own trace: complete when it is killed, bounded, private, and never a reason to fail."""

import asyncio
import os
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.errors import ActionRefused, OutcomeUnknown
from shared.messages import Dial, Done, Hangup, MediaState, Version
from shared.trace import SUFFIX, Line, Trace, read_trace

from .fakes import DESK, a_call, snapshot


def lines(directory: Path) -> list[Line]:
    return read_trace(directory / f"desk{SUFFIX}")


def test_without_a_directory_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trace = Trace(None, "desk")
    trace.write("JOINED", pid=1)
    trace.snapshot(snapshot())
    assert not trace.is_on
    assert list(tmp_path.iterdir()) == []


def test_a_trace_tells_what_was_shown_asked_and_answered(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "traces", "desk")
    call = a_call(state="answered", answered_at=5.0, media_host="desk", media=MediaState.CONNECTED)
    trace.write("JOINED", pid=7)
    trace.snapshot(snapshot(2, 9, call, windows=(DESK,), number="1*101"))
    trace.asked("a1", Dial(target="199"), 5.0)
    trace.asked("a2", Hangup(call_id="c1"), 5.0)
    joined, shown, dialled, hung_up = lines(tmp_path / "traces")
    assert (joined.event, joined.pid, joined.instance) == ("JOINED", 7, "desk")
    assert (shown.epoch, shown.sequence, shown.number, shown.windows) == (2, 9, "1*101", ("desk",))
    [seen] = shown.calls
    assert (seen.call_id, seen.state, seen.media_host, seen.is_answered) == ("c1", "answered", "desk", True)
    assert (dialled.action, dialled.target, dialled.wait) == ("dial", "199", 5.0)
    assert (hung_up.action, hung_up.call_id) == ("hangup", "c1")
    assert joined.boottime <= shown.boottime <= hung_up.boottime


def test_every_way_in_which_an_action_can_end_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        futures = [asyncio.get_running_loop().create_future() for _ in range(4)]
        futures[0].set_result(Done(action_id="done", version=Version(1, 1), call_id="c1"))
        futures[1].set_exception(ActionRefused("no_such_call", "gone"))
        futures[2].set_exception(OutcomeUnknown("nobody knows"))
        for name, future in zip(("done", "refused", "unknown", "given_up"), futures, strict=True):
            trace.answered(name, future)

    trace = Trace(tmp_path, "desk")
    asyncio.run(main())
    assert [(line.action_id, line.outcome) for line in lines(tmp_path)] == [
        (name, name) for name in ("done", "refused", "unknown", "given_up")
    ]
    assert lines(tmp_path)[0].call_id == "c1"
    assert lines(tmp_path)[1].code == "no_such_call"


def test_a_trace_is_bounded_and_says_where_it_ends(tmp_path: Path) -> None:
    trace = Trace(tmp_path, "desk", most_bytes=2000)
    for number in range(1000):
        trace.write("PROMOTED", epoch=number + 1)
    assert (tmp_path / f"desk{SUFFIX}").stat().st_size < 2100
    assert [line.event for line in lines(tmp_path)][-2:] == ["PROMOTED", "FULL"]


def test_a_trace_is_for_its_owner_only(tmp_path: Path) -> None:
    Trace(tmp_path / "new", "desk").write("JOINED", pid=1)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / f"desk{SUFFIX}").stat().st_mode) == 0o600


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no disk that is always full")
def test_a_full_disk_ends_the_trace_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / f"desk{SUFFIX}").symlink_to("/dev/full")
    with capture_logs() as logged:
        trace = Trace(tmp_path, "desk")
        for _ in range(3):
            trace.write("JOINED", pid=1)
    assert not trace.is_on
    assert [entry["event"] for entry in logged] == ["trace.ended"]


def test_a_directory_that_cannot_be_made_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with capture_logs() as logged:
        trace = Trace(tmp_path / "file", "desk")
        trace.write("JOINED", pid=1)
    assert not trace.is_on
    assert [entry["event"] for entry in logged] == ["trace.ended"]


def test_a_process_samples_what_it_uses(tmp_path: Path) -> None:
    trace = Trace(tmp_path, "desk")
    trace.resources(3)
    [sample] = lines(tmp_path)
    assert sample.tasks == 3
    assert sample.threads >= 1
    if Path("/proc/self").exists():
        assert sample.memory_kb > 1000
        assert sample.descriptors > 3
