"""What holds for all tests: which may run beside which, and a second chance for those of real processes.

``make test`` has two workers (pytest-xdist). One runs the tests of real processes and sound, one after the
other: they need the processors in time. The other runs those in a browser, which mostly wait, and then the
pure ones, with the lowest priority.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from shared.log import log

_HERE = Path(__file__).parent
#: Tests of real processes, sockets and sound: what a busy machine can starve.
_REAL = (_HERE / "e2e", _HERE / "chaos")
_BROWSER = ("test_browser", "test_jssip")


def pytest_configure() -> None:
    """Let processes find each other's byte code: hundreds of short ones are started."""
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        cache = os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="sl-bytecode-")
        atexit.register(shutil.rmtree, cache, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests of real processes a second chance; the closing line counts how many took it ("rerun")."""
    for item in items:
        if _is_real(item.path):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Divide the tests between the two workers."""
    from xdist.scheduler import LoadScopeScheduling

    def half_of(nodeid: str) -> str:
        path = config.rootpath / nodeid.partition("::")[0]
        return "in time" if _is_real(path) and not path.name.startswith(_BROWSER) else "beside"

    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = half_of
    return scheduler


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Forget what a test said about the log: it may be written to a stream that ends with that test."""
    was_configured, before, ours = structlog.is_configured(), structlog.get_config(), vars(log).copy()
    yield
    vars(log).update(ours)
    structlog.reset_defaults()
    if was_configured:
        structlog.configure(**before)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Make way for the other worker."""
    if "PYTEST_XDIST_WORKER" in os.environ and not _is_real(item.path):
        os.setpriority(os.PRIO_PROCESS, 0, 19)


def _is_real(path: Path) -> bool:
    return any(folder in path.parents for folder in _REAL)
