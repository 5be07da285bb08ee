"""A process that cannot speak takes no epoch, and leads as soon as it can."""

import asyncio
import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import zmq

import coordinator.keeper.readiness
from agents.bus import Post
from agents.real.office import Office
from coordinator.keeper import Keeper
from coordinator.keeper.candidacy import Candidacy
from coordinator.lease import FileLease, Vacant
from shared.clock import boottime
from shared.election import Holder
from shared.trace import Trace
from tests.fakes import account, settings, snapshot


def test_a_candidate_that_cannot_make_its_sockets_burns_no_epoch_says_so_once_and_leads_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    may_bind = False

    def bind(context: Any, endpoints: Any) -> Post:
        tries.append(1)
        if not may_bind:
            raise zmq.ZMQError(errno.EMFILE)
        return Post(context, endpoints)

    async def main() -> None:
        nonlocal may_bind
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        failures: list[Exception] = []
        followed: list[Holder] = []
        keeper = Keeper(context, candidacy(tmp_path, failures.append, followed.append))
        lease = FileLease(tmp_path, "look")
        await until(lambda: len(tries) > 20)
        assert lease.look() == Vacant(0)
        assert ["Too many open files" in str(failure) for failure in failures] == [True]
        may_bind = True
        await until(lambda: bool(followed))
        found = lease.look()
        assert isinstance(found, Holder)
        assert found.epoch == followed[0].epoch == 1
        await keeper.close()
        await asyncio.to_thread(context.term)

    monkeypatch.setattr(coordinator.keeper.readiness, "Post", bind)
    asyncio.run(main())


class SlowCandidate(FileLease):
    """The lease of a process that stands still when it has taken one, until another has passed it."""

    def __init__(self, directory: Path, instance: str, *, passed_by: FileLease) -> None:
        super().__init__(directory, instance)
        self._other = passed_by

    def try_take(self, epoch: int, deadline: float) -> bool:
        is_taken = super().try_take(epoch, deadline)
        return is_taken and self._other.try_take(epoch + 1, deadline + 3600)


def test_a_candidate_that_was_passed_before_its_promotion_does_not_begin_a_term(tmp_path: Path) -> None:
    other = FileLease(tmp_path, "b")
    traces = tmp_path / "traces"
    traces.mkdir()

    async def main() -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        followed: list[Holder] = []
        candidate = candidacy(tmp_path, lambda _: None, followed.append)
        lease = SlowCandidate(tmp_path, "a", passed_by=other)
        keeper = Keeper(context, replace(candidate, lease=lease, trace=Trace(traces, "a")))
        await until(lambda: bool(followed))
        assert [(holder.epoch, holder.instance) for holder in followed] == [(2, "b")]
        await keeper.close()
        await asyncio.to_thread(context.term)

    asyncio.run(main())
    other.release()
    [trace] = traces.iterdir()
    assert "PROMOTED" not in trace.read_text()


class DeafCandidate(FileLease):
    """The lease of a process that is never told that the lock which it waits for has opened."""

    def watch(self, epoch: int, opened: Callable[[int], None]) -> None:
        """Wait for nothing."""


class Recorder:
    """A leader that only tells what it was given."""

    offices: ClassVar[list[Office]] = []
    estate = b""

    def __init__(self, office: Office) -> None:
        self.offices.append(office)

    async def leave(self) -> None:
        """Let go of the sockets."""
        self.offices[0].post.close()


@pytest.mark.parametrize("is_dead", [True, False])
def test_a_successor_that_looks_before_it_is_told_knows_whether_the_leader_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_dead: bool
) -> None:
    other = FileLease(tmp_path, "b")
    assert other.try_take(1, boottime() + 0.3)

    async def main() -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        candidate = candidacy(tmp_path, lambda _: None, lambda _: None)
        seen = snapshot(1, 1, leader="b")
        keeper = Keeper(context, replace(candidate, lease=DeafCandidate(tmp_path, "a"), seed=lambda: seen))
        if is_dead:
            other.offer()  # its lock opens, as at its death
        await until(lambda: bool(Recorder.offices))
        assert [office.predecessor_died for office in Recorder.offices] == [is_dead]
        await keeper.close()
        await asyncio.to_thread(context.term)

    Recorder.offices.clear()
    monkeypatch.setattr("agents.real.RealAgent", Recorder)
    asyncio.run(main())
    other.release()


class WatchedLease(FileLease):
    """Notes whose locks are waited for."""

    def __init__(self, directory: Path, instance: str) -> None:
        super().__init__(directory, instance)
        self.watched: list[int] = []

    def watch(self, epoch: int, opened: Callable[[int], None]) -> None:
        self.watched.append(epoch)
        super().watch(epoch, opened)


def test_only_the_heir_waits_for_the_leaders_lock_and_has_sockets_and_a_file_ready(tmp_path: Path) -> None:
    leader, lease = FileLease(tmp_path, "leader"), WatchedLease(tmp_path, "a")
    assert leader.try_take(1, boottime() + 3600)
    leader.settle_in()

    def is_prepared() -> bool:
        return bool(list(tmp_path.glob("candidate.2.*"))) and (tmp_path / "2.a.state").exists()

    async def main() -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        followed: list[Holder] = []
        keeper = Keeper(context, replace(candidacy(tmp_path, lambda _: None, followed.append), lease=lease))
        await until(lambda: bool(followed))
        keeper.standing_changed(1, 1)
        keeper.standing_changed(0, 1)
        await until(is_prepared)
        assert lease.watched == [1]
        keeper.standing_changed(1, 1)
        await until(lambda: not is_prepared())
        keeper.standing_changed(0, 1)
        await until(is_prepared)
        assert lease.watched == [1]
        leader.release()
        await until(lambda: len(followed) == 2)
        assert (followed[1].epoch, followed[1].instance) == (2, "a")
        await keeper.close()
        await asyncio.to_thread(context.term)

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.005)


def candidacy(
    directory: Path, failed: Callable[[Exception], None], follow: Callable[[Holder], None]
) -> Candidacy:
    return Candidacy(
        group="front",
        instance="a",
        account=account(),
        sip_instance_id="line",
        settings=settings(),
        lease=FileLease(directory, "a"),
        is_candidate=True,
        grace=lambda: 0.0,
        seed=lambda: None,
        follow=follow,
        failed=failed,
        trace=Trace(None, "a"),
    )
