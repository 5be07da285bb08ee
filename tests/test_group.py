"""A group's places on this host: private, and one instance id for all its processes."""

import os
import stat
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from coordinator.group import load_instance_id, open_group_dir
from coordinator.lease import FileLease
from shared.config import Settings
from shared.errors import ConfigError, GroupError

is_root = os.geteuid() == 0


def places(tmp_path: Path) -> Settings:
    return Settings(runtime_dir=tmp_path / "run", state_dir=tmp_path / "state")


def complaint(settings: Settings, group: str = "front") -> str:
    with pytest.raises(GroupError) as caught:
        open_group_dir(settings, group)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_group_has_a_directory_that_only_its_owner_can_enter(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        directory = Path(open_group_dir(places(tmp_path), "front"))
    finally:
        os.umask(old)
    assert directory == tmp_path / "run" / "front"
    for path in (directory, directory.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert open_group_dir(places(tmp_path), "front") == str(directory)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../up", "-x", "a b", "ä", "a\n", "x" * 65, "a\0b"])
def test_a_name_that_could_leave_the_directory_or_its_line_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no group name"):
        open_group_dir(places(tmp_path), name)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["front-desk", "a", "A.b_c-9", "x" * 64])
def test_a_name_of_letters_digits_dots_dashes_and_underscores_is_a_group(tmp_path: Path, name: str) -> None:
    root = Path("/tmp") / f"t{os.getpid()}"  # short
    Path(open_group_dir(Settings(runtime_dir=root, state_dir=tmp_path), name)).rmdir()
    root.rmdir()


@pytest.mark.parametrize("which", ["run", "run/front"])
@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_directory_that_is_open_to_others_is_refused_with_the_command_that_closes_it(
    tmp_path: Path, which: str, mode: int
) -> None:
    open_group_dir(places(tmp_path), "front")
    (tmp_path / which).chmod(mode)
    assert f"chmod 700 {tmp_path / which}" in complaint(places(tmp_path))


@pytest.mark.skipif(not is_root, reason="only root can give a directory to another user")
@pytest.mark.parametrize("which", ["run", "run/front"])
def test_a_group_of_another_user_is_refused_and_the_remedy_named(tmp_path: Path, which: str) -> None:
    open_group_dir(places(tmp_path), "front")
    os.chown(tmp_path / which, 65534, 65534)
    text = complaint(places(tmp_path))
    assert "belongs to another user (uid 65534)" in text
    assert "SHAREDLINE_RUNTIME_DIR" in text


def test_a_link_is_no_group_directory(tmp_path: Path) -> None:
    open_group_dir(places(tmp_path), "other")
    (tmp_path / "run" / "front").symlink_to(tmp_path / "run" / "other")
    assert "is no directory" in complaint(places(tmp_path))


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run" / "front").touch()
    assert str(tmp_path / "run" / "front") in complaint(places(tmp_path))


def test_a_path_too_long_for_a_socket_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    settings = Settings(runtime_dir=tmp_path / ("r" * 90), state_dir=tmp_path)
    assert "too long" in complaint(settings)
    assert list(tmp_path.iterdir()) == []


def test_the_longest_path_that_is_allowed_still_fits_a_socket(tmp_path: Path) -> None:
    import socket

    root = Path("/tmp") / f"g{os.getpid()}"
    settings = Settings(runtime_dir=root / ("r" * (85 - len(str(root)) - 1 - 6)), state_dir=tmp_path)
    directory = Path(open_group_dir(settings, "front"))
    longest = max(FileLease(directory, "0123abcd").endpoints(9_999), key=len).removeprefix("ipc://")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(longest)
    os.unlink(longest)
    for path in (directory, directory.parent, root):
        path.rmdir()


# -- the instance id


def test_the_instance_id_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = load_instance_id(places(tmp_path), "front")
    assert str(uuid.UUID(first)) == first
    assert load_instance_id(places(tmp_path), "front") == first
    path = tmp_path / "state" / "front.instance"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_each_group_has_an_instance_id_of_its_own(tmp_path: Path) -> None:
    assert load_instance_id(places(tmp_path), "a") != load_instance_id(places(tmp_path), "b")


def test_processes_that_start_together_get_the_same_instance_id(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from shared.config import Settings\n"
        "from coordinator.group import load_instance_id\n"
        "settings = Settings(runtime_dir=Path('/nonexistent'), state_dir=Path(sys.argv[1]))\n"
        "sys.stdin.read()\n"
        "print(load_instance_id(settings, 'front'))\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "state")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:  # all wait for the end of their input
        assert child.stdin is not None
        child.stdin.close()
        child.stdin = None
    assert len({child.communicate(timeout=30)[0] for child in children}) == 1


def test_threads_that_start_together_get_the_same_instance_id(tmp_path: Path) -> None:
    got: list[str] = []
    barrier = threading.Barrier(8)

    def load() -> None:
        barrier.wait()
        got.append(load_instance_id(places(tmp_path), "front"))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(got)) == 1


def test_what_a_process_left_that_died_while_it_made_one_does_not_change_it(tmp_path: Path) -> None:
    first = load_instance_id(places(tmp_path), "front")
    path = tmp_path / "state" / "front.instance"
    # It was killed between the link and the removal of the other name, and its pid comes again.
    os.link(path, path.with_name(f".{path.name}.{os.getpid()}"))
    assert load_instance_id(places(tmp_path), "front") == first


def test_a_file_that_holds_no_uuid_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "state" / "front.instance"
    path.parent.mkdir()
    for content in (b"", b"nonsense\n", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(GroupError, match=r"holds no UUID; remove it") as caught:
            load_instance_id(places(tmp_path), "front")
        assert str(path) in str(caught.value)


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(GroupError, match="SHAREDLINE_STATE_DIR"):
        load_instance_id(places(tmp_path), "front")
