"""Chromium with the unmodified SDK in its pages: see tests/browser/driver.mjs, which is the other end."""

import asyncio
import json
import os
import shutil
import subprocess
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

BROWSER = Path(__file__).parents[1] / "browser"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
WITHIN = 30.0
_POLL = 0.02  # seconds between two looks at a frequency, see page.js
_WIDTH = 24.0  # Hz between two frequencies that a page can tell apart


def missing() -> str | None:
    """Return what the browser tests lack on this machine, None if nothing."""
    if shutil.which("node") is None:
        return "node is not installed; make test installs it"
    if not Path(CHROMIUM).exists():
        return "chromium is not installed; make test installs it"
    if not (BROWSER / "node_modules" / "playwright-core").is_dir():
        return "the SDK is not installed; make test installs it"
    return None


class Browser:
    """One Chromium. It ends with the ``with`` block, or with this process."""

    def __init__(self, *flags: str) -> None:
        self._process = subprocess.Popen(
            ["node", "driver.mjs", *flags],
            cwd=BROWSER,
            env=os.environ | {"CHROMIUM": CHROMIUM},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._count = 0
        self._waiting: dict[int, Future[Any]] = {}
        self._ready: Future[None] = Future()
        self._reader = threading.Thread(target=self._read, name="browser", daemon=True)
        self._reader.start()

    def __enter__(self) -> "Browser":
        self._ready.result(WITHIN)
        return self

    def __exit__(self, *_exc_info: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(15)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            self._process.stdout.close()

    async def do(self, command: str, **facts: Any) -> Any:
        """Have the driver do something; raise AssertionError with its words if it could not."""
        assert self._process.stdin is not None
        self._count += 1
        answer: Future[Any] = Future()
        self._waiting[self._count] = answer
        line = json.dumps({"id": self._count, "do": command, **facts})
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        async with asyncio.timeout(WITHIN):
            return await asyncio.wrap_future(answer)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            if "ready" in answer:
                self._ready.set_result(None)
                continue
            waiting = self._waiting.pop(answer["id"])
            if "error" in answer:
                waiting.set_exception(AssertionError(answer["error"]))
            else:
                waiting.set_result(answer["value"])
        gone = AssertionError("the browser's driver has ended")
        for waiting in [self._ready, *self._waiting.values()]:
            if not waiting.done():
                waiting.set_exception(gone)


class Page:
    """A page of the SDK, version 2.1 or 2.5, in a browser context of its own."""

    def __init__(self, browser: Browser, name: str, sdk: str) -> None:
        self._browser, self.name, self.sdk = browser, name, sdk

    async def __aenter__(self) -> "Page":
        await self._browser.do("open", page=self.name, sdk=self.sdk)
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self._browser.do("close", page=self.name)

    async def run(self, function: str, *arguments: Any) -> Any:
        """Call a function of page.js."""
        return await self._browser.do("run", page=self.name, name=function, args=arguments)


class BrowserPhone:
    """A ``WebPhone`` of a page."""

    def __init__(self, page: Page, account: Path, instance_id: str) -> None:
        self.page, self.instance_id = page, instance_id
        self._account = account

    async def register(self) -> None:
        """Make it, and start it."""
        info = msgspec.json.decode(self._account.read_bytes())
        await self.page.run("register", self.instance_id, info, self.instance_id)

    async def do(self, function: str, *arguments: Any) -> Any:
        """Call a function of page.js for this phone."""
        return await self.page.run(function, self.instance_id, *arguments)

    async def call(
        self, to: str, *, caller_id: str | None = None, headers: dict[str, str] | None = None
    ) -> "BrowserCall":
        """Dial."""
        return BrowserCall(self, await self.do("call", to, caller_id, headers))

    async def arrived(self, number: int = 0) -> "BrowserCall":
        """Return its call of this number, once there is one."""
        await self.do("arrived", number)
        return BrowserCall(self, number)

    async def wire(self) -> list[str]:
        """Return the first lines of all messages: ``< `` came in, ``> `` went out."""
        lines: list[str] = await self.do("wire")
        return lines


class BrowserCall:
    """A call session of the SDK."""

    def __init__(self, phone: BrowserPhone, number: int) -> None:
        self._phone, self._number = phone, number

    async def until(self, state: str) -> "BrowserCall":
        """Return when it is or was in ``state``."""
        await self._phone.do("until", self._number, state)
        return self

    async def act(self, method: str, *arguments: Any) -> Any:
        """Call a method of the SDK, and return what its promise brings."""
        return await self._phone.do("act", self._number, method, arguments)

    async def facts(self) -> dict[str, Any]:
        """Return what the SDK says of it."""
        facts: dict[str, Any] = await self._phone.do("facts", self._number)
        return facts

    async def listen(self) -> None:
        """Begin to note what its audio element plays."""
        await self._phone.do("listen", self._number)

    async def heard(self) -> list[float]:
        """Return the frequencies heard since the last time."""
        peaks: list[float] = await self._phone.do("heard", self._number)
        return peaks

    async def hears(self, hz: float, *, seconds: float) -> None:
        """Return when a tone of ``hz`` was heard for so long; raise TimeoutError after 15 seconds."""
        heard = 0.0
        async with asyncio.timeout(15):
            while heard < seconds:
                peaks = await self.heard()
                heard += _POLL * sum(abs(peak - hz) < _WIDTH for peak in peaks)
                await asyncio.sleep(_POLL * 5)
