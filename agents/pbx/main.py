"""The service as a program: options in, one JSON line out when it listens, a clean end on a signal."""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence

import msgspec

from shared.errors import ConfigError, SharedlineError
from shared.log import configure_logging

from .options import Options, add_options, read_options
from .service import Simulator
from .settings import DEFAULT_EXTENSIONS, Extension, SimulatorSettings


class _Listening(msgspec.Struct, frozen=True, kw_only=True):
    """The one line that is printed."""

    wss: int
    control: int
    dir: str


def run(options: Options) -> int:
    """Run the service until a signal ends it. Exit status: 0 ended, 2 could not begin (one line says why)."""
    try:
        settings = SimulatorSettings(
            directory=options.directory,
            wss_port=options.wss_port,
            control_port=options.control_port,
            domain=options.domain,
            extensions=tuple(Extension.parse(text) for text in options.extensions) or DEFAULT_EXTENSIONS,
        )
        asyncio.run(serve(settings))
    except ConfigError as exc:
        print(f"simulator: {exc}", file=sys.stderr)
        return 2
    except SharedlineError as exc:
        print(f"simulator: {exc}", file=sys.stderr)
        return 1
    return 0


async def serve(settings: SimulatorSettings) -> None:
    """Run the service until SIGTERM or SIGINT."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows has no such handlers; Ctrl-C cancels there
            loop.add_signal_handler(number, ending.set)
    async with Simulator(settings) as simulator:
        line = _Listening(
            wss=simulator.wss_port, control=simulator.control_port, dir=str(settings.directory.resolve())
        )
        with contextlib.suppress(BrokenPipeError):  # nobody reads it: no reason to die
            print(msgspec.json.encode(line).decode(), flush=True)
        await ending.wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m agents.pbx``."""
    parser = argparse.ArgumentParser(prog="python -m agents.pbx", description=__doc__)
    add_options(parser)
    parser.add_argument("--log", choices=["console", "json"], default="console", help="form of the log")
    given = parser.parse_args(argv)
    configure_logging(given.log)
    return run(read_options(given))
