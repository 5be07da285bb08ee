"""What the service's command line says. Imports next to nothing: other commands show its help, too."""

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options as given; None and empty ones were not. ``extensions``: texts such as ``101:16505550101``.

    What is not given is as in the file ``config``, or else by default.
    """

    directory: "Path"
    config: "Path | None" = None
    wss_port: int | None = None
    control_port: int | None = None
    rest_port: int | None = None
    domain: str | None = None
    extensions: tuple[str, ...] = ()
    media_addresses: tuple[str, ...] = ()
    direct_media: bool = False
    answer_at_once: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the service's options to a command line."""
    parser.add_argument("--wss", type=int, metavar="PORT", help="WebSocket port (default: any)")
    parser.add_argument("--control", type=int, metavar="PORT", help="control port (default: any)")
    parser.add_argument(
        "--rest",
        type=int,
        metavar="PORT",
        help="serve login, provisioning and call control by REST, too; 0: any port (default: no REST)",
    )
    parser.add_argument(
        "--dir", required=True, type=_directory, metavar="DIR", help="for accounts, ledger, recordings"
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="settings as TOML: extensions, queues, times; options given here win",
    )
    parser.add_argument("--domain", help="SIP domain (default: sip.test)")
    parser.add_argument(
        "--extension",
        action="extend",
        nargs="+",
        default=[],
        metavar="EXT:NUMBER",
        help="an extension and its direct number; may be repeated (default: 101:16505550101 102:16505550102)",
    )
    parser.add_argument(
        "--media-address",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="an address of this machine for sound; may be repeated (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--direct-media",
        action="store_true",
        help="phones send their sound to each other: no hold music, ringback or recording between them",
    )
    parser.add_argument(
        "--answer-at-once",
        action="store_true",
        help="answer each caller before the callee does, with ringback, as the real service does",
    )


def _directory(text: str) -> str:
    if not text:  # of a shell's variable that is not set: secrets would be in the current directory
        raise argparse.ArgumentTypeError("an empty text names no directory")
    return text


def read_options(given: argparse.Namespace) -> Options:
    """Return what a command line with these options said."""
    from pathlib import Path

    return Options(
        directory=Path(given.dir),
        config=Path(given.config) if given.config is not None else None,
        wss_port=given.wss,
        control_port=given.control,
        rest_port=given.rest,
        domain=given.domain,
        extensions=tuple(given.extension),
        media_addresses=tuple(given.media_address),
        direct_media=given.direct_media,
        answer_at_once=given.answer_at_once,
    )
