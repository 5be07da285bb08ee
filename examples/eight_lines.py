"""The phone in eight lines: run it in as many processes as you like, all share one registration.

First, in another terminal: python -m coordinator simulator --dir service
"""

import asyncio
import sys

from coordinator import SharedlineError, join


async def main(account: str) -> None:
    """Call a robot, ask another one about it, and connect the two."""
    async with join("front-desk", account=account) as phone:  # real or dummy: it does not matter
        phone.on("inbound_call", lambda call: print("ringing:", call.remote_number))
        call = await phone.call("16505550199", caller_id="16505550101")
        await call.hold()
        consultation = await call.warm_transfer("199")
        await consultation.complete()
        async for snapshot in phone.snapshots():
            print(snapshot.version, [f"{call.remote_number} {call.state}" for call in snapshot.calls])
            if not phone.calls:
                break


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "service/101.json"))
    except SharedlineError as exc:
        sys.exit(f"error: {exc}")
