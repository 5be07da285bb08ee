import json
import subprocess
import sys

import pytest

from coordinator.bench import brokers, tabs
from coordinator.bench.pulse import is_available

CROWDS = (1, 10, 50)
TIMES = {
    "action_to_state",
    "actions_per_second",
    "answer_to_200",
    "calls_25_loop_lag",
    *(f"fanout_{crowd}" for crowd in CROWDS),
    "invite_read_written",
    "join_to_call_visible",
    "kill_to_registered",
    "kill_to_synced_3",
    "kill_to_synced_10",
    "kill_to_synced_50",
    "start_to_call_visible",
}
SIZES = {"window_rss_mb", "heir_rss_mb", "sound_window_rss_mb", "leader_rss_mb"}
GROWTHS = {"calls_in_series_growth_mb"}
COUNTS = {
    "aiortc_25_processor_percent",
    "calls_25_processor_percent",
    "calls_in_series_more_descriptors",
    "calls_in_series_more_tasks",
    "calls_in_series_more_threads",
}
#: What each of these needs besides this package; "" where it is here.
NEEDS = {
    "mouth_to_ear": "" if is_available() else "pulseaudio or libportaudio2 is not installed",
    **{
        f"fanout_{crowd}_{name}": reason
        for name, reason in (
            *((name, brokers.missing(broker)) for name, broker in brokers.BROKERS.items()),
            (tabs.NAME, tabs.missing()),
        )
        for crowd in CROWDS
    },
}
WITHOUT_YARDSTICK = {"answer_to_200", "join_to_call_visible", "start_to_call_visible"}


@pytest.mark.timeout(300)
def test_the_benchmark_prints_a_positive_figure_for_each_thing_it_measures() -> None:
    command = [sys.executable, "-m", "coordinator", "bench", "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)

    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["rows"]}
    times = TIMES | {name for name, reason in NEEDS.items() if not reason}
    assert set(rows) == times | NEEDS.keys() | SIZES | GROWTHS | COUNTS
    for name in times:
        row = rows[name]
        assert row["n"] > 0
        assert 0 < row["p50_us"] <= row["p99_us"]
        if name in WITHOUT_YARDSTICK or (name == "invite_read_written" and row["against"] == ""):
            assert row["ratio"] is None
        else:
            assert row["ratio"] > 0
    for name in NEEDS.keys() - times:
        assert rows[name] == {"name": name, "n": 0, "missing": NEEDS[name]}
    for name in SIZES:
        assert rows[name]["mb"] > 0
    for name in COUNTS:
        count = rows[name]["count"]
        assert count > 0 if name.endswith("percent") else count <= 2


def test_the_service_is_measured_next_to_kamailio_where_that_is_installed() -> None:
    command = [sys.executable, "-m", "coordinator", "bench", "--service", "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["rows"]}
    for name in ("register_digest", "invite_to_200"):
        assert 0 < rows[name]["p50_us"] <= rows[name]["p99_us"]
        assert (rows[name]["ratio"] is None) is ("kamailio is not installed" in done.stderr)
