"""The polite end of a term: another window takes over, or calls and binding end with the last one."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

from agents.phone import PhoneCore
from shared.messages import RegistrationState

from .line import SipLine
from .office import Office

#: How long a leader that leaves waits for the service to confirm that its binding is gone.
_FAREWELL_TIME = 2.0
#: How long it waits for another window to take over, which takes some milliseconds if one will.
_SUCCESSION_TIME = 0.5


class Farewell:
    """What a leader still does when it leaves; ``tell`` gives the core an input and lets its effects out."""

    def __init__(
        self,
        office: Office,
        core: PhoneCore,
        line: SipLine,
        tell: Callable[[Callable[[float], None]], None],
    ) -> None:
        self._office, self._core, self._line, self._tell = office, core, line, tell
        self._registration_changed = asyncio.Event()

    def registration_changed(self) -> None:
        """Take that the registration is another one now."""
        self._registration_changed.set()

    async def say(self) -> None:
        """End the calls whose sound is here, and offer the rest; if nobody takes it, end that, too."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_TIME):
                self._tell(partial(self._core.hang_up, hosted_by=self._office.instance))
                await self._line.flush()
                if await self._is_succeeded():
                    return
                self._tell(self._core.hang_up)
                if self._is_registered():
                    await self._unregister()
                await self._line.flush()

    async def _is_succeeded(self) -> bool:
        """Offer the lease; return whether somebody took it: the other windows may be leaving, too."""
        if self._core.other_windows() == 0:
            return False
        self._office.offer()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _SUCCESSION_TIME
        while self._office.may_act():
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def _unregister(self) -> None:
        self._tell(self._core.unregister)
        while self._is_registered():
            self._registration_changed.clear()
            await self._registration_changed.wait()

    def _is_registered(self) -> bool:
        return self._core.registration.state is RegistrationState.REGISTERED
