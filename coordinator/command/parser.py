"""The command line's parser, which loads less than argparse does by itself."""

import argparse
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Parser(argparse.ArgumentParser):
    """A parser whose help is as wide as argparse's, but that does not load shutil to find out how wide.

    argparse asks for each single argument; and with shutil come three libraries that compress.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **({"formatter_class": _help} | kwargs))


def _help(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, width=_columns() - 2)


def help_with_table(prog: str) -> argparse.HelpFormatter:
    """Return a formatter that leaves the lines of descriptions as they are."""
    return argparse.RawDescriptionHelpFormatter(prog, width=_columns() - 2)


def _columns() -> int:
    try:
        wanted = int(os.environ.get("COLUMNS", "0"))
        return wanted if wanted > 0 else os.get_terminal_size().columns or 80
    except (ValueError, OSError):
        return 80


def path(text: str) -> "Path":
    """Return what an option names, for ``type=path``: only who has such an option loads pathlib."""
    from pathlib import Path

    if not text:  # of a shell's variable that is not set: Path would make the current directory of it
        raise argparse.ArgumentTypeError("an empty text names no file")
    return Path(text)
