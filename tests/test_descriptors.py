"""A leader-to-be has room for its descriptors before it needs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator.keeper.descriptors import make_room

STATUS = Path("/proc/self/status")


@pytest.mark.skipif(not STATUS.exists(), reason="this system does not tell how large the table is")
def test_the_table_is_large_and_nothing_is_open_that_was_not() -> None:
    before = os.listdir("/proc/self/fd")
    make_room()
    [size] = [line.split()[1] for line in STATUS.read_text().splitlines() if line.startswith("FDSize")]
    assert int(size) >= 512
    assert os.listdir("/proc/self/fd") == before


def test_a_process_that_may_not_have_so_many_goes_on() -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64));"
        "from coordinator.keeper.descriptors import make_room; make_room()"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
