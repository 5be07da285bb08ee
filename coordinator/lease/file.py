"""The lease of one host, kept by the kernel alone: ``leader.N`` files, locked from birth.

A candidate makes a private file, locks it (flock), writes into it who it is and until when it holds, and
links it to ``leader.N+1``. link(2) is atomic and fails if the name exists, so an epoch has one holder, and
nobody ever sees it unlocked or unwritten. The kernel opens the lock the moment the holder dies, whatever
killed it; everybody who waits for that lock wakes. There is no mutex that a stopped process could keep: a
holder that does not renew its deadline is passed by ``leader.N+2`` without being touched.

A holder is deposed once its successor's file exists, or its own is gone because a later one tidied up.
The newest file is never removed, so epochs only rise.

Layout of a file: the deadline as a little-endian double, rewritten in place, then one JSON object.
"""

import contextlib
import fcntl
import os
import re
import struct
import threading
from collections.abc import Callable

import msgspec

from shared import ids
from shared.config import Directory
from shared.election import Endpoints, Holder
from shared.errors import GroupError

from .base import Vacant
from .grip import Grip

_DEADLINE = struct.Struct("<d")
_NAME = re.compile(r"leader\.([0-9]{1,18})")
_SOCKET = re.compile(r"([0-9]{1,18})\.[^.]+\.(?:state|actions|estate|own)")
_READ_LIMIT = 4096


class _Card(msgspec.Struct):
    """Who holds: the unchanging part of a lease file."""

    instance: str
    pid: int
    endpoints: Endpoints


