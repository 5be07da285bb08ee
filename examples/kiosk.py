"""A kiosk: answers whatever rings first, and tells the other kiosks by doing so.

Start several. Each call is answered by exactly one of them; kill any of them, and the rest go on.
"""

import asyncio
import sys

from coordinator import ActionRefused, Call, SharedlineError, join


async def main(account: str, name: str) -> None:
    """Answer calls until interrupted."""
    async with join("kiosks", account=account, name=name) as phone:

        async def take(call: Call) -> None:
            try:
                await call.answer()
            except ActionRefused as exc:
                print(f"{name}: not mine: {exc}")  # another kiosk was faster, or the caller has gone
                return
            print(f"{name}: talking to {call.remote_number}")
            print(f"{name}: over: {await call.ended()}")

        phone.on("inbound_call", take)
        phone.on("leader_changed", lambda _: print(f"{name} is the {phone.role} phone now"))
        print(f"{name} is the {phone.role} phone")
        await asyncio.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: kiosk.py ACCOUNT-FILE NAME")
    try:
        asyncio.run(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except SharedlineError as exc:
        sys.exit(f"error: {exc}")
