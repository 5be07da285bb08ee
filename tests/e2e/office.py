"""An office: a simulated service, windows of its extensions, robots that call, and what was heard."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from agents.media.analysis import find_tone, similarity
from agents.media.files import read_wav
from agents.pbx import Extension, Simulator, SimulatorSettings
from agents.pbx.ledger import Entry, read_ledger
from agents.pbx.robots import SOUNDS
from agents.pbx.views import RobotCall
from coordinator import Call, CallState, Phone, Settings, join

WITHIN = 20.0
EXTENSIONS = tuple(Extension(f"10{n}", f"1650555010{n}") for n in (1, 2, 3))
GREETING, FAREWELL = SOUNDS / "greeting.wav", SOUNDS / "farewell.wav"
#: Each text begins and ends with a tone of its own, which stands a machine that is too busy for the words.
TONES = {GREETING: (941.0, 1336.0), FAREWELL: (697.0, 1477.0)}


class Office:
    """A service, and windows of its extensions."""

    def __init__(self, simulator: Simulator, stack: AsyncExitStack, directory: Path) -> None:
        self.simulator, self._stack, self.directory = simulator, stack, directory

    async def window(
        self, extension: str, name: str = "first", *, says: str = "silence", hears: str = "none"
    ) -> Phone:
        """Open one more window of an extension."""
        settings = Settings(runtime_dir=self.directory / "run", state_dir=self.directory / "state")
        account = self.simulator.account_path(extension)
        window = join(
            f"desk-{extension}",
            account=account,
            name=name,
            microphone=says,
            loudspeaker=hears,
            settings=settings,
        )
        return await self._stack.enter_async_context(window)

    async def robot_calls(self, extension: str) -> str:
        """Let a robot call; it says the greeting. Returns its id."""
        return await self.simulator.desk.robot_call(RobotCall(to=extension))

    async def happened(self, event: str, **facts: object) -> Entry:
        """Wait for a line of the ledger."""
        return await self.simulator.wait_for(
            lambda entry: entry.event == event and all(getattr(entry, k) == v for k, v in facts.items()),
            within=WITHIN,
        )

    async def heard(self, robot: str, seconds: float) -> None:
        """Wait until a robot has recorded for so long from now on."""
        found = self.simulator.robots.get(robot)
        until = found.robot_view().seconds + seconds
        async with asyncio.timeout(WITHIN):
            while found.robot_view().seconds < until:  # noqa: ASYNC110 - a recording tells nobody of its growth
                await asyncio.sleep(0.02)

    async def recording(self, robot: str) -> Path:
        """Hang a robot up, and return what it heard."""
        found = self.simulator.robots.get(robot)
        if found.state != "ended":
            found.hang_up()
        await found.drained()
        return Path(found.robot_view().recording)


@asynccontextmanager
async def office(directory: Path, **options: Any) -> AsyncIterator[Office]:
    settings = SimulatorSettings(directory=directory / "service", extensions=EXTENSIONS, **options)
    async with asyncio.timeout(90), Simulator(settings) as simulator, AsyncExitStack() as stack:
        yield Office(simulator, stack, directory)


def tell(directory: Path, story: Callable[[Office], Awaitable[None]]) -> list[Entry]:
    """Run ``story``, and return what the ledger says."""

    async def main() -> None:
        async with office(directory) as place:
            await story(place)

    asyncio.run(main())
    return read_ledger(directory / "service" / "ledger.ndjson")


async def ringing(phone: Phone) -> Call:
    """Wait for a call that rings at a window."""
    async with asyncio.timeout(WITHIN):
        await phone.until(lambda: any(call.state is CallState.RINGING for call in phone.calls))
    return next(call for call in phone.calls if call.state is CallState.RINGING)


async def same_call(phone: Phone, call: Call) -> Call:
    """Return what another window shows of ``call``."""
    async with asyncio.timeout(WITHIN):
        await phone.until(lambda: any(one.call_id == call.call_id for one in phone.calls))
    return next(one for one in phone.calls if one.call_id == call.call_id)


def check_heard(recording: Path, original: Path) -> None:
    """Check that a recording has the one text's tones, and is more like it than like the other."""
    other, heard = (FAREWELL if original is GREETING else GREETING), read_wav(recording)
    assert any(find_tone(heard, hertz) is not None for hertz in TONES[original])
    assert all(find_tone(heard, hertz) is None for hertz in TONES[other])
    wanted, unwanted = (similarity(read_wav(path), heard).score for path in (original, other))
    assert wanted > unwanted, (wanted, unwanted)
