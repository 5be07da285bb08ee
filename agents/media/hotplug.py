"""Noticing that a sound device came or went, cheaply: PortAudio itself says nothing, and is costly to ask."""

import sys
from collections.abc import Callable
from pathlib import Path

_CARDS = Path("/proc/asound/cards")
_NODES = Path("/dev/snd")


def fingerprint() -> str:
    """Return what changes when a device is plugged in or out; always "" where nothing tells (macOS)."""
    if sys.platform != "linux":
        return ""
    try:
        cards = _CARDS.read_text("utf-8", errors="replace")
    except OSError:
        cards = ""
    try:
        nodes = sorted(node.name for node in _NODES.iterdir())
    except OSError:
        nodes = []
    return "\n".join([cards, *nodes])


class HotPlug:
    """Asked now and then, says whether devices changed since, and have been left alone for one interval.

    A device appears piece by piece: whoever opens it at the first sign may be too early.
    """

    def __init__(self, look: Callable[[], str] = fingerprint) -> None:
        self._look = look
        self._settled = self._newest = look()

    def has_changed(self) -> bool:
        """Return True once for each change."""
        before, self._newest = self._newest, self._look()
        if self._newest != before or self._newest == self._settled:
            return False
        self._settled = self._newest
        return True
