"""Windows call JsSIP through Kamailio: it holds; keys go by INFO where it takes none in the sound."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from coordinator import Call, Phone, join
from shared.config import Account, Settings

from .browser import Browser
from .jssip import JsSip, missing
from .kamailio import kamailio, private_settings

REASON = missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"JsSIP: {REASON}")


@pytest.fixture
def alice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with kamailio(tmp_path_factory.mktemp("kamailio")) as account:
        yield account


class Window:
    """A window, and the keys that it was told of."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self._keys: asyncio.Queue[str] = asyncio.Queue()
        phone.on("key_pressed", lambda _call, key: self._keys.put_nowait(key))

    async def keys(self, count: int) -> str:
        """Return the next keys, once there are so many."""
        return "".join([await self._keys.get() for _ in range(count)])


async def two_windows(stack: AsyncExitStack, alice: Account, settings: Settings) -> tuple[Window, Window]:
    """Join with a window that has sound, and one that has none."""
    desk = await stack.enter_async_context(
        join("front", account=alice, microphone="tone:440", loudspeaker="none", settings=settings)
    )
    wall = await stack.enter_async_context(join("front", account=alice, microphone=None, settings=settings))
    await desk.until(lambda: any(window.media for window in desk.windows) and len(desk.windows) == 2)
    return Window(desk), Window(wall)


async def confirmed(phone: Phone, theirs: JsSip) -> Call:
    """Call JsSIP, which answers; return once both are in the call."""
    call = await phone.dial("bob")
    await theirs.do("arrived", 0)
    await theirs.do("answer", 0)
    await theirs.do("until", 0, "confirmed")
    await call.connected()
    return call


def test_keys_go_by_info_to_a_far_end_that_takes_no_others_and_its_own_are_told_in_every_window(
    alice: Account,
) -> None:
    async def main() -> None:
        with Browser() as driver, private_settings() as settings:
            async with (
                asyncio.timeout(60),
                JsSip(driver, alice, "bob", without_events=True) as theirs,
                AsyncExitStack() as stack,
            ):
                desk, wall = await two_windows(stack, alice, settings)
                call = await confirmed(desk.phone, theirs)
                await wall.phone.calls[0].send_dtmf("15#")  # a window may send keys whose sound is elsewhere
                assert await theirs.keys(3) == ["remote 1", "remote 5", "remote #"]
                for key in "9*D":
                    await theirs.do("digit", 0, key, "INFO")
                assert (await desk.keys(3), await wall.keys(3)) == ("9*D", "9*D")
                await call.hangup()

    asyncio.run(main())


def test_a_far_end_that_we_called_holds_and_goes_on_and_so_do_we(alice: Account) -> None:
    async def main() -> None:
        with Browser() as driver, private_settings() as settings:
            async with (
                asyncio.timeout(60),
                JsSip(driver, alice, "bob") as theirs,
                join(
                    "front", account=alice, microphone="tone:440", loudspeaker="none", settings=settings
                ) as us,
            ):
                call = await confirmed(us, theirs)
                await theirs.do("hold", 0)
                await us.until(lambda: us.calls[0].held_by_remote)
                await call.hold()
                await theirs.do("unhold", 0)
                await us.until(lambda: not us.calls[0].held_by_remote)
                await call.unhold()
                await theirs.do("listen", 0)
                await theirs.hears(440.0)
                assert (await theirs.facts())["state"] == "connected"
                await call.hangup()

    asyncio.run(main())
