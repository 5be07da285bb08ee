"""A service that is not there, sockets that cannot be made: the process stays usable, and can leave."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.phone import PhoneCore
from agents.phone.signalling import Signalling
from agents.real.line import SipLine
from agents.real.obituary import Obituary
from agents.sip.events import InviteReceived
from coordinator import GroupError, join
from coordinator.lease import FileLease
from shared.config import Settings
from shared.election import Endpoints
from shared.messages import Problem
from tests.fakes import account

from .stage import stage


class Owner:
    """Whoever has a line, and hears that it is down."""

    def __init__(self) -> None:
        self.is_refused = asyncio.Event()

    def line_down(self, problem: Problem, detail: str, retry_in: float | None) -> None:
        if problem is Problem.UNREACHABLE:
            self.is_refused.set()

    def line_up(self) -> None:
        raise AssertionError("nothing listens there")

    def line_is_idle(self) -> bool:
        return True

    def line_received(self, frame: str) -> None:
        raise AssertionError(frame)


def test_what_is_sent_without_a_connection_is_dropped_and_leaving_does_not_wait_for_it() -> None:
    async def main() -> None:
        owner = Owner()
        line = SipLine(account(), owner, lambda: True)
        async with asyncio.timeout(5):
            await owner.is_refused.wait()
            line.send("BYE")
            await line.flush()
            await line.close()

    asyncio.run(main())


def fail_while_read(monkeypatch: pytest.MonkeyPatch, failed: list[object]) -> None:
    received = PhoneCore.received

    def fail_once(core: PhoneCore, frame: str, now: float) -> None:
        if frame.startswith("INVITE") and not failed:
            failed.append(frame)
            raise ValueError("a bug")
        received(core, frame, now)

    monkeypatch.setattr(PhoneCore, "received", fail_once)


def fail_while_understood(monkeypatch: pytest.MonkeyPatch, failed: list[object]) -> None:
    changed = Signalling.session_changed

    def fail_once(signalling: Signalling, event: Any, now: float) -> None:
        if isinstance(event, InviteReceived) and not failed:
            failed.append(event)
            raise ValueError("a bug")
        changed(signalling, event, now)

    monkeypatch.setattr(Signalling, "session_changed", fail_once)


@pytest.mark.parametrize("break_something", [fail_while_read, fail_while_understood])
def test_an_input_that_fails_does_not_cost_the_leader_its_line(
    break_something: Callable[[pytest.MonkeyPatch, list[object]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[object] = []
    break_something(monkeypatch, failed)

    async def main() -> None:
        async with (
            asyncio.timeout(10),
            stage() as it,
            join("front", account=it.account, settings=it.settings, microphone=None, candidate=True) as phone,
        ):
            await it.control.call("101")
            await it.control.call("101")
            await phone.until(lambda: len(phone.calls) == 1)
            assert failed
            assert it.ledger("FLOW_CLOSED") == []

    asyncio.run(main())


@pytest.mark.parametrize("pid", [2**40, 0, -1])
def test_a_window_with_a_pid_that_cannot_be_is_not_watched(pid: int) -> None:
    async def main() -> None:
        died: list[str] = []
        obituary = Obituary(died.append)
        obituary.watch("odd", pid)
        assert obituary._watched == {}
        await asyncio.sleep(0)
        assert died == []
        obituary.close()

    asyncio.run(main())


@pytest.mark.parametrize("which", ["actions", "state", "estate"])
def test_a_group_whose_sockets_cannot_be_made_says_so_and_can_be_left(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints = FileLease.endpoints

    def nowhere(lease: FileLease, epoch: int, instance: str = "") -> Endpoints:
        return endpoints(lease, epoch, instance)._replace(**{which: "ipc:///nowhere/at-all"})

    async def main(root: Path) -> None:
        settings = Settings(runtime_dir=root / "run", state_dir=root / "state")
        async with asyncio.timeout(10):
            with pytest.raises(GroupError, match="sockets of the group 'front'"):
                async with join(
                    "front", account=account(), settings=settings, microphone=None, candidate=True
                ):
                    pass

    monkeypatch.setattr(FileLease, "endpoints", nowhere)
    with tempfile.TemporaryDirectory(prefix="sl-", dir="/tmp") as directory:
        asyncio.run(main(Path(directory)))
