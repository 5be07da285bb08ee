"""A secretary: a phone in one process that answers nobody, and tells each caller when you will be back.

What the caller chose is printed: yes, no, urgent with a number to call, or none.
"""

import asyncio
import sys
from pathlib import Path

from coordinator import Call, ReplyKind, SharedlineError, WebPhone


async def tell(call: Call) -> None:
    """Tell a caller that we call back in half an hour."""
    try:
        if call.is_queue_call:
            await call.decline()  # the next one of the queue may answer it
            return
        await call.start_reply()
        chosen = await call.reply(kind=ReplyKind.CALL_YOU_BACK, delay=30, units="minutes")
    except SharedlineError as exc:
        print(f"{call.remote_number}: {exc}")
    else:
        print(f"{call.remote_number}: {chosen.answer} {chosen.callback}".rstrip())


async def main(account: Path) -> None:
    """Tell callers until interrupted."""
    async with WebPhone(sip_info=account, microphone=None) as phone:
        phone.on("inbound_call", tell)
        print(f"waiting for calls as {phone.registration.state}")
        await asyncio.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: secretary.py ACCOUNT-FILE")
    try:
        asyncio.run(main(Path(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
    except SharedlineError as exc:
        sys.exit(f"error: {exc}")
