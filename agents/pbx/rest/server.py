"""The REST side of a service, on its own port with the service's certificate."""

import secrets
from typing import TYPE_CHECKING

from shared.clock import wall
from shared.log import log

from ..web import HttpPort
from .api import make_app
from .call_api import CallApi
from .call_office import CallOffice
from .keys import load_keys, remove_login, write_login
from .office import Office
from .tokens import Tokens

if TYPE_CHECKING:
    from ..service import Simulator


_MOST_CONNECTIONS = 500


class RestServer:
    """Listens at once; answers when :meth:`start` has been called."""

    def __init__(self, service: "Simulator", port: int) -> None:
        settings = service.settings
        directory, self._hosts = settings.directory, ["127.0.0.1", "localhost", settings.host]
        self._client, key = load_keys(directory)
        self._http = HttpPort(
            settings.host,
            port,
            purpose="REST",
            certificate=(directory / "server.pem", directory / "server-key.pem"),
            most=_MOST_CONNECTIONS,
        )
        self.port = self._http.port
        self.url = f"https://{settings.host}:{self.port}"
        self.office = Office(service, self.url)
        self.calls, self._fault = CallOffice(service, self.office), service.faults.rest
        self._directory, self._extensions = directory, tuple(service.plan.subscribers)
        self.tokens = Tokens(
            self._client,
            key,
            audience=f"https://{settings.domain}/restapi/oauth/token",
            extensions=self._extensions,
            new_token=lambda: secrets.token_urlsafe(48),
        )

    def start(self) -> None:
        """Serve, and write the files for whoever may log in.

        Raises:
            ConfigError: If the directory cannot be written.
        """
        now = wall()
        jwts = {extension: self.tokens.make_jwt(extension, now) for extension in self._extensions}
        write_login(self._directory, self.url, self._client, jwts)
        calls = CallApi(self.calls)
        self._http.start(make_app(self.office, calls, self.tokens, hosts=self._hosts, fault=self._fault))
        log.info("rest.listening", url=self.url)

    async def close(self) -> None:
        """Stop, and remove ``rest.json``."""
        remove_login(self._directory)
        await self._http.close()
