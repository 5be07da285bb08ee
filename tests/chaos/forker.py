"""A window that forks a child once it leads; the child keeps all its descriptors, and does nothing."""

import asyncio
import os
import signal
import sys

from coordinator.node import join


async def main(group: str, account: str) -> None:
    """Live until killed."""
    async with join(group, account=account, name="forker", microphone=None, candidate=True) as phone:
        await phone.until(lambda: phone.role == "real")
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
