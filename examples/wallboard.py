"""A wallboard: shows every call of the group and never touches one. It has no sound, and so never leads.

Start a window first: python -m coordinator join front-desk --account service/101.json
"""

import asyncio
import sys

from coordinator import SharedlineError, Snapshot, join


def board(snapshot: Snapshot) -> str:
    """Return the state of the group as one line."""
    calls = [f"{call.remote_number} {call.state}{' (held)' if call.held else ''}" for call in snapshot.calls]
    return f"{len(snapshot.windows)} windows | {', '.join(calls) or 'no calls'}"


async def main(account: str) -> None:
    """Print a line whenever what it says has changed."""
    shown = ""
    async with join("front-desk", account=account, name="wallboard", microphone=None, wait=False) as phone:
        async for snapshot in phone.snapshots():
            if (line := board(snapshot)) != shown:
                print(shown := line, flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "service/101.json"))
    except KeyboardInterrupt:
        sys.exit(130)
    except SharedlineError as exc:
        sys.exit(f"error: {exc}")
