"""Who calls the target of a blind transfer: somebody who still talks in another call."""

import asyncio

from shared.errors import CallFailed

from .legs import Ends, Leg
from .views import LegView


class StandIn:
    """A caller's leg in place of ``real``, until the target has answered and the two are connected."""

    def __init__(self, real: Leg) -> None:
        self.name, self.number = real.name, real.number
        self.ends: Ends | None = None
        self._real = real
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def answered(self) -> str:
        """Return the target's description when it has answered.

        Raises:
            CallFailed: It will not.
        """
        return await self._answer

    def ring(self, offer: str) -> None:
        """Do nothing: it is nobody's callee."""

    def progress(self) -> None:
        """Do nothing: the real one talks with somebody else."""

    def answer(self, sdp: str) -> None:
        """Tell whoever waits."""
        if not self._answer.done():
            self._answer.set_result(sdp)

    def reject(self, status: int, reason: str) -> None:
        """Tell whoever waits."""
        self._fail(status, reason)

    def reoffer(self, sdp: str) -> None:
        """Refuse for now: it is being connected at this moment."""
        if self.ends is not None:
            self.ends.reanswered(self, 491, "")

    def reanswer(self, status: int, sdp: str) -> None:
        """Do nothing: it asks for no change."""

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
