"""JsSIP in a page of Chromium (tests/browser/jssip-page.js), and a phone of ours with sound."""

import asyncio
import copy
from types import TracebackType
from typing import Any, Self

from agents.media.analysis import tone_level
from agents.media.files import ToneSource
from agents.media.webrtc import WebRtcSession
from shared.config import Account

from . import browser, kamailio
from .browser import Browser, Page
from .sip_phone import SipPhone

PATIENCE = 30.0
JSSIP = browser.BROWSER / "node_modules" / "jssip"


def missing() -> str | None:
    """Return what these tests lack on this machine, None if nothing."""
    if reason := kamailio.missing() or browser.missing():
        return reason
    return None if JSSIP.is_dir() else "JsSIP is not installed; make test installs it"


class JsSip:
    """JsSIP, registered as ``user``, with a microphone that hears a tone.

    ``without_events``: its SDP takes no keys in the sound (RFC 4733).
    """

    def __init__(
        self,
        driver: Browser,
        account: Account,
        user: str,
        *,
        hz: float = 620.0,
        without_events: bool = False,
    ) -> None:
        self._page = Page(driver, f"jssip {user}", "jssip")
        self._settings = {
            "port": int(account.outbound_proxy.rpartition(":")[2]),
            "user": user,
            "domain": account.domain,
            "password": f"pw-{user}",
            "hz": hz,
            "withoutEvents": without_events,
        }

    async def __aenter__(self) -> Self:
        await self._page.__aenter__()
        await self.do("register", self._settings)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.do("leave")
        finally:
            await self._page.__aexit__(kind, value, traceback)

    async def do(self, function: str, *arguments: Any) -> Any:
        """Call a function of jssip-page.js."""
        return await self._page.run(function, *arguments)

    async def facts(self, number: int = 0) -> dict[str, Any]:
        """Return what JsSIP says of a call."""
        facts: dict[str, Any] = await self.do("facts", number)
        return facts

    async def keys(self, count: int, number: int = 0) -> list[str]:
        """Return so many keys of a call, once they have come; ``remote 5`` came from the far end."""
        keys: list[str] = await self.do("keys", number, count)
        return keys

    async def hears(self, hz: float, number: int = 0, *, seconds: float = 0.5) -> None:
        """Return when a tone was heard for so long in a call."""
        heard = 0.0
        await self.do("heard", number)
        async with asyncio.timeout(PATIENCE):
            while heard < seconds:
                peaks = await self.do("heard", number)
                heard += 0.02 * sum(abs(peak - hz) < 24 for peak in peaks)
                await asyncio.sleep(0.1)

    async def hears_nothing(self, number: int = 0) -> None:
        """Return when nothing was heard for half a second."""
        async with asyncio.timeout(PATIENCE):
            while True:
                await self.do("heard", number)
                await asyncio.sleep(0.5)
                if not await self.do("heard", number):
                    return


class Ear:
    """A sink that remembers the latest second."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self.fresh = asyncio.Event()

    def write(self, frame: bytes) -> None:
        """Take a frame."""
        self._frames = [*self._frames[-49:], frame]
        self.fresh.set()

    def close(self) -> None:
        """Do nothing."""

    def level(self, hz: float) -> float:
        """Return how loud a tone is in the latest fifth of a second."""
        return tone_level(b"".join(self._frames[-10:]), hz) if len(self._frames) >= 10 else 0.0

    def is_silent(self) -> bool:
        """Return whether the latest fifth of a second is silence."""
        return len(self._frames) >= 10 and not b"".join(self._frames[-10:]).strip(b"\0")

    async def hears(self, hz: float, *, louder_than: float = 0.05) -> None:
        """Return when a tone is heard."""
        async with asyncio.timeout(PATIENCE):
            while self.level(hz) < louder_than:
                self.fresh.clear()
                await self.fresh.wait()

    async def hears_no_more(self, hz: float) -> None:
        """Return when a tone is not heard any more."""
        async with asyncio.timeout(PATIENCE):
            while self.level(hz) > 0.005:
                self.fresh.clear()
                await self.fresh.wait()


class Phone(SipPhone):
    """Ours, with a tone of its own to say and an ear. ``keys`` are the tones that the far end sent."""

    def __init__(self, account: Account, *, hz: float = 440.0) -> None:
        super().__init__(account)
        self._tone, self.ear = ToneSource(hz), Ear()
        self.keys: asyncio.Queue[str] = asyncio.Queue()

    def speak(self) -> WebRtcSession:
        """Make the sound of a call."""
        self.media = WebRtcSession(
            copy.copy(self._tone),  # to make one takes 20 ms
            self.ear,
            on_state=lambda _state: self._news.set(),
            on_tone=self.keys.put_nowait,
        )
        self._sounds.append(self.media)
        return self.media
