"""A service, and phones of the npm package ``ringcentral-web-phone`` in pages of Chromium."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from agents.media.analysis import tone_level
from agents.media.base import FRAME_BYTES, FRAME_SECONDS
from agents.media.files import read_wav
from agents.pbx import Simulator, SimulatorSettings
from agents.pbx.client import ControlClient
from agents.pbx.views import RobotView

from .browser import Browser, BrowserCall, BrowserPhone, Page, missing

_REASON = missing()
needs_browser = pytest.mark.skipif(_REASON is not None, reason=f"browser tests: {_REASON}")

SDKS = ("2.1", "2.5")
OLD, NEW = SDKS
BEEP = 400.0  # Hz, of Chromium's fake microphone: 20 ms twice a second
MARKS = (697.0, 1477.0)  # Hz, before and after what the callee robot says
GREETING_MARK = 941.0  # Hz, before what the caller robot says

both_sdks = pytest.mark.parametrize("sdk", SDKS)


class Stage:
    """A service, its control API, and phones in pages."""

    def __init__(self, browser: Browser, simulator: Simulator, control: ControlClient) -> None:
        self.browser, self.simulator, self.control = browser, simulator, control
        self.pages: list[Page] = []
        self._stack = AsyncExitStack()

    async def page(self, sdk: str) -> Page:
        """Open a page."""
        page = Page(self.browser, f"page {len(self.pages) + 1} with {sdk}", sdk)
        self.pages.append(await self._stack.enter_async_context(page))
        return page

    def phone_in(self, page: Page, name: str, extension: str = "102") -> BrowserPhone:
        """Return a phone in a page, not registered yet."""
        return BrowserPhone(page, self.simulator.account_path(extension), name)

    async def phone(self, sdk: str, name: str = "browser", extension: str = "102") -> BrowserPhone:
        """Open a page with a phone, and register it."""
        phone = self.phone_in(await self.page(sdk), name, extension)
        await phone.register()
        return phone

    async def ended(self, robot: RobotView) -> RobotView:
        """Return a robot when its call has ended."""
        found = await self.control.robot(robot.id, until="ended")
        assert found.state == "ended"
        return found

    async def close(self) -> None:
        """Close the pages."""
        await self._stack.aclose()


Story = Callable[[Stage], Awaitable[None]]


def play(browser: Browser, directory: Path, story: Story, **settings: Any) -> None:
    """Run ``story`` with a service of its own."""

    async def main() -> None:
        async with (
            asyncio.timeout(100),
            Simulator(SimulatorSettings(directory=directory, **settings)) as simulator,
            ControlClient.from_directory(directory) as control,
        ):
            stage = Stage(browser, simulator, control)
            try:
                await story(stage)
            finally:
                await stage.close()

    asyncio.run(main())


async def robot_called(stage: Stage) -> RobotView:
    """Return the robot that was called last."""
    return (await stage.control.robots())[-1]


def seconds_of(recording: str, hz: float) -> list[float]:
    """Return when ``hz`` is loud in a robot's recording: the beginnings of frames of 20 ms."""
    pcm = read_wav(Path(recording))
    frames = range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)
    loud = [index for index, at in enumerate(frames) if tone_level(pcm[at : at + FRAME_BYTES], hz) > 0.1]
    return [index * FRAME_SECONDS for index in loud]


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when ``condition`` holds; raise TimeoutError if it does not within ten seconds."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - what it looks at is in other processes
            await asyncio.sleep(0.05)


# -- calls from a robot


async def inbound(stage: Stage, sdk: str) -> tuple[RobotView, BrowserPhone, BrowserCall]:
    """Have a robot call a new page, and answer."""
    phone = await stage.phone(sdk)
    robot = await stage.control.call("102", name="ALICE")
    call = await phone.arrived()
    facts = await call.facts()
    assert (facts["states"][0], facts["remote_number"]) == ("ringing", "+16505550123")
    await call.act("answer")
    await call.listen()
    return robot, phone, call


# -- what REST does to a ringing call


async def beeps_in(robot: RobotView, *, after: float = 0.0) -> bool:
    """Return whether a robot has heard a page's microphone since ``after``, in seconds of its recording."""
    return sum(at > after for at in seconds_of(robot.recording, BEEP)) > 1
