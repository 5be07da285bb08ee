"""The demo as a user runs it: the whole story, an interrupted one, one that fails, and the live screen."""

import asyncio
import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from coordinator.demo import run_demo, story
from coordinator.demo.scene import Scene
from coordinator.demo.stage import Stage
from coordinator.demo.story import STEPS, Step
from shared.actor import new_event_loop

DEMO = [sys.executable, "-m", "coordinator", "demo"]


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A short path: sockets have little room for their names."""
    with tempfile.TemporaryDirectory(prefix="d-") as directory:
        yield Path(directory)


def pids(text: str) -> set[int]:
    return {int(number) for number in re.findall(r"pid (\d+)", text)}


def is_running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def assert_nothing_is_left(scratch: Path, output: str) -> None:
    children = pids(output)
    assert children
    assert not [pid for pid in children if is_running(pid)]
    assert list(scratch.iterdir()) == []


def test_the_story_is_observed_from_end_to_end(scratch: Path) -> None:
    keep, temporary = scratch / "kept", scratch / "t"
    temporary.mkdir()
    ran = subprocess.run(
        [*DEMO, "--script", "--keep", str(keep)],
        capture_output=True,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
        timeout=110,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    for step in STEPS:
        assert re.search(rf"^ *\d+\.\d{{3}} s  {step.title} ", ran.stdout, re.MULTILINE), step.title
    lines = ran.stdout.splitlines()
    assert lines[-1].endswith(f"{len(STEPS)} of {len(STEPS)} steps: every step observed")
    for text in (
        r"leads \(epoch \d+\).*exactly one binding",
        r"rings in 3 windows",
        r"\(not the leader\) answers: 200 OK at the service after [\d.]+ ms",
        r"the far end hears greeting\.wav: similarity [\d.]+ \(.*\), marker tones 941 and 1336 Hz found",
        r"hears farewell\.wav: similarity [\d.]+ \(.*\), marker tones 697 and 1477 Hz found",
        r"recording has hold music, and nothing else, for 1\.5 s",
        r"joins late and shows the call [\d.]+ ms after joining",
        r"is killed with SIGKILL",
        r"still exactly one binding, the same instance",
        r"no binding is left",
        r"never more than 1 binding$",
    ):
        assert re.search(text, ran.stdout, re.MULTILINE), text
    assert {path.name for path in keep.iterdir()} >= {"ledger.ndjson", "101.json", "recordings"}
    assert_nothing_is_left(temporary, ran.stdout)


def test_a_step_that_is_not_observed_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    by_title = {step.title: step for step in STEPS}

    async def too_early(scene: Scene) -> AsyncIterator[str]:
        # Nobody joined, so nobody can answer: the call rings nowhere. It need not take 10 s to see that.
        monkeypatch.setattr(Stage.until, "__kwdefaults__", {"within": 0.5})
        async for seen in by_title["ring"].play(scene):
            yield seen

    steps = (by_title["service"], Step("too early", too_early), by_title["leave"])
    monkeypatch.setattr(story, "STEPS", steps)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(run_demo(is_script=True, keep=None)) == 1
    out = capsys.readouterr().out
    assert "NOT SEEN    too early:" in out
    assert "NOT TRIED   leave" in out
    assert out.rstrip().endswith("1 of 3 steps: NOT every step observed")
    assert not [pid for pid in pids(out) if is_running(pid)]


def started_demo(scratch: Path) -> "subprocess.Popen[str]":
    """Start the demo, which tells its story by itself."""
    return subprocess.Popen(
        [*DEMO, "--script"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(scratch)},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_politely_and_leaves_nothing_behind(scratch: Path, number: int) -> None:
    with started_demo(scratch) as demo:
        assert demo.stdout is not None
        said = ""
        while "exactly one binding" not in said:
            line = demo.stdout.readline()
            assert line, said
            said += line
        demo.send_signal(number)
        demo.send_signal(number)  # an impatient user
        rest, errors = demo.communicate(timeout=30)
    assert (demo.returncode, errors) == (128 + number, "")
    assert_nothing_is_left(scratch, said + rest)


def test_whoever_stops_reading_ends_the_demo_without_a_traceback(scratch: Path) -> None:
    with started_demo(scratch) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        said = demo.stdout.readline()
        demo.stdout.close()
        assert demo.wait(timeout=30) == 128 + signal.SIGPIPE
        assert demo.stderr.read() == ""
    assert_nothing_is_left(scratch, said)


def test_children_do_not_outlive_a_demo_that_is_killed(scratch: Path) -> None:
    with subprocess.Popen(
        [*DEMO, "--script"], stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(scratch)}
    ) as demo:
        assert demo.stdout is not None
        said = ""
        while "exactly one binding" not in said:
            said += demo.stdout.readline()
        demo.kill()
    deadline = time.monotonic() + 20
    while left := [pid for pid in pids(said) if is_running(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


class Screen:
    """The demo on a terminal of 80x24, and what that shows at present."""

    def __init__(self, scratch: Path) -> None:
        self.output = ""
        self.is_closed = False
        self.terminal, self.inside = pty.openpty()
        termios.tcsetwinsize(self.inside, (24, 80))
        self.before = termios.tcgetattr(self.inside)
        environment = os.environ | {"TMPDIR": str(scratch), "TERM": "xterm"}
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        self.demo = subprocess.Popen(
            [sys.executable, "-m", "coordinator"],
            stdin=self.inside,
            stdout=self.inside,
            stderr=self.inside,
            env=environment,
            start_new_session=True,
        )

    def lines(self) -> list[str]:
        """Return the lines of the screen as they are; after its end, what was printed since."""
        live, left, after = self.output.partition("\x1b[?1049l")
        if left:
            return after.splitlines()
        rows = {int(row): text for row, text in re.findall(r"\x1b\[(\d+);1H(.*?)\x1b\[K", live)}
        return [re.sub(r"\x1b\[\d*m", "", rows.get(row, "")) for row in range(1, 25)]

    def until(self, text: str, *, seconds: float = 30.0) -> None:
        """Read until ``text`` is on the screen."""
        deadline = time.monotonic() + seconds
        while not re.search(text, "\n".join(self.lines())):
            ready, _, _ = select.select([self.terminal], [], [], max(deadline - time.monotonic(), 0))
            is_late = not ready or time.monotonic() > deadline
            assert not is_late, "\n".join([f"{text} is not shown:", *self.lines()])
            self.output += os.read(self.terminal, 65536).decode("utf-8", "replace")

    def press(self, key: str, text: str) -> None:
        """Press a key, and wait for what it makes happen."""
        os.write(self.terminal, key.encode())
        self.until(text)

    def assert_restored(self, scratch: Path, status: int) -> None:
        """See that the demo ends with ``status``, and leaves terminal and files as they were."""
        assert self.demo.wait(timeout=20) == status
        assert termios.tcgetattr(self.inside) == self.before
        assert "\x1b[?25h\x1b[?1049l" in self.output
        assert "Traceback" not in self.output
        assert list(scratch.iterdir()) == []


@pytest.fixture
def screen(scratch: Path) -> Iterator[Screen]:
    screen = Screen(scratch)
    yield screen
    if screen.demo.poll() is None:
        screen.demo.kill()
        screen.demo.wait()
    os.close(screen.inside)
    if not screen.is_closed:
        os.close(screen.terminal)


def test_the_live_demo_does_what_keys_say_and_restores_the_terminal(scratch: Path, screen: Screen) -> None:
    screen.until(r"(?s)(window \d  pid \d+ +\w+ phone +[\d.]+ +current *\n.*){3}1 binding")
    screen.press("c", r"calls: ringing +\[1 2 3\]")
    screen.press("a", r"answered at window \d, sound connected")
    screen.press("h", r"sound connected held")
    screen.press("k", r"killed by signal 9")
    screen.until(r"epoch \d+: window \d leads +\[\d \d\]")
    screen.press("q", r"windows left: 0; bindings at the registrar: 0")
    screen.assert_restored(scratch, 0)


def test_ctrl_c_leaves_the_live_demo_and_restores_the_terminal(scratch: Path, screen: Screen) -> None:
    screen.until(r"window \d joined")
    screen.demo.send_signal(signal.SIGINT)
    while "\x1b[?1049l" not in screen.output:
        screen.output += os.read(screen.terminal, 65536).decode("utf-8", "replace")
    screen.assert_restored(scratch, 130)


def test_closing_the_terminal_ends_the_live_demo_and_its_processes(scratch: Path, screen: Screen) -> None:
    screen.until(r"window \d joined")
    os.close(screen.terminal)
    screen.is_closed = True
    assert screen.demo.wait(timeout=20) in {0, 128 + signal.SIGHUP}
    assert list(scratch.iterdir()) == []
