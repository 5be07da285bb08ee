"""Phones that say a tone each and write down what they hear, with a service of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from agents.media.analysis import find_tone, tone_level
from agents.media.files import ToneSource, WavSink, read_wav
from agents.pbx import Extension, Simulator, SimulatorSettings
from agents.pbx.ledger import Entry, read_ledger
from agents.sip.events import InviteReceived, ReinviteDone, SessionAnswered, SessionEnded
from agents.sip.sdp import Sdp

from .sip_phone import SipPhone

WITHIN = 20.0
EXTENSIONS = tuple(Extension(str(101 + n), str(16505550101 + n)) for n in range(9))


class Speaker(SipPhone):
    """A phone that says a tone and writes down what it hears."""

    def __init__(
        self, simulator: Simulator, extension: str, hz: float, directory: Path, **options: Any
    ) -> None:
        super().__init__(simulator.account_path(extension), **options)
        self.hz, self.recording = hz, directory / f"{extension}-{hz:g}.wav"
        self.session = ""

    @property
    def fragment(self) -> str | None:
        """The ICE user fragment of its connection."""
        assert self.media is not None
        return Sdp.parse(self.media.local_sdp or "").attribute("ice-ufrag")

    async def dial(self, number: str, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Call a number."""
        offer = await self.sound(ToneSource(self.hz), WavSink(self.recording)).offer()
        self.session = await self.do(lambda now: self.core.invite(number, offer, now=now, headers=headers))

    async def take(self, call: InviteReceived, *, without_candidates: bool = False) -> None:
        """Answer a call."""
        sdp = await self.sound(ToneSource(self.hz), WavSink(self.recording)).answer(call.sdp)
        if without_candidates:
            sdp = "".join(line for line in sdp.splitlines(keepends=True) if "candidate" not in line)
        self.session = call.session_id
        await self.do(lambda now: self.core.answer(self.session, sdp, now))

    async def connect_answered(self) -> SessionAnswered:
        """Wait for the answer, and apply it."""
        answered = await self.wait(SessionAnswered)
        assert self.media is not None
        await self.media.apply(answered.sdp)
        return answered

    async def direct(self, direction: Any) -> None:
        """Change the direction of the sound, as a hold does."""
        assert self.media is not None
        sdp = Sdp.parse(self.media.local_sdp or "").with_direction(direction)
        await self.do(lambda now: self.core.reinvite(self.session, sdp.encode(), now))
        assert (await self.wait(ReinviteDone)).status == 200

    def heard(self) -> bytes:
        """Return all that it has heard."""
        return read_wav(self.recording)

    async def hears(self, *hertz: float, seconds: float = 0.2) -> None:
        """Return when it has heard all of these from now on."""
        since = len(self.heard()) / 96_000
        async with asyncio.timeout(WITHIN):
            for hz in hertz:
                while find_tone(self.heard(), hz, seconds=seconds, after=since) is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)

    async def hears_together(self, *hertz: float) -> None:
        """Return when it hears all of these at the same time."""
        async with asyncio.timeout(WITHIN):
            while not all(tone_level(self.heard()[-19_200:], hz) > 0.05 for hz in hertz):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def hang_up(self) -> None:
        """End its call."""
        await self.do(lambda now: self.core.hangup(self.session, now))
        await self.wait(SessionEnded)


async def connected(ada: Speaker, bob: Speaker) -> None:
    """Have them call each other."""
    await ada.dial("102")
    await bob.take(await bob.wait(InviteReceived))
    await ada.connect_answered()
    for phone in (ada, bob):
        await phone.until_connected()


def simulate(directory: Path, story: Callable[[Simulator], Awaitable[None]], **settings: Any) -> list[Entry]:
    """Run ``story`` with a service, check that it leaves nothing open, and return what its ledger says."""

    async def main() -> None:
        async with (
            asyncio.timeout(90),
            Simulator(SimulatorSettings(directory=directory, extensions=EXTENSIONS, **settings)) as simulator,
        ):
            await story(simulator)
            async with asyncio.timeout(WITHIN):
                while len(simulator.board) or simulator.recorders.busy or simulator.live_calls():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    asyncio.run(main())
    return read_ledger(directory / "ledger.ndjson")
