"""The service's benchmark, in a small way."""

import json
import subprocess
import sys


def test_the_benchmark_says_what_calls_cost_and_loses_no_packet() -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "agents.pbx.bench",
            *["--calls", "5", "--settle", "0", "--at-once", "3", "--seconds", "2", "--json"],
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout)
    assert figures["one_by_one"]["calls"] == 5
    assert [row["recorded"] for row in figures["at_once"]] == [False, True]
    for row in figures["at_once"]:
        assert row["packets"] > 3 * 2 * 2 * 40
        assert row["lost"] <= row["packets"] * 0.02
        assert 0 < row["delay_p50_ms"] < 200
