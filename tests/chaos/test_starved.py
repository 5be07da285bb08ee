"""What a computer can lack: descriptors, a place to write, the right time. The phone goes on."""

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from shared.messages import Hangup

from .arena import GROUP, Arena, arena
from .test_rubbish import answered

#: A window in its own process, whose disk is full, or whose directory cannot be written, once it leads.
_UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")


def test_the_phone_goes_on_when_its_leader_has_no_descriptor_left_and_one_line_says_why() -> None:
    """libzmq 4.3.5 ends a process that cannot accept a connection (ipc_listener.cpp): another leads then."""

    async def main() -> None:
        async with arena(sound=False) as it:
            leader = await it.supervisor.start_window(
                GROUP, it.account, "target", "--no-sound", "--may-lead", **it.environment
            )
            await it.until(lambda: it.is_well and it.leader == leader.pid)
            await it.hire(1)
            limit = max(map(int, os.listdir(f"/proc/{leader.pid}/fd"))) + 2
            resource.prlimit(leader.pid, resource.RLIMIT_NOFILE, (limit, limit))
            strangers = await crowd(it)
            await it.until(lambda: it.is_well and (leader.is_running or it.leader != leader.pid))
            for stranger in strangers:
                stranger.close()
            await it.hire(1)  # who comes later is served
            for _ in range(20):
                assert await answered(it) < 1.0
            assert leader.errors.count("\n") <= 1, leader.errors
            assert leader.is_running or "Too many open files" in leader.errors
            if not leader.is_running:
                it.note("KILLED", leader.pid)
            await it.peace()
            it.check("P1", "P3", "P4")

    asyncio.run(main())


async def crowd(it: Arena) -> list[asyncio.StreamWriter]:
    """Open connections to the leader's desk, and say nothing, until there are many or it has ended."""
    path = f"{it.root}/run/{GROUP}/{it.epoch}.actions"
    writers: list[asyncio.StreamWriter] = []
    with contextlib.suppress(ConnectionError, FileNotFoundError):
        while len(writers) < 20:
            _, writer = await asyncio.open_unix_connection(path)
            writers.append(writer)
    return writers


def test_a_directory_that_cannot_be_written_any_more_does_not_end_a_term() -> None:
    async def main() -> None:
        async with arena(sound=False) as it:
            await it.hire(1)
            leader, epoch = it.leader, it.epoch
            group = it.root / "run" / GROUP
            for path in (group, it.root / "state", it.root / "traces"):
                path.chmod(0o500)
            try:
                for _ in range(20):
                    assert await answered(it) < 1.0
                await asyncio.sleep(1.0)  # two lease times: it is renewed in place
                assert (it.leader, it.epoch) == (leader, epoch)
            finally:
                for path in (group, it.root / "state", it.root / "traces"):
                    path.chmod(0o700)
            await it.peace()
            it.check("P1", "P3", "P4")

    asyncio.run(main())


FULL_DISK = """
mount -t tmpfs -o size=16k none "$1" && cd "$1" && mkdir run state &&
exec "$2" -c "$3" "$1"
"""
LEASE_ON_A_FULL_DISK = """
import os, sys
from pathlib import Path
from coordinator.lease import FileLease
from shared.clock import boottime
from shared.errors import GroupError
directory = Path(sys.argv[1]) / "run"
lease = FileLease(directory, "first")
assert lease.try_take(1, boottime() + 1.0)
with open(Path(sys.argv[1]) / "filler", "wb", buffering=0) as file:
    try:
        while file.write(bytes(1024)):
            pass
    except OSError as exc:
        assert exc.errno == 28, exc
deadline = boottime() + 9.0
lease.renew(deadline)
held = lease.look()
assert abs(held.deadline - deadline) < 1e-6 and lease.is_held(1)
lease.release()
try:
    FileLease(directory, "second").try_take(2, boottime() + 1.0)
except GroupError as exc:
    print("told:", exc)
else:
    print("taken")
"""


def test_on_a_full_disk_a_lease_is_renewed_and_who_cannot_take_one_is_told_why(tmp_path: Path) -> None:
    probe = subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"no user namespaces here: {probe.stderr.decode().strip()}")
    arguments = ("sh", "-c", FULL_DISK, "sh", str(tmp_path), sys.executable, LEASE_ON_A_FULL_DISK)
    done = subprocess.run([*_UNSHARE, *arguments], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stdout


@pytest.mark.parametrize("years", [-10, 10])
def test_a_wall_clock_that_is_years_off_changes_nothing_but_what_people_read(
    years: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All code takes the time from one module (see the tests of the architecture), which is wrong here."""
    import agents.real.office
    import shared.clock

    def wrong() -> float:
        return real() + years * 365.25 * 86400

    real = shared.clock.wall
    monkeypatch.setattr(shared.clock, "wall", wrong)
    monkeypatch.setattr(agents.real.office, "wall", wrong)

    async def main() -> None:
        async with arena(sound=False) as it:
            from coordinator.node import join

            async with join(
                GROUP, account=it.account, name="wrong", microphone=None, candidate=True, settings=it.settings
            ) as phone:
                await it.until(lambda: it.is_well and phone.role == "real")
                epoch = it.epoch
                robot = await it.control.call("101")
                await it.until(lambda: bool(it.phone.calls))
                assert abs(it.phone.calls[0].view.started_at - wrong()) < 60
                await it.phone.perform(Hangup(call_id=it.phone.calls[0].call_id))
                await it.control.robot(robot.id, until="ended", within=5.0)
                await asyncio.sleep(0.7)
                assert it.epoch == epoch
                assert not it.phone.is_stale

    asyncio.run(main())
