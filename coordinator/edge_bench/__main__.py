"""The simulated service of a benchmark, not for people: ``python -m coordinator.edge_bench DIR COUNT``."""

import asyncio
import sys
from pathlib import Path

from agents.pbx.main import serve
from agents.pbx.settings import Extension, SimulatorSettings
from shared.actor import new_event_loop
from shared.log import configure_logging


def main(directory: str, extensions: str) -> None:
    """Run until SIGTERM."""
    configure_logging("json")
    numbers = range(101, 101 + int(extensions))
    settings = SimulatorSettings(
        directory=Path(directory),
        direct_media=True,  # as a proxy does
        extensions=tuple(Extension(str(number), f"1650555{number:04}") for number in numbers),
    )
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(settings))


if __name__ == "__main__":
    main(*sys.argv[1:])
