"""A conference: made by the service's REST API, called into, and numbers invited into it.

For the simulated service, started with --rest 0; it writes how to log in into its directory.
"""

import asyncio
import json
import sys
from pathlib import Path

from coordinator import RestClient, RestLogin, SharedlineError, join


def login(directory: Path, extension: str) -> RestLogin:
    """Return who logs in. At the real service these come from its developer console."""
    file = json.loads((directory / "rest.json").read_text())
    return RestLogin(
        server=file["server"],
        client_id=file["clientId"],
        client_secret=file["clientSecret"],
        jwt=file["jwt"][extension],
        ca_file=directory / file["caFile"],
    )


async def main(directory: Path, extension: str, numbers: list[str]) -> None:
    """Invite everybody, and say who is there."""
    account = directory / f"{extension}.json"
    async with RestClient(login(directory, extension)) as rest, join("meeting", account=account) as phone:
        conference = await phone.conference(rest)
        for number in numbers:
            await conference.invite(number)
            print(f"{number} is in the conference")
        session = await rest.session(conference.session_id)
        print(f"{len(session.parties)} parties")
        await conference.call.hangup()


if __name__ == "__main__":
    try:
        directory = Path(sys.argv[1] if len(sys.argv) > 1 else "service")
        asyncio.run(main(directory, "101", sys.argv[2:] or ["199", "16505550199"]))
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, SharedlineError) as exc:
        sys.exit(f"error: {exc}")