class FileLease:
    """The lease of the group whose private directory is ``directory`` (see :mod:`shared.config`)."""

    def __init__(self, directory: Directory, instance: str) -> None:
        self._directory, self._instance = os.fspath(directory), instance
        self._grip: Grip | None = None  # on the lock
        self._fd: int | None = None  # the same file, to write into
        self._epoch = 0
        self._own = self._next = ""  # paths of our epoch's file and of its successor's

    def endpoints(self, epoch: int, instance: str = "") -> Endpoints:
        """Return ipc paths that nobody else binds: binding a path twice would silently steal it."""
        base = f"ipc://{self._directory}/{epoch}.{instance or self._instance}"
        return Endpoints(*(f"{base}.{kind}" for kind in Endpoints._fields))

    def look(self) -> Holder | Vacant:
        """Return who holds the newest epoch.

        Raises:
            GroupError: If the newest file is held but is not ours to understand.
        """
        while (epoch := self._newest()) > 0:
            try:
                fd = os.open(self._path(epoch), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # tidied up in between, so there is a newer one
            try:
                return Vacant(epoch) if _is_free(fd) else self._read(fd, epoch)
            finally:
                os.close(fd)
        return Vacant(0)

    def try_take(self, epoch: int, deadline: float) -> bool:
        """Take ``epoch`` if nobody has taken it or a later one.

        Raises:
            GroupError: If the directory cannot be written (disk full, read-only, gone).
        """
        if os.path.exists(self._path(epoch)):
            return False  # the usual end of a race, told without making a file
        private = f"{self._directory}/candidate.{os.getpid()}.{ids.new_id(4)}"
        fds: list[int] = []
        try:
            fds.append(os.open(private, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            fds.append(os.open(private, os.O_WRONLY | os.O_CLOEXEC))  # not for the lock: see Grip
            fcntl.flock(fds[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
            card = _Card(self._instance, os.getpid(), self.endpoints(epoch))
            os.write(fds[1], _DEADLINE.pack(deadline) + msgspec.json.encode(card))
            is_ours = self._link(private, epoch)
        except OSError as exc:
            _close(fds)
            raise GroupError(f"cannot write in {self._directory}: {exc.strerror}") from exc
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(private)
        if not is_ours:
            _close(fds)
            return False
        self._grip, self._fd, self._epoch = Grip(fds[0]), fds[1], epoch
        self._own, self._next = self._path(epoch), self._path(epoch + 1)
        return True

    def settle_in(self) -> None:
        """Hold the lock by a thread of its own; remove what earlier epochs left."""
        if self._grip is not None:
            self._grip.tighten()
        self._tidy()

    def _tidy(self) -> None:
        """Remove the files of earlier epochs, the earliest first: see :meth:`is_held`."""
        try:
            names = os.listdir(self._directory)
        except OSError:
            return  # the election will say it
        files = sorted((int(match[1]), name) for name in names if (match := _NAME.fullmatch(name)))
        sockets = ((int(match[1]), name) for name in names if (match := _SOCKET.fullmatch(name)))
        for epoch, name in (*files, *sockets):
            if epoch < self._epoch:
                try:
                    os.unlink(f"{self._directory}/{name}")
                except FileNotFoundError:
                    continue
                except OSError:
                    return  # not a later one's, either: its holder would take itself for the newest

    def renew(self, deadline: float) -> None:
        """Rewrite the deadline in place: needs no space, so it works on a full disk."""
        if self._fd is not None and self._grip is not None:
            os.pwrite(self._fd, _DEADLINE.pack(deadline), 0)
            self._grip.settle()

    def is_held(self) -> bool:
        """Return whether nobody succeeded us: two look-ups of a name."""
        # access(2) and not stat(2): no result to build, and no exception to make of what is not there.
        return self._own != "" and not os.access(self._next, os.F_OK) and os.access(self._own, os.F_OK)

    def offer(self) -> None:
        """Open the lock, which wakes the candidates; until one of them links its file, we hold."""
        if self._grip is not None:
            self._grip.let_go()
            self._grip = None
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def release(self) -> None:
        """Open the lock and hold no more. The file stays: it is the memory of the epoch's number."""
        self.offer()
        self._own = self._next = ""

    def watch(self, epoch: int, opened: Callable[[int], None], patience: Callable[[], float]) -> None:
        """Wait for the lock on a thread of its own; the kernel wakes all waiters at once."""
        thread = threading.Thread(
            target=self._wait, args=(epoch, opened, patience), name=f"lease-{epoch}", daemon=True
        )
        thread.start()

    def _wait(self, epoch: int, opened: Callable[[int], None], patience: Callable[[], float]) -> None:
        with contextlib.suppress(FileNotFoundError):  # tidied up: it has a successor, so it is over
            fd = os.open(self._path(epoch), os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH)
            finally:
                os.close(fd)
        # Here, where it costs least: fifty processes do this while one of them has work to do.
        if (pause := patience()) > 0.0:
            threading.Event().wait(pause)
        opened(epoch)

    def _link(self, private: str, epoch: int) -> bool:
        path = self._path(epoch)
        try:
            os.link(private, path)
        except FileExistsError:
            return False
        # The name was free, but perhaps only because its holder has come and gone and was tidied up since.
        # A later file is always linked before an earlier one is removed, so now it would be seen.
        if self._newest() > epoch:
            os.unlink(path)
            return False
        return True

    def _newest(self) -> int:
        try:
            names = os.listdir(self._directory)
        except OSError as exc:
            raise GroupError(f"cannot read {self._directory}: {exc.strerror}") from exc
        return max((int(match[1]) for name in names if (match := _NAME.fullmatch(name))), default=0)

    def _read(self, fd: int, epoch: int) -> Holder:
        data = os.pread(fd, _READ_LIMIT, 0)
        try:
            deadline = _DEADLINE.unpack_from(data)[0]
            card = msgspec.json.decode(data[_DEADLINE.size :], type=_Card)
        except (struct.error, msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise GroupError(f"{self._path(epoch)} is held by a program that is not ours: {exc}") from exc
        return Holder(epoch, deadline, card.instance, card.pid, card.endpoints)

    def _path(self, epoch: int) -> str:
        return f"{self._directory}/leader.{epoch}"


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _is_free(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
