"""The far end of a call in a process of its own."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from agents.media.webrtc import WebRtcSession

from .sound_pair import until
from .uneven_path import UnevenPath

FAR_END = """
import asyncio, sys
from agents.media.specs import FAREWELL, open_session

async def main():
    done = asyncio.Event()
    session = open_session(
        f"wav:{FAREWELL}", f"wav:{sys.argv[1]}", addresses=("127.0.0.1",),
        on_state=lambda state: done.set() if state in ("failed", "closed") else None,
    )
    sdp = sys.stdin.read().replace("\\n", "\\r\\n")
    print((await session.answer(sdp)).replace("\\r\\n", "\\n") + "END", flush=True)
    await done.wait()
    await session.close()

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def far_process(
    session: WebRtcSession, recording: Path, path: UnevenPath | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Connect ``session`` with one in another process, which plays the farewell and records."""
    far = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FAR_END, recording, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert far.stdin is not None
        assert far.stdout is not None
        offer = await session.offer()
        far.stdin.write((path.as_near(offer) if path else offer).replace("\r\n", "\n").encode())
        far.stdin.close()
        answer = (await far.stdout.readuntil(b"END")).removesuffix(b"END").decode().replace("\n", "\r\n")
        await session.apply(path.as_far(answer) if path else answer)
        await until(lambda: session.state == "connected")
        yield far
    finally:
        await session.close()
        await asyncio.wait_for(far.wait(), 20)
