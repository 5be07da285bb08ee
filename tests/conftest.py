"""What holds for all tests."""

from pathlib import Path

import pytest

_HERE = Path(__file__).parent
#: Tests of real processes, sockets and sound: what a busy machine can starve.
_REAL = (_HERE / "e2e", _HERE / "chaos")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests of real processes a second chance; the closing line counts how many took it ("rerun")."""
    for item in items:
        if any(folder in item.path.parents for folder in _REAL):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))
