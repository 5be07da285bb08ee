"""The service as a program: options in, one JSON line out when it listens, a clean end on a signal."""

import argparse
import asyncio
import contextlib
import gc
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from shared.actor import ending_signals, new_event_loop
from shared.errors import ConfigError, SharedlineError
from shared.log import configure_logging, log

from .config import read_config
from .options import Options, add_options, read_options
from .service import Simulator
from .settings import Extension, SimulatorSettings

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]


#: A call makes some thousand objects, and leaves 20 as garbage; Python would look for it after every 700.
_OBJECTS_MADE = 2_000


class _Listening(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one line that is printed."""

    wss: int
    control: int
    rest: int | None = None
    dir: str


def run(options: Options) -> int:
    """Run the service until a signal ends it. Exit status: 0 ended, 2 could not begin (one line says why)."""
    try:
        settings = settings_of(options)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve(settings))
    except ConfigError as exc:
        print(f"simulator: {exc}", file=sys.stderr)
        return 2
    except SharedlineError as exc:
        print(f"simulator: {exc}", file=sys.stderr)
        return 1
    return 0


def settings_of(options: Options) -> SimulatorSettings:
    """Return the settings that a command line and its file make together.

    Raises:
        ConfigError: If one of them cannot be used; the text says which.
    """
    values = read_config(options.config) if options.config is not None else {}
    given = {
        "wss_port": options.wss_port,
        "control_port": options.control_port,
        "rest_port": options.rest_port,
        "domain": options.domain,
        "extensions": tuple(Extension.parse(text) for text in options.extensions) or None,
        "media_addresses": options.media_addresses or None,
        "direct_media": options.direct_media or None,
        "answer_at_once": options.answer_at_once or None,
    }
    values |= {name: value for name, value in given.items() if value is not None}
    return SimulatorSettings(directory=options.directory, **values)


async def serve(settings: SimulatorSettings) -> None:
    """Run the service until SIGTERM, SIGINT, or the end of its terminal."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report)
    _allow_many_connections()
    for number in ending_signals():
        with contextlib.suppress(NotImplementedError):  # Windows has no such handlers; Ctrl-C cancels there
            loop.add_signal_handler(number, ending.set)
    async with Simulator(settings) as simulator:
        line = _Listening(
            wss=simulator.wss_port,
            control=simulator.control_port,
            rest=simulator.rest.port if simulator.rest is not None else None,
            dir=str(settings.directory.resolve()),
        )
        with contextlib.suppress(BrokenPipeError):  # nobody reads it: no reason to die
            print(msgspec.json.encode(line).decode(), flush=True)
        await simulator.warmed()
        _calm_the_collector()
        await ending.wait()


def _calm_the_collector() -> None:
    """Let the search for garbage leave out what is loaded by now, which stays, and come less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_MADE)


def _report(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log in one line what nobody else handles, for example that no descriptor is left to accept with."""
    error = context.get("exception")
    log.error("loop.failed", reason=str(context.get("message")), error=repr(error) if error else None)


def _allow_many_connections() -> None:
    """Raise the limit of open files as far as we may: each connection is one."""
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):  # macOS says unlimited, and means less
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m agents.pbx``."""
    parser = argparse.ArgumentParser(prog="python -m agents.pbx", description=__doc__)
    add_options(parser)
    parser.add_argument("--log", choices=["console", "json"], default="console", help="form of the log")
    given = parser.parse_args(argv)
    configure_logging(given.log)
    return run(read_options(given))
