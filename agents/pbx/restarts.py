"""A restart in place: the process and its control API stay, all else may be as after a crash."""

import asyncio
from typing import TYPE_CHECKING

from shared.errors import ActionRefused

from .fault_orders import Restart

if TYPE_CHECKING:
    from .service import Simulator


class Restarts:
    """Cuts connections, forgets what is to be forgotten, and listens again."""

    def __init__(self, service: "Simulator") -> None:
        self._service = service
        self._is_down = self._is_over = False

    async def restart(self, order: Restart) -> None:
        """Cut all connections, and listen again on the same port after ``order.down`` seconds.

        Raises:
            ActionRefused: It is restarting already.
        """
        if self._is_down:
            raise ActionRefused("wrong_state", "the service is restarting already")
        service, self._is_down = self._service, True
        what = "restart, all forgotten" if order.forget else "restart, all kept"
        service.ledger.record("SERVICE_STOPPED", reason=what)
        try:
            await service.server.crash()
            if order.forget:
                self._forget()
            await asyncio.sleep(order.down)
        finally:
            self._is_down = False
            service.faults.listen()
        service.ledger.record("SERVICE_STARTED", number=str(service.wss_port), reason=what)

    def listen(self, wanted: bool) -> None:
        """Take new connections, unless it is down or over; or refuse them for now. Those that are open stay.

        Raises:
            ConfigError: Somebody else has taken the port.
        """
        if wanted and not (self._is_down or self._is_over):
            self._service.server.door.open(self._service.wss_port)
        elif not wanted:
            self._service.server.door.close()

    def close(self) -> None:
        """Listen never again."""
        self._is_over = True

    def _forget(self) -> None:
        """Know nothing of calls and bindings; phones cannot be told, their connections are gone."""
        for call in self._service.live_calls():
            call.hang_up("service restarted")
        self._service.phones.pump()
        self._service.registrar.forget("service restarted")
        self._service.drain_registrar()
        self._service.phones.forget()
