"""What holds for all tests: which may run beside which, and a second chance for those of real processes.

``make test`` has three workers (pytest-xdist), for two processors, which would be idle half of the time:

* one runs tests of real processes and sound, one after the other, which need the processors in time;
* one runs such tests that mostly wait, those in a browser among them: they may be late;
* one runs the pure tests.

The latter two have a lower priority.
"""

import atexit
import contextlib
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
#: Of these, those that may be late: they look at what happens, not at when, nor at how well something sounds.
_PATIENT = (
    *("test_bad_input", "test_browser", "test_call_control", "test_calls_told", "test_control"),
    *("test_examples", "test_faults", "test_jssip", "test_kamailio", "test_line", "test_own_phone_by_rest"),
    *("test_provision", "test_qt", "test_queues", "test_recovery", "test_rest", "test_services"),
    *("test_sip_trace", "test_stopped", "test_strangers", "test_trouble", "test_web_phone"),
)
#: Of these, what takes what is left of the processors. The benchmark cannot: its processes are of sessions
#: of their own.
_MODEST = ("test_wheel",)
_AUTOGROUP = Path("/proc/self/autogroup")
#: A nice value: a third of what that worker has, where all want all. A busy machine hardly served lower ones.
_NICE = 5


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
    """Divide the tests among the workers."""
    from xdist.scheduler import LoadScopeScheduling

    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = lambda nodeid: _worker_of(config.rootpath / nodeid.partition("::")[0])
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
    """Make way for the worker whose tests need the processors in time."""
    if "PYTEST_XDIST_WORKER" in os.environ and _worker_of(item.path) != "in time":
        _step_back()


def _step_back() -> None:
    """Take what others leave of the processors, for good, and so do our children."""
    if os.getpriority(os.PRIO_PROCESS, 0) >= _NICE:
        return
    os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    # Linux may weigh sessions first, and processes only within one: see "autogroup" in sched(7).
    with contextlib.suppress(OSError):
        if _AUTOGROUP.exists():
            os.setsid()
            _AUTOGROUP.write_text(str(_NICE))


def _worker_of(path: Path) -> str:
    if not _is_real(path) or path.name.startswith(_MODEST):
        return "behind"
    return "waiting" if path.name.startswith(_PATIENT) else "in time"


def _is_real(path: Path) -> bool:
    return any(folder in path.parents for folder in _REAL)
