"""The command line: ``python -m coordinator``, or ``sharedline`` once installed.

Each command is imported only when it is run: a window must stay small. Exit status: 0 done, 1 failed, 2 bad
usage; a mistake of the user is one line on standard error, never a traceback.
"""

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.actor import new_event_loop
from shared.config import load_account, load_settings
from shared.errors import LocalError, SharedlineError
from shared.log import configure_logging

from .parser import Parser, help_with_table, path
from .streams import flush_output, open_standard_streams, output_lost

if TYPE_CHECKING:
    from pathlib import Path

    from agents.sip.trace import SipTrace

Command = Callable[[argparse.Namespace], int]

_SOUND_HELP = (
    "device[:NAME], wav:FILE, loop:FILE, tone:HZ, silence, or default: a device if there is one, else silence"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    open_standard_streams()
    try:
        options = _parser().parse_args(arguments)
        configure_logging(options.log, options.log_level)
        if options.while_open is not None:
            _end_with(options.while_open)
        command: Command = options.command
        status = command(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except SharedlineError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return 2 if isinstance(exc, LocalError) else 1
    except OSError as exc:
        return output_lost(exc)
    finally:
        flush_output()


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="sharedline",
        description="Any number of processes share one phone registration.",
        epilog="Without a command: the demo. Try: sharedline demo --script",
    )
    parser.add_argument("--log", choices=["console", "json"], default="console", help="form of the log")
    parser.add_argument(
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        default="warning",
        help="default: warning",
    )
    parser.add_argument("--while-open", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.set_defaults(command=_demo, script=False, keep=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_demo(commands)
    _add_simulator(commands)
    _add_provision(commands)
    _add_join(commands)
    _add_status(commands)
    _add_bench(commands)
    _add_verify(commands)
    return parser


# -- demo ------------------------------------------------------------------------------------------------


def _add_demo(commands: "argparse._SubParsersAction[Parser]") -> None:
    demo = commands.add_parser(
        "demo",
        help="see it all on this machine, without an account",
        description="A simulated phone service, three windows with one registration, a call with real "
        "speech, a killed leader and a promotion: real processes, and every time is measured.",
    )
    demo.add_argument(
        "--script",
        action="store_true",
        help="tell the story unattended, a line an event; exit 0 only if every step was observed "
        "(the default without a terminal)",
    )
    demo.add_argument("--keep", type=path, metavar="DIR", help="keep ledger, recordings and accounts in DIR")
    demo.set_defaults(command=_demo)


def _demo(options: argparse.Namespace) -> int:
    from coordinator.demo import run_demo

    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return _run(run_demo(is_script=options.script or not is_terminal, keep=options.keep))


# -- simulator -------------------------------------------------------------------------------------------


def _add_simulator(commands: "argparse._SubParsersAction[Parser]") -> None:
    from agents.pbx.options import add_options

    simulator = commands.add_parser(
        "simulator",
        help="run a phone service on this machine",
        description="A local phone service that speaks SIP over WebSocket as RingCentral's edge does. Writes "
        "account files, its certificate authority and a ledger of every effect into DIR, and prints one JSON "
        "line with its ports once it listens.",
    )
    add_options(simulator)
    simulator.set_defaults(command=_simulator)


def _simulator(options: argparse.Namespace) -> int:
    from agents.pbx.main import run
    from agents.pbx.options import read_options

    return run(read_options(options))


# -- provision -------------------------------------------------------------------------------------------


def _add_provision(commands: "argparse._SubParsersAction[Parser]") -> None:
    provision = commands.add_parser(
        "provision",
        help="get an account from the service, with a JWT",
        description="Log in at the service's REST API with a JWT, have it make a new device of the user's "
        "extension, and save what join needs. Secrets are read from files or from the environment "
        "(SHAREDLINE_CLIENT_SECRET, SHAREDLINE_JWT): a command line is no secret.",
    )
    provision.add_argument(
        "--account",
        required=True,
        type=path,
        metavar="FILE",
        help="where to save it, mode 0600; keyring:NAME for the system's keyring",
    )
    provision.add_argument(
        "--server",
        default="https://platform.ringcentral.com",
        metavar="URL",
        help="default: %(default)s",
    )
    provision.add_argument("--client-id", metavar="ID", help="default: $SHAREDLINE_CLIENT_ID")
    provision.add_argument(
        "--client-secret-file", type=path, metavar="FILE", help="default: $SHAREDLINE_CLIENT_SECRET"
    )
    provision.add_argument("--jwt-file", type=path, metavar="FILE", help="default: $SHAREDLINE_JWT")
    provision.add_argument(
        "--ca-file", type=path, metavar="FILE", help="the only authority to trust, if it is not a public one"
    )
    provision.set_defaults(command=_provision)


def _provision(options: argparse.Namespace) -> int:
    from .provision import Order, provision

    order = Order(
        account=options.account,
        server=options.server,
        client_id=options.client_id,
        client_secret_file=options.client_secret_file,
        jwt_file=options.jwt_file,
        ca_file=options.ca_file,
    )

    async def run() -> int:
        account = await provision(order)
        print(f"saved {options.account}: {account.username} at {account.domain}")
        return 0

    return _run(run())


# -- join ------------------------------------------------------------------------------------------------


def _add_join(commands: "argparse._SubParsersAction[Parser]") -> None:
    from .verbs import HELP

    join = commands.add_parser(
        "join",
        help="be one window of a group, in this terminal",
        description="Join GROUP and be one of its windows: print what happens, do what the lines of standard "
        "input say.",
        epilog=f"commands on standard input:\n{HELP}",
        formatter_class=help_with_table,
    )
    join.add_argument(
        "group", metavar="GROUP", help="processes that join the same name share one registration"
    )
    join.add_argument("--account", required=True, metavar="FILE", help="sipInfo as JSON")
    join.add_argument("--name", default="", help="what other windows call this one")
    join.add_argument("--microphone", default="default", metavar="SOURCE", help=_SOUND_HELP)
    join.add_argument(
        "--loudspeaker", default="default", metavar="SINK", help="device[:NAME], wav:FILE, none, or default"
    )
    join.add_argument("--ringer", metavar="SINK", help="what rings while a call comes in; default: nothing")
    join.add_argument(
        "--no-sound",
        action="store_true",
        help="calls cannot be taken here, and it never becomes the real phone; saves 40 MB",
    )
    leading = join.add_mutually_exclusive_group()
    leading.add_argument(
        "--may-lead",
        action="store_true",
        default=None,
        dest="candidate",
        help="may become the real phone, also without sound",
    )
    leading.add_argument(
        "--never-lead",
        action="store_false",
        default=None,
        dest="candidate",
        help="never become the real phone, also with sound",
    )
    join.add_argument("--json", action="store_true", help="print one JSON object a line")
    join.add_argument(
        "--sip-trace",
        type=path,
        metavar="FILE",
        help="while it leads, write each SIP message into FILE, without secrets and whole numbers",
    )
    join.add_argument(
        "--unsafe-raw-sip",
        type=path,
        metavar="FILE",
        help="the same as it is, with all secrets: whoever reads FILE can pose as this phone",
    )
    join.set_defaults(command=_join)


def _join(options: argparse.Namespace) -> int:
    from .console import run_console

    return _run(
        run_console(
            options.group,
            load_account(options.account),
            load_settings(),
            as_json=options.json,
            name=options.name,
            candidate=options.candidate,
            microphone=None if options.no_sound else options.microphone,
            loudspeaker=options.loudspeaker,
            ringer=options.ringer,
            sip_trace=_sip_trace(options.sip_trace, options.unsafe_raw_sip),
        ),
        is_small=options.no_sound and not options.candidate,
    )


def _sip_trace(redacted: "Path | None", raw: "Path | None") -> "SipTrace | None":
    if redacted is None and raw is None:
        return None
    from agents.sip.trace import SipTrace
    from agents.trace_file import TraceFile

    trace = SipTrace()
    if redacted is not None:
        trace.listen(TraceFile(redacted).write)
    if raw is not None:
        trace.listen_to_secrets(TraceFile(raw).write)
    return trace


# -- status ----------------------------------------------------------------------------------------------


def _add_status(commands: "argparse._SubParsersAction[Parser]") -> None:
    status = commands.add_parser(
        "status",
        help="show who leads a group, its windows and calls",
        description="Show the state of GROUP as its leader publishes it. Exit status 1: nobody leads it.",
    )
    status.add_argument("group", metavar="GROUP")
    status.add_argument("--json", action="store_true", help="print the snapshot as it is")
    status.set_defaults(command=_status)


def _status(options: argparse.Namespace) -> int:
    from .status import show_status

    return _run(show_status(options.group, load_settings(), as_json=options.json))


# -- bench -----------------------------------------------------------------------------------------------


def _add_bench(commands: "argparse._SubParsersAction[Parser]") -> None:
    bench = commands.add_parser(
        "bench",
        help="measure this machine, next to bare ZeroMQ",
        description="Measure failover, answering, actions, sound and memory on this machine. Ratios compare "
        "with bare ZeroMQ in the same run, next to it NATS, Redis and a browser where they are installed.",
    )
    form = bench.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the rows as one JSON object")
    form.add_argument("--markdown", action="store_true", help="print the tables of the documentation")
    bench.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    bench.add_argument(
        "--service", action="store_true", help="measure the simulated phone service instead, next to Kamailio"
    )
    bench.set_defaults(command=_bench)


def _bench(options: argparse.Namespace) -> int:
    if options.service:
        if options.markdown:
            sys.stderr.write("bench: --markdown is not for --service; try without it\n")
            return 2
        from coordinator.edge_bench import run_edge_bench

        return run_edge_bench(as_json=options.json, is_quick=options.quick)
    from coordinator.bench import run_bench

    form = "json" if options.json else "markdown" if options.markdown else "table"
    return _run(run_bench(form=form, is_quick=options.quick))


# -- verify ----------------------------------------------------------------------------------------------


def _add_verify(commands: "argparse._SubParsersAction[Parser]") -> None:
    verify = commands.add_parser(
        "verify",
        help="judge from what a run left behind whether the promises were kept",
        description="Read the ledgers and traces below DIR (SHAREDLINE_TRACE_DIR makes windows write them), "
        "and say of each promise, P1 to P7, whether it was kept. Exit status 1: one was broken, or none "
        "could be decided.",
    )
    verify.add_argument("directory", metavar="DIR", type=path)
    verify.set_defaults(command=_verify)


def _verify(options: argparse.Namespace) -> int:
    from coordinator.verify import judge, report

    lines, status = report(judge(options.directory))
    print("\n".join(lines))
    return status


# -- inside ----------------------------------------------------------------------------------------------


def _run(coroutine: Coroutine[Any, Any, int], *, is_small: bool = False) -> int:
    with asyncio.Runner(loop_factory=partial(new_event_loop, is_small=is_small)) as runner:
        return runner.run(coroutine)


def _end_with(descriptor: int) -> None:
    """End this process politely when the pipe's other end is closed: whoever started it has died."""

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="while-open", daemon=True).start()
