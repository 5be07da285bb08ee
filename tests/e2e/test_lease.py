"""The lease of one host among real processes that are killed and stopped: one holder an epoch, in order."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.lease import FileLease, Vacant
from shared.clock import boottime
from shared.election import Holder
from shared.errors import GroupError

PROGRAM = Path(__file__).with_name("lease_holder.py")
ROOT = Path(__file__).parents[2]


class Crowd:
    """Processes that stand for election, and what those who led did."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pids: list[int] = []
        self.nursery = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )

    def add(self, count: int = 1) -> None:
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        for _ in range(count):
            self.nursery.stdin.write("one more\n")
            self.nursery.stdin.flush()
            self.pids.append(int(self.nursery.stdout.readline()))

    def acts(self) -> list[tuple[int, int]]:
        """Return (epoch, pid) of each act, in order."""
        path = self.directory / "acts"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(line.split()[0]), int(line.split()[1])) for line in lines]

    def until(self, condition: Callable[[], Any]) -> Any:
        """Poll, because what happens is in other processes' files."""
        deadline = time.monotonic() + 20
        while not (value := condition()):
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.002)
        return value

    def until_acts(self, count: int) -> None:
        self.until(lambda: len(self.acts()) >= count)

    def acted_after(self, epoch: int) -> tuple[int, int]:
        """Return the first act of a later epoch."""
        found: tuple[int, int] = self.until(
            lambda: next((act for act in self.acts() if act[0] > epoch), None)
        )
        return found

    def check(self) -> None:
        """Whoever asked the lease after a later holder had acted, was told no."""
        lines = [line.split() for line in (self.directory / "acts").read_text().splitlines()]
        lines.sort(key=lambda line: float(line[2]))
        acts = [(int(line[0]), int(line[1])) for line in lines]
        assert [epoch for epoch, _ in acts] == sorted(epoch for epoch, _ in acts)
        assert len({epoch for epoch, _ in acts}) == len(set(acts)), "an epoch was held by two"


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    made = Crowd(tmp_path)
    yield made
    made.nursery.communicate()


def test_whenever_the_holder_is_killed_another_takes_over_and_no_epoch_is_held_twice(crowd: Crowd) -> None:
    crowd.add(4)
    epoch, pid = crowd.acted_after(0)
    for _ in range(20):
        crowd.add()
        os.kill(pid, signal.SIGKILL)
        killed, (epoch, pid) = pid, crowd.acted_after(epoch)
        assert pid != killed
    crowd.check()


def test_a_stopped_holder_is_passed_over_and_does_nothing_when_it_goes_on(crowd: Crowd) -> None:
    crowd.add(3)
    epoch, pid = crowd.acted_after(0)
    for _ in range(5):
        os.kill(pid, signal.SIGSTOP)
        stopped, (epoch, pid) = pid, crowd.acted_after(epoch)
        assert pid != stopped
        enough = len(crowd.acts()) + 20
        os.kill(stopped, signal.SIGCONT)
        crowd.until_acts(enough)
    crowd.check()


def test_all_can_be_killed_at_once_and_the_epoch_still_rises(crowd: Crowd) -> None:
    crowd.add(3)
    crowd.acted_after(0)
    for pid in crowd.pids:
        os.kill(pid, signal.SIGKILL)
    lease = FileLease(crowd.directory, "test")
    crowd.until(lambda: isinstance(lease.look(), Vacant))
    last = crowd.acts()[-1][0]
    crowd.add()
    assert crowd.acted_after(last)[0] > last
    crowd.check()


# -- one process


def test_an_empty_directory_is_vacant_and_its_first_epoch_is_one(tmp_path: Path) -> None:
    lease = FileLease(tmp_path, "a")
    assert lease.look() == Vacant(0)
    assert lease.try_take(1, boottime() + 1)
    assert lease.is_held(1)
    found = lease.look()
    assert isinstance(found, Holder)
    assert (found.epoch, found.instance, found.pid) == (1, "a", os.getpid())
    assert found.endpoints == lease.endpoints(1)
    lease.release()
    assert not lease.is_held(1)
    assert FileLease(tmp_path, "b").look() == Vacant(1)


