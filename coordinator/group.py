"""A group's private places on this host: its directory of leases and sockets, and its instance id."""

import os
import re
import stat
import uuid

from shared import ids
from shared.config import Directory, Settings
from shared.errors import ConfigError, GroupError

_GROUP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: sockaddr_un holds 107 bytes; ``/<epoch>.<instance>.actions`` comes behind the directory.
_LONGEST_DIR = 107 - len("/9999.0123abcd.actions")


def open_group_dir(settings: Settings, group: str) -> str:
    """Return the group's directory, made 0700 if it was not there.

    Only its owner can enter it, so only the owner's processes can reach the sockets and locks in it.

    Raises:
        ConfigError: If ``group`` is no name.
        GroupError: If the directory is another user's, open to others, too long a path, or cannot be made.
    """
    if not _GROUP_NAME.fullmatch(group):
        raise ConfigError(
            f"{group!r} is no group name: use up to 64 letters, digits, dots, dashes, underscores"
        )
    directory = os.path.join(settings.runtime_dir, group)
    if len(os.fsencode(directory)) > _LONGEST_DIR:
        raise GroupError(
            f"the path {directory} is too long for a socket ({_LONGEST_DIR} bytes at most); "
            "use a shorter group name or set SHAREDLINE_RUNTIME_DIR"
        )
    try:
        os.makedirs(settings.runtime_dir, mode=0o700, exist_ok=True)
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as exc:
        raise GroupError(f"cannot make {directory}: {exc.strerror}; set SHAREDLINE_RUNTIME_DIR") from exc
    _check_private(settings.runtime_dir, group)
    _check_private(directory, group)
    return directory


def _check_private(directory: Directory, group: str) -> None:
    info = os.lstat(directory)
    if not stat.S_ISDIR(info.st_mode):
        raise GroupError(f"{directory} is no directory; remove it or set SHAREDLINE_RUNTIME_DIR")
    if info.st_uid != os.getuid():
        raise GroupError(
            f"{directory} belongs to another user (uid {info.st_uid}), so the group {group!r} is not ours; "
            "choose another group name or set SHAREDLINE_RUNTIME_DIR to a directory of your own"
        )
    if info.st_mode & 0o077:
        raise GroupError(f"{directory} is open to other users; run: chmod 700 {directory}")


def load_instance_id(settings: Settings, group: str) -> str:
    """Return the group's SIP instance id on this host (RFC 5626 §4.1): random, made once, kept 0600.

    All processes of the group use the same one, so that a new leader's registration replaces the dead one's.

    Raises:
        GroupError: If it can be neither read nor written.
    """
    path = os.path.join(settings.state_dir, f"{group}.instance")
    try:
        os.makedirs(settings.state_dir, mode=0o700, exist_ok=True)
        # A name of its own: what a killed process left may be the same file as ``path`` under another name.
        fresh = os.path.join(settings.state_dir, f".{group}.instance.{ids.new_id(8)}")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(f"{uuid.uuid4()}\n")
        try:
            os.link(fresh, path)  # atomic: of two processes that start together, one makes it
        except FileExistsError:
            pass
        finally:
            os.unlink(fresh)
        with open(path) as file:
            return str(uuid.UUID(file.read().strip()))
    except OSError as exc:
        raise GroupError(
            f"cannot keep the instance id in {path}: {exc.strerror}; set SHAREDLINE_STATE_DIR"
        ) from exc
    except ValueError as exc:
        raise GroupError(f"{path} holds no UUID; remove it, and a new one is made") from exc
