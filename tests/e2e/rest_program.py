"""A program that uses the REST side of the simulated service, over TLS."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from agents.pbx import Simulator, SimulatorSettings
from agents.pbx.rest.keys import RestFile

JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN, PROVISION = "/restapi/oauth/token", "/restapi/v1.0/client-info/sip-provision"
OWN = "/restapi/v1.0/account/~/extension/~"
WSS = {"sipInfo": [{"transport": "WSS"}]}


class Rest:
    """A program that knows what is in ``rest.json``."""

    def __init__(self, simulator: Simulator) -> None:
        self.directory = simulator.settings.directory
        self.file = msgspec.json.decode((self.directory / "rest.json").read_bytes(), type=RestFile)
        trust = ssl.create_default_context(cafile=str(self.directory / self.file.ca_file))
        self.http = httpx.AsyncClient(base_url=self.file.server, verify=trust, trust_env=False)

    async def login(self, extension: str = "101") -> dict[str, Any]:
        """Log in, and send the token from now on."""
        tokens = await self.token(grant_type=JWT, assertion=self.file.jwt[extension])
        assert tokens.status_code == 200, tokens.text
        self.http.headers["Authorization"] = f"Bearer {tokens.json()['access_token']}"
        found: dict[str, Any] = tokens.json()
        return found

    async def token(self, *, secret: str = "", **form: str) -> httpx.Response:
        """Ask for tokens."""
        client = (self.file.client_id, secret or self.file.client_secret)
        return await self.http.post(TOKEN, data=form, auth=client)

    async def refused(self, status: int, code: str, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Ask for what is refused, in the service's form."""
        answer = await self.http.request(method, path, **options)
        body: dict[str, Any] = answer.json()
        assert (answer.status_code, body["errorCode"]) == (status, code), answer.text
        assert body["errors"][0]["message"] == body["message"]
        return body


Story = Callable[[Simulator, Rest], Awaitable[None]]


def serve(directory: Path, story: Story, **settings: Any) -> None:
    """Run ``story`` with a service and a program that uses its REST side."""

    async def main() -> None:
        made = SimulatorSettings(directory=directory, rest_port=0, **settings)
        async with asyncio.timeout(60), Simulator(made) as simulator:
            rest = Rest(simulator)
            async with rest.http:
                await story(simulator, rest)

    asyncio.run(main())


# -- provisioning


def write_account(directory: Path, info: dict[str, Any]) -> Path:
    """Write what was provisioned into a file."""
    path = directory / f"{info['authorizationId']}.json"
    path.write_bytes(msgspec.json.encode(info | {"caFile": "ca.pem"}))
    return path
