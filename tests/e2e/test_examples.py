"""Each example as a user runs it: a program of its own, against a simulated service."""

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.pbx.client import ControlClient
from coordinator.supervisor import Supervisor

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "examples"


@pytest.fixture
def place() -> Iterator[Path]:
    """Return an empty directory with a short name: the path of a socket may have 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="sl-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def directories(place: Path) -> dict[str, str]:
    """Return the environment in which a group keeps its files in ``place``."""
    return {
        "SHAREDLINE_RUNTIME_DIR": str(place / "run"),
        "SHAREDLINE_STATE_DIR": str(place / "state"),
    }


async def start_example(name: str, directory: Path, *arguments: str) -> asyncio.subprocess.Process:
    """Start an example in ``directory``, where the service's files are, too."""
    environ = {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", **directories(directory)}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        *arguments,
        cwd=directory,
        env=os.environ | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def line_with(process: asyncio.subprocess.Process, text: str) -> str:
    """Return the next line of a process that contains ``text``."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while line := await process.stdout.readline():
            if text in line.decode():
                return line.decode()
    assert process.stderr is not None
    raise AssertionError(f"no line with {text!r}: {(await process.stderr.read()).decode()}")


def ledger(directory: Path) -> str:
    """Return what reached the service."""
    return (directory / "service" / "ledger.ndjson").read_text()


def test_eight_lines_call_hold_consult_and_connect_two_robots(place: Path) -> None:
    async def story() -> None:
        async with Supervisor() as supervisor:
            await supervisor.start_simulator(str(place / "service"))
            program = await start_example("eight_lines.py", place)
            output, errors = await asyncio.wait_for(program.communicate(), 40)
            assert program.returncode == 0, errors.decode()
            assert "transferred" not in errors.decode()
            assert re.search(r"Version\(epoch=1, sequence=\d+\)", output.decode())

    asyncio.run(story())
    assert '"REFER"' in ledger(place)


def test_readme_shows_the_program_that_is_run_here() -> None:
    readme = (PROJECT / "README.md").read_text()
    program = (EXAMPLES / "eight_lines.py").read_text()
    block = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    lines = [line.strip() for line in block[1].splitlines() if line.strip()]
    assert len(lines) == 8
    for line in lines[2:7]:
        assert line in program
    assert lines[0].replace("import join", "import SharedlineError, join") in program
    assert lines[1].replace('"service/101.json"', "account") in program
    assert lines[7].removesuffix(" ...") in program


def test_of_two_kiosks_exactly_one_answers(place: Path) -> None:
    async def story() -> None:
        async with Supervisor() as supervisor:
            await supervisor.start_simulator(str(place / "service"))
            kiosks = [
                await start_example("kiosk.py", place, "service/101.json", name)
                for name in ("north", "south")
            ]
            try:
                await line_with(kiosks[0], "north is the")
                await line_with(kiosks[1], "south is the")
                account = str(place / "service/102.json")
                caller = await supervisor.start_window("callers", account, "caller", **directories(place))
                await caller.wait_for(lambda line: line.get("state") == "registered")
                assert (await caller.do("call 101"))["event"] == "done"
                said = await asyncio.gather(*(line_with(kiosk, ": ") for kiosk in kiosks))
                assert sum("talking to" in line for line in said) == 1, said
                assert sum("not mine" in line for line in said) == 1
            finally:
                for kiosk in kiosks:
                    kiosk.terminate()
                await asyncio.gather(*(kiosk.communicate() for kiosk in kiosks))

    asyncio.run(story())


def test_the_wallboard_shows_the_calls_of_others_without_leading(place: Path) -> None:
    async def story() -> None:
        async with Supervisor() as supervisor:
            await supervisor.start_simulator(str(place / "service"))
            board = await start_example("wallboard.py", place)
            try:
                account = str(place / "service/101.json")
                window = await supervisor.start_window("front-desk", account, "desk", **directories(place))
                await window.wait_for(lambda line: line.get("state") == "registered")
                assert (await window.do("call 199"))["event"] == "done"
                await line_with(board, "199 answered")
                assert (await window.do("hangup"))["event"] == "done"
                await line_with(board, "199 disposed")
            finally:
                board.terminate()
                await board.communicate()

    asyncio.run(story())


def test_the_script_without_an_event_loop_plays_a_recording_until_the_far_end_hangs_up(place: Path) -> None:
    greeting = PROJECT / "agents" / "media" / "sounds" / "greeting.wav"

    async def story() -> None:
        async with Supervisor() as supervisor:
            await supervisor.start_simulator(str(place / "service"))
            script = await start_example("script.py", place, "service/101.json", "199", str(greeting))
            await line_with(script, "199 answered")
            async with ControlClient.from_directory(place / "service") as control:
                [robot] = await control.robots()
                await control.hang_up(robot.id)
            await line_with(script, "over: hung_up_there")
            assert await asyncio.wait_for(script.wait(), 20) == 0

    asyncio.run(story())


def test_a_conference_is_made_and_robots_are_invited(place: Path) -> None:
    async def story() -> None:
        async with Supervisor() as supervisor:
            await supervisor.start_simulator(str(place / "service"), "--rest", "0")
            program = await start_example("conference.py", place)
            output, errors = await asyncio.wait_for(program.communicate(), 60)
            assert program.returncode == 0, errors.decode()
            assert output.decode().splitlines() == [
                "199 is in the conference",
                "16505550199 is in the conference",
                "3 parties",
            ]

    asyncio.run(story())
    assert ledger(place).count('"CONFERENCE_JOINED"') == 3
