"""The browser's way: one page posts the state to a SharedWorker, which posts it to all other tabs.

Chromium is driven by tests/browser/tabs.mjs, so this is measured in a clone only, with what
``make test`` installs.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from .voices import BLOCK, PAUSE, state, ten_calls
from .worker import Worker, open_worker

NAME = "shared_worker"
_BROWSER = Path(__file__).parents[2] / "tests" / "browser"
_CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")


def missing() -> str:
    """Return what this machine lacks; "" if nothing."""
    if not (_BROWSER / "tabs.mjs").exists():
        return "needs tests/browser of a clone"
    if not _CHROMIUM:
        return "chromium is not installed"
    if shutil.which("node") is None:
        return "node is not installed"
    if not (_BROWSER / "node_modules" / "playwright-core").is_dir():
        return "playwright-core is not installed: make test installs it"
    return ""


class Tabs:
    """A page that is the real phone, and tabs that hear of its state."""

    name = NAME

    def __init__(self, driver: Worker) -> None:
        self._driver = driver

    async def grow(self, crowd: int) -> None:
        """Have so many tabs that hear."""
        await self._driver.ask(tabs=crowd)

    async def block(self) -> list[float]:
        """Publish a block; return the seconds until the last tab had each state."""
        delays = (await self._driver.ask(publications=BLOCK, pause_ms=PAUSE * 1e3))["delays_ms"]
        return [delay / 1e3 for delay in delays]


@asynccontextmanager
async def open_tabs() -> AsyncIterator[Tabs]:
    """Start Chromium with the real page in it, and no other yet."""
    environment = os.environ | {"CHROMIUM": str(_CHROMIUM)}
    async with open_worker("node", "tabs.mjs", environment=environment, directory=_BROWSER) as driver:
        await driver.ask(state=msgspec.to_builtins(state(0, ten_calls())))
        yield Tabs(driver)
