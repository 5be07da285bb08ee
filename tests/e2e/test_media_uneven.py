"""Sound over a path that stands still now and then: once it has, it is waited for."""

import asyncio
from pathlib import Path

from agents.media.files import ToneSource
from agents.media.webrtc import WebRtcSession

from .far_end import far_process
from .sound_pair import LOOPBACK, Ear
from .uneven_path import UnevenPath

#: Packets of 20 ms for which the path stands still, and that pass between two such moments.
_STANDSTILL, _BETWEEN = 4, 100


def test_a_path_that_stands_still_costs_sound_the_first_time_and_then_hardly_any(tmp_path: Path) -> None:
    async def main() -> None:
        session = WebRtcSession(ToneSource(440), Ear(), addresses=LOOPBACK)

        async def missed(standstills: int) -> int:
            before = session.counts.concealed
            for _ in range(standstills):
                await path.stand_still(_STANDSTILL)
                await path.pass_on(_BETWEEN)
            return session.counts.concealed - before

        async with UnevenPath() as path, far_process(session, tmp_path / "there.wav", path):
            await path.pass_on(50)
            assert await missed(1) > 0
            assert await missed(3) < 4  # of 12 packets that came late

    asyncio.run(main())
