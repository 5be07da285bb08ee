"""When an heir loads the phone: at once where nobody is busy, else when a new leader has registered."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from coordinator.keeper.readiness import Readiness
from shared.errors import GroupError


def no_directory(_epoch: int) -> Any:
    raise GroupError("gone")


@pytest.mark.parametrize(("is_calm", "delay"), [(True, 0.0), (False, 0.06)])
def test_an_heir_of_a_registered_leader_loads_the_phone_at_once(is_calm: bool, delay: float) -> None:
    async def story() -> None:
        candidacy: Any = SimpleNamespace(lease=SimpleNamespace(endpoints=no_directory), group="g")
        context: Any = None
        readiness, loop = Readiness(context, candidacy), asyncio.get_running_loop()
        begun = loop.time()
        readiness.prepare(2, is_calm=is_calm)
        readiness.prepare(2, is_calm=not is_calm)  # it is on its way already
        assert readiness._waiting is not None
        assert begun + delay <= readiness._waiting.when() <= loop.time() + delay
        await readiness.end()

    asyncio.run(story())