def test_an_epoch_that_was_taken_cannot_be_taken_again_not_even_when_it_is_free(tmp_path: Path) -> None:
    one, two = FileLease(tmp_path, "a"), FileLease(tmp_path, "b")
    assert one.try_take(1, boottime() + 1)
    assert not two.try_take(1, boottime() + 1)
    one.release()
    assert not two.try_take(1, boottime() + 1)
    assert two.try_take(2, boottime() + 1)
    two.settle_in()
    assert not one.try_take(1, boottime() + 1)
    assert [path.name for path in tmp_path.iterdir()] == ["leader.2"]
    two.release()


def test_a_holder_that_was_succeeded_knows_it_at_once(tmp_path: Path) -> None:
    old, new = FileLease(tmp_path, "a"), FileLease(tmp_path, "b")
    old.try_take(1, boottime())
    assert new.try_take(2, boottime() + 1)
    assert not old.is_held(1)
    assert new.is_held(2)
    third = FileLease(tmp_path, "c")
    third.try_take(3, boottime() + 1)
    third.settle_in()
    assert not old.is_held(1)  # both its own file and its successor's are gone
    for lease in (old, new, third):
        lease.release()


def test_a_holder_whose_successor_was_stopped_before_it_tidied_up_knows_it_all_the_same(
    tmp_path: Path,
) -> None:
    lease = FileLease(tmp_path, "a")
    lease.try_take(1, boottime() + 1)
    (tmp_path / "leader.2").touch()
    assert not lease.is_held(1)
    lease.release()


def test_what_is_left_of_a_term_does_not_take_a_later_epoch_of_the_same_process_for_its_own(
    tmp_path: Path,
) -> None:
    ours, other = FileLease(tmp_path, "a"), FileLease(tmp_path, "b")
    ours.try_take(1, boottime())
    other.try_take(2, boottime())
    ours.release()
    assert ours.try_take(3, boottime() + 1)
    assert [ours.is_held(epoch) for epoch in (1, 2, 3)] == [False, False, True]
    ours.release()
    other.release()


def test_a_renewal_moves_the_deadline_that_others_see(tmp_path: Path) -> None:
    lease = FileLease(tmp_path, "a")
    lease.try_take(1, 10.0)
    lease.renew(20.5)
    found = FileLease(tmp_path, "b").look()
    assert isinstance(found, Holder)
    assert found.deadline == 20.5
    lease.release()


def test_an_offered_lease_wakes_the_others_and_is_held_until_somebody_takes_it(tmp_path: Path) -> None:
    one, two = FileLease(tmp_path, "a"), FileLease(tmp_path, "b")
    one.try_take(1, boottime() + 1)
    woken = threading.Event()
    two.watch(1, lambda _epoch: woken.set())
    one.offer()
    assert woken.wait(5)
    assert one.is_held(1)
    assert two.try_take(2, boottime() + 1)
    assert not one.is_held(1)
    one.release()
    two.release()


def test_what_was_prepared_is_nobodys_lease_until_it_is_taken(tmp_path: Path) -> None:
    heir, other = FileLease(tmp_path, "a", is_candidate=True), FileLease(tmp_path, "b")
    heir.prepare(1)
    assert other.look() == Vacant(0)
    assert heir.try_take(1, 20.5)
    found = other.look()
    assert isinstance(found, Holder)
    assert (found.epoch, found.instance, found.deadline) == (1, "a", 20.5)
    heir.settle_in()
    assert [path.name for path in tmp_path.iterdir()] == ["leader.1"]
    heir.release()
    assert other.look() == Vacant(1)


def test_what_was_prepared_is_withdrawn_and_what_a_dead_heir_had_prepared_is_tidied_up(
    tmp_path: Path,
) -> None:
    heir, winner = FileLease(tmp_path, "a"), FileLease(tmp_path, "b")
    heir.prepare(1)
    heir.withdraw()
    assert list(tmp_path.iterdir()) == []
    heir.prepare(1)
    assert winner.try_take(2, boottime() + 1)
    winner.settle_in()
    assert [path.name for path in tmp_path.iterdir()] == ["leader.2"]
    assert not heir.try_take(1, boottime() + 1)
    winner.release()


