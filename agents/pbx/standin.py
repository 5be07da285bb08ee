"""Who calls the target of a blind transfer: somebody who still talks in another call."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.errors import CallFailed

from .legs import Ends, Leg
from .views import LegView

if TYPE_CHECKING:
    from agents.media.base import MediaState


class StandIn:
    """A caller's leg in place of ``real``, until the target has answered. It hears nothing."""

    party = None
    holds = False
    media_state: "MediaState" = "new"

    def __init__(self, real: Leg) -> None:
        self.name, self.number = real.name, real.number
        self.ends: Ends | None = None
        self._real = real
        self._answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def answered(self) -> None:
        """Return when the target has answered.

        Raises:
            CallFailed: It will not.
        """
        await self._answer

    def ring(self) -> None:
        """Do nothing: it is nobody's callee."""

    def progress(self, then: Callable[[], None]) -> None:
        """Go on: the real one talks with somebody else."""
        then()

    def answer(self) -> None:
        """Tell whoever waits."""
        if not self._answer.done():
            self._answer.set_result(None)

    def reject(self, status: int, reason: str) -> None:
        """Tell whoever waits."""
        self._fail(status, reason)

    def partner_is(self, state: "MediaState", *, holds: bool) -> None:
        """Do nothing: it does not listen yet."""

    def end(self, reason: str) -> None:
        """Tell whoever waits."""
        self._fail(480, reason)

    def view(self) -> LegView:
        """Return the real one."""
        return self._real.view()

    def _fail(self, status: int, reason: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(CallFailed(status, reason))
            self._answer.exception()  # seen: nobody waits for it when the transfer itself was given up
