"""What programs get wrong, where no service is needed: one clear error each, and nothing hangs."""

import asyncio
import gc
import socket
import tempfile
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from coordinator import AccountError, ActionRefused, ServiceUnreachable, Settings, WebPhone, join
from tests.fakes import account


def play(story: Callable[[Settings], Coroutine[Any, Any, None]]) -> list[str]:
    """Run ``story``; return what its event loop complained of."""
    complaints: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: complaints.append(str(context["message"])))
        with tempfile.TemporaryDirectory(prefix="sl-", dir="/tmp") as directory:
            async with asyncio.timeout(10):
                await story(Settings(runtime_dir=f"{directory}/run", state_dir=f"{directory}/state"))
        gc.collect()

    asyncio.run(main())
    return complaints


@pytest.mark.parametrize("proxy", ["a..b:443", f"{'a' * 70}.b:443", "127.0.0.1:99999", "127.0.0.1:x"])
def test_a_proxy_that_no_connection_can_be_made_to_is_named_and_the_process_can_leave(proxy: str) -> None:
    async def story(settings: Settings) -> None:
        line = account(outbound_proxy=proxy)
        with pytest.raises(ServiceUnreachable, match=r"is no host:port .*check outboundProxy"):
            async with join("g", account=line, microphone=None, candidate=True, settings=settings):
                pass

    assert play(story) == []


@pytest.mark.parametrize("given", [None, 5, ["account.json"], {"username": "x"}])
def test_what_is_no_account_is_an_account_error(given: Any) -> None:
    async def story(settings: Settings) -> None:
        with pytest.raises(AccountError):
            async with join("g", account=given, microphone=None, settings=settings):
                pass

    assert play(story) == []


def test_an_account_of_which_no_address_can_be_made_is_an_error_of_whoever_waits_and_of_nobody_else() -> None:
    line = account(username="a b")

    async def waiting(settings: Settings) -> None:
        with pytest.raises(AccountError, match="username"):
            async with join("g", account=line, microphone=None, candidate=True, settings=settings):
                pass

    async def not_waiting(settings: Settings) -> None:
        joining = join("g", account=line, microphone=None, candidate=True, settings=settings, wait=False)
        async with joining:
            await asyncio.sleep(0.1)

    async def alone(settings: Settings) -> None:
        phone = WebPhone(line, microphone=None, settings=settings)
        with pytest.raises(AccountError, match="username"):
            await phone.start()
        await phone.dispose()

    for story in (waiting, not_waiting, alone):
        assert play(story) == [], story.__name__


def test_a_name_that_nobody_could_read_is_made_readable() -> None:
    async def story(settings: Settings) -> None:
        name = "\udcff" + "front desk " * 10_000
        line = account()
        joining = join(
            "g", account=line, name=name, microphone=None, candidate=True, settings=settings, wait=False
        )
        async with joining as phone:
            await phone.until(lambda: len(phone.windows) == 1)
            assert phone.windows[0].name == ("front desk " * 10)[:64].strip()

    assert play(story) == []


def test_a_web_phone_that_is_disposed_while_it_connects_lets_go_of_whoever_waits_for_it() -> None:
    async def story(settings: Settings) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            line = account(outbound_proxy=f"127.0.0.1:{silent.getsockname()[1]}")
            phone = WebPhone(line, microphone=None, settings=settings)
            starting = asyncio.ensure_future(phone.start())
            peer, _ = await asyncio.to_thread(silent.accept)
            with peer:
                await phone.dispose()
                with pytest.raises(ActionRefused, match="has left"):
                    await starting

    assert play(story) == []
