"""The command line's parser, which loads less than argparse does by itself."""

import argparse
import os
from typing import Any


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
        return int(os.environ.get("COLUMNS", "")) or os.get_terminal_size().columns
    except (ValueError, OSError):
        return 80
