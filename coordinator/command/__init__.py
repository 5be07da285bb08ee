"""The command line: ``python -m coordinator``, or ``sharedline`` once installed."""

from .cli import main

__all__ = ["main"]