def test_a_vacant_lease_tells_who_held_it_and_an_earlier_one_that_nobody_tidied_up(tmp_path: Path) -> None:
    leases = [FileLease(tmp_path, name) for name in ("a", "b", "c")]
    for epoch, lease in enumerate(leases, 1):
        assert lease.try_take(epoch, boottime() + 1)
    leases[1].release()
    leases[2].release()
    found = leases[0].look()
    assert isinstance(found, Vacant)
    assert found.departed == {"b", "c"}  # the first is deposed, and still holds its lock
    leases[0].release()


@pytest.mark.skipif(sys.platform != "linux", reason="needs close_range(2)")
def test_the_lock_of_an_heir_is_in_no_descriptor_that_a_fork_would_get(tmp_path: Path) -> None:
    heir = FileLease(tmp_path, "a", is_candidate=True)
    deadline = time.monotonic() + 5
    heir.prepare(1)
    assert heir.try_take(1, boottime() + 1)
    while lock_holders(tmp_path) > 1 and time.monotonic() < deadline:
        heir.renew(boottime() + 1)
    assert lock_holders(tmp_path) == 1  # to write into
    heir.release()


def test_nobody_but_the_user_can_read_a_lease(tmp_path: Path) -> None:
    lease = FileLease(tmp_path, "a")
    lease.try_take(1, boottime() + 1)
    assert stat.S_IMODE((tmp_path / "leader.1").stat().st_mode) == 0o600
    lease.release()


def test_a_child_process_of_the_holder_does_not_keep_its_lease(tmp_path: Path) -> None:
    lease = FileLease(tmp_path, "a")
    lease.try_take(1, boottime() + 1)
    with subprocess.Popen(["sleep", "30"], close_fds=False) as child:
        lease.release()
        assert FileLease(tmp_path, "b").look() == Vacant(1)
        child.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="needs close_range(2)")
def test_the_lock_of_one_that_has_settled_in_is_in_no_descriptor_that_a_fork_would_get(
    tmp_path: Path,
) -> None:
    lease, other = FileLease(tmp_path, "a"), FileLease(tmp_path, "b")
    lease.try_take(1, boottime() + 1)
    assert lock_holders(tmp_path) == 2
    lease.settle_in()
    deadline = time.monotonic() + 5
    while lock_holders(tmp_path) > 1 and time.monotonic() < deadline:
        time.sleep(0.001)
        lease.renew(boottime() + 1)
    assert lock_holders(tmp_path) == 1  # to write into
    assert isinstance(other.look(), Holder)
    child = os.fork()
    if child == 0:
        signal.pause()
    lease.release()
    assert other.look() == Vacant(1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert lock_holders(tmp_path) == 0


def lock_holders(directory: Path) -> int:
    """Return how many of our descriptors are of a lease's file."""
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd_is_open(fd)]
    return sum(link.startswith(f"{directory}/") for link in links)


def fd_is_open(fd: str) -> bool:
    return Path(f"/proc/self/fd/{fd}").is_symlink()


@pytest.mark.parametrize("content", [b"", b"12345678", b"12345678{", b"12345678\xff", b"x" * 5000])
def test_a_held_file_that_is_not_ours_is_named_instead_of_understood(tmp_path: Path, content: bytes) -> None:
    import fcntl

    path = tmp_path / "leader.7"
    path.write_bytes(content)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(GroupError, match=r"leader\.7 is held by a program that is not ours"):
            FileLease(tmp_path, "a").look()
    assert FileLease(tmp_path, "a").look() == Vacant(7)


def test_a_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    lease = FileLease(tmp_path / "gone", "a")
    with pytest.raises(GroupError, match="gone"):
        lease.look()
    with pytest.raises(GroupError, match="gone"):
        lease.try_take(1, 1.0)
