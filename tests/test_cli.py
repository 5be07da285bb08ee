"""The command line: help that teaches, one line for each mistake, and never a traceback."""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator.command import cli
from coordinator.command.cli import main
from shared.errors import AccountError, GroupError, MediaError, RegistrationFailed, SharedlineError

COMMANDS = ["demo", "simulator", "provision", "join", "status", "bench"]


@pytest.fixture(autouse=True)
def _private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SHAREDLINE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SHAREDLINE_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("SHAREDLINE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SHAREDLINE_CONFIG", os.devnull)


def usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return printed.err


def failure(arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert "Traceback" not in line
    return line


def test_help_names_every_command_and_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    for command in COMMANDS:
        assert f"\n    {command} " in printed
    assert "while-open" not in printed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) > 5
    assert printed.startswith(f"usage: sharedline {command}")


def test_the_help_of_join_teaches_the_commands_of_a_window(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["join", "--help"])
    printed = capsys.readouterr().out
    for verb in ("call NUMBER", "answer", "decline", "hangup", "hold", "mute", "dtmf", "quit"):
        assert verb in printed


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["fly"], "fly"),
        (["join"], "GROUP"),
        (["provision"], "--account"),
        (["join", "front"], "--account"),
        (["join", "front", "--account", "a", "--loud"], "--loud"),
        (["join", "front", "--account", "a", "--may-lead", "--never-lead"], "not allowed with"),
        (["simulator"], "--dir"),
        (["simulator", "--dir", "x", "--wss", "many"], "--wss"),
        (["--log", "xml", "demo"], "--log"),
        (["status"], "GROUP"),
    ],
)
def test_bad_usage_ends_with_2_and_names_what_is_wrong(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert named in usage_error(arguments, capsys)


@pytest.mark.parametrize(
    ("options", "candidate"),
    [([], None), (["--no-sound"], None), (["--no-sound", "--may-lead"], True), (["--never-lead"], False)],
)
def test_whether_a_window_leads_is_left_to_its_sound_unless_it_is_said(
    options: list[str], candidate: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[bool | None] = []

    def joined(options: argparse.Namespace) -> int:
        said.append(options.candidate)
        return 0

    monkeypatch.setattr(cli, "_join", joined)
    assert main(["join", "front", "--account", "a", *options]) == 0
    assert said == [candidate]


def test_an_account_file_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.json"
    line = failure(["join", "front", "--account", str(path)], 2, capsys)
    assert line == f"error: cannot read the account file {path}: No such file or directory"


def account(tmp_path: Path) -> str:
    fields = ("authorizationId", "domain", "username", "password")
    path = tmp_path / "account.json"
    path.write_text(json.dumps(dict.fromkeys(fields, "x") | {"outboundProxy": "127.0.0.1:9"}))
    return str(path)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--microphone", "gramophone"], "gramophone"),
        (["--loudspeaker", "wall:9"], "wall:9"),
        (
            ["--loudspeaker", "wav:/nonexistent/dir/x.wav"],
            "there is no folder /nonexistent/dir; make it first",
        ),
        (["--microphone", "wav:/nonexistent/x.wav"], "cannot read /nonexistent/x.wav"),
        (["--ringer", "bell"], "bell"),
    ],
)
def test_a_sound_that_there_is_not_is_one_line(
    tmp_path: Path, options: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert named in failure(["join", "front", "--account", account(tmp_path), *options], 2, capsys)


def test_a_bad_group_name_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no group name" in failure(["join", "../up", "--account", account(tmp_path)], 2, capsys)


def test_a_bad_setting_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHAREDLINE_HEARTBEAT", "often")
    assert "heartbeat" in failure(["status", "front"], 2, capsys)


def test_the_status_of_a_group_that_nobody_leads_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nobody leads the group 'front'" in failure(["status", "front"], 1, capsys)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_a_group_of_another_user_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["status", "front"])
    capsys.readouterr()
    os.chown(tmp_path / "run" / "front", 65534, 65534)
    assert "belongs to another user" in failure(["status", "front"], 2, capsys)
    assert "belongs to another user" in failure(["join", "front", "--account", account(tmp_path)], 2, capsys)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AccountError("a"), 2),
        (GroupError("g"), 2),
        (MediaError("m"), 2),
        (RegistrationFailed(403, "no"), 1),
        (SharedlineError("s"), 1),
    ],
)
def test_what_the_user_must_put_right_ends_with_2_and_all_else_with_1(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_options: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_status", fails)
    assert failure(["status", "front"], status, capsys) == f"error: {error}"


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_status", interrupted)
    assert main(["status", "front"]) == 130


def test_the_service_has_no_tables_for_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--service", "--markdown"]) == 2
    assert "--markdown is not for --service" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulator", "--dir", ""],
        ["provision", "--account", ""],
        ["verify", ""],
        ["join", "front", "--account", "a", "--sip-trace", ""],
    ],
)
def test_an_empty_name_of_a_file_is_not_the_current_directory(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "an empty text names no" in usage_error(arguments, capsys)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", ["verify DIR", "join front --no-sound --account DIR/account.json"])
def test_an_output_that_cannot_be_written_is_one_line(command: str, tmp_path: Path) -> None:
    account(tmp_path)
    (tmp_path / "ledger.ndjson").write_text('{"at":1.0,"boottime":1.0,"event":"FLOW_OPENED","flow":"f1"}\n')
    arguments = [sys.executable, "-m", "coordinator", *command.replace("DIR", str(tmp_path)).split()]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=30,
        )
    assert done.stderr == "error: cannot write the output: No space left on device\n"
    assert done.returncode == 1


def test_a_line_that_is_no_text_is_not_understood_and_the_next_one_is(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "coordinator", "join", "front", "--no-sound"]
    done = subprocess.run(
        [*command, "--account", account(tmp_path)],
        input=b"\xff\xfe\ncall \xc3\xbc\nquit\n",
        capture_output=True,
        check=False,
        timeout=30,
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
    )
    printed = done.stdout.decode("ascii")
    assert r"\xff\xfe: not understood" in printed
    assert r"call: " in printed
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no such signal")
def test_a_program_ends_politely_with_its_terminal_unless_that_is_to_be_ignored() -> None:
    asked = "import signal; from shared.actor import ending_signals; print(signal.SIGHUP in ending_signals())"
    for before, expected in (("", "True"), ("trap '' HUP; ", "False")):
        command = ["sh", "-c", f'{before}exec "$0" -c "$1"', sys.executable, asked]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == expected


_WRITER = """
import sys
from coordinator.command.streams import flush_output, output_lost
try:
    print("a line", flush=True)
except OSError as exc:
    status = output_lost(exc)
flush_output()
sys.exit(status)
"""


def test_a_command_whose_terminal_has_gone_ends_without_an_error() -> None:
    ours, terminal = os.openpty()
    command = ["sh", "-c", 'kill -STOP $$; exec "$0" -c "$1"', sys.executable, _WRITER]
    writer = subprocess.Popen(command, stdout=terminal, stderr=terminal)
    os.waitpid(writer.pid, os.WUNTRACED)
    os.close(terminal)
    os.close(ours)
    writer.send_signal(signal.SIGCONT)
    assert writer.wait(timeout=30) == 0


def test_a_command_whose_standard_streams_are_closed_still_has_its_exit_status(tmp_path: Path) -> None:
    for closed, said in (("1>&-", True), ("0<&- 1>&- 2>&-", False)):
        command = f'exec "$0" -m coordinator status nobody {closed}'
        done = subprocess.run(
            ["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 1, done
        assert ("nobody leads the group 'nobody'" in done.stderr) is said
