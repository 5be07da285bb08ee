"""The rows of the benchmark as they are shown: to people, to programs, and in the documentation."""

import json

from coordinator.bench.markdown import as_markdown
from coordinator.bench.report import AnyRow, CountRow, MemoryRow, MissingRow, as_json, as_table, timed

_TIMES = (
    "action_to_state",
    "kill_to_synced_3",
    "kill_to_synced_10",
    "kill_to_synced_50",
    "kill_to_registered",
    "answer_to_200",
    "calls_25_loop_lag",
)


def rows() -> list[AnyRow]:
    """Return what a machine without Redis, Node.js and PulseAudio measures."""
    found: list[AnyRow] = [timed(name, [0.002, 0.002, 0.004], [0.001], "bare ZeroMQ") for name in _TIMES]
    found.append(timed("actions_per_second", [0.0001], [0.00005], "bare ZeroMQ", is_rate=True))
    found.append(timed("invite_read_written", [0.000020]))
    found += [MemoryRow(name="window_rss_mb", n=2, mb=33.25), CountRow(name="calls", n=1, count=25)]
    found.append(MissingRow(name="mouth_to_ear", missing="pulseaudio is not installed"))
    for crowd in (1, 10, 50):
        found.append(timed(f"fanout_{crowd}", [crowd / 1e4], [crowd / 2e4], "bare ZeroMQ"))
        found.append(timed(f"fanout_{crowd}_nats", [crowd / 1e4], [crowd / 3e4], "bare ZeroMQ"))
        found.append(MissingRow(name=f"fanout_{crowd}_redis", missing="redis-server is not installed"))
        found.append(MissingRow(name=f"fanout_{crowd}_shared_worker", missing="node is not installed"))
    return found


def test_a_table_has_a_line_for_each_row_and_says_what_is_missing() -> None:
    lines = as_table(rows()).splitlines()
    assert len(lines) == len(rows()) + 3
    assert sum("redis-server is not installed" in line for line in lines) == 3
    [action] = [line for line in lines if line.startswith("action_to_state")]
    assert " ".join(action.split()) == "action_to_state 3 2.00 ms 4.00 ms 2.00 4.00 bare ZeroMQ (1.00 ms)"


def test_programs_get_every_row_with_its_name_and_count() -> None:
    told = {row["name"]: row for row in json.loads(as_json(rows()))["rows"]}
    assert len(told) == len(rows())
    assert (told["fanout_10"]["n"], told["fanout_10"]["p50_us"], told["fanout_10"]["ratio"]) == (1, 1000, 2)
    assert (told["action_to_state"]["ratio"], told["action_to_state"]["p99_ratio"]) == (2, 4)
    assert told["actions_per_second"]["p99_ratio"] == 0.5
    assert told["mouth_to_ear"] == {"name": "mouth_to_ear", "missing": "pulseaudio is not installed", "n": 0}


def test_the_documentation_compares_ways_of_the_state_line_by_line() -> None:
    text = as_markdown(rows())
    assert "| sharedline, decoded and shown | 100 µs (2x) | 1.0 ms (2x) | 5.0 ms (2x) |" in text
    assert "| NATS | 100 µs (3x) | 1.0 ms (3x) | 5.0 ms (3x) |" in text
    assert "| bare ZeroMQ, the yardstick | 50.0 µs | 500 µs | 2.5 ms |" in text
    assert text.count("redis-server is not installed") == 3 + 3  # in a table, and in the complete one
    assert as_table(rows()) in text


def test_the_documentation_turns_a_ratio_of_rates_into_one_of_times() -> None:
    text = as_markdown(rows())
    assert "| 64 actions at a time, for each of them | 100 µs | 100 µs | 2x bare ZeroMQ (50.0 µs) |" in text
    assert "| memory of a window without sound | 33.2 MiB |  |  |" in text
