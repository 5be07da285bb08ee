"""Run one target under atheris: ``python -m tests.fuzz TARGET [SECONDS]``."""

import sys
from pathlib import Path

import atheris

_SHORT = 2.0


def main(target: str, duration: float = _SHORT) -> None:
    """Fuzz ``target`` for so many seconds; what was found stays in ``.fuzz/TARGET`` for the next run.

    Ends the process: with 0 if nothing was found, else after a report that names the input's file.
    """
    with atheris.instrument_imports(include=["agents.sip", "agents.phone", "agents.pbx.infos"]):
        from .seeds import seeds
        from .targets import TARGETS
    run = TARGETS[target]
    corpus, found = Path(".fuzz") / target, Path(".fuzz") / "found"
    for directory in (corpus, found):
        directory.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(text.encode())

    def test_one_input(data: bytes) -> None:
        run(data.decode("utf-8", "replace"))

    options = [
        f"-max_total_time={max(round(duration), 1)}",
        f"-artifact_prefix={found}/{target}-",
        "-timeout=1",
        "-max_len=16384",
        "-rss_limit_mb=2048",
        "-verbosity=0",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:3]))
