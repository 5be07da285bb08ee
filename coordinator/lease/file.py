"""The lease of one host, kept by the kernel alone: ``leader.N`` files, locked from birth.

A candidate makes a private file (:mod:`.claim`), locks it (flock), writes into it who it is and until when
it holds, and links it to ``leader.N+1``. link(2) is atomic and fails if the name exists, so an epoch has one
holder, and nobody ever sees it unlocked or unwritten. The kernel opens the lock the moment the holder dies,
whatever killed it; everybody who waits for that lock wakes. There is no mutex that a stopped process could
keep: a holder that does not renew its deadline is passed by ``leader.N+2`` without being touched.

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

from shared.config import Directory
from shared.election import Endpoints, Holder
from shared.errors import GroupError

from .base import Vacant
from .claim import DEADLINE, Claim
from .grip import Grip

_NAME = re.compile(r"leader\.([0-9]{1,18})")
_CLAIM = re.compile(r"candidate\.([0-9]{1,18})\..*")
_SOCKET = re.compile(r"([0-9]{1,18})\.[^.]+\.(?:state|actions|estate|own)")
_READ_LIMIT = 4096


class _Card(msgspec.Struct):
    """Who holds: the unchanging part of a lease file."""

    instance: str
    pid: int
    endpoints: Endpoints


class FileLease:
    """The lease of the group whose private directory is ``directory`` (see :mod:`shared.config`).

    ``is_candidate``: this process may well hold it. Then make this before the process' other threads: see
    :mod:`.grip`.
    """

    def __init__(self, directory: Directory, instance: str, *, is_candidate: bool = False) -> None:
        self._directory, self._instance = os.fspath(directory), instance
        self._grip = Grip() if is_candidate else None  # of the first claim
        self._claim: Claim | None = None  # on an epoch that is ours, or may be
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
                return Vacant(epoch, self._departed()) if _is_free(fd) else self._read(fd, epoch)
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
        claim = self._stake(epoch)
        try:
            claim.renew(deadline)
            is_ours = self._link(claim.path, epoch)
        except OSError as exc:
            self.withdraw()
            raise GroupError(f"cannot write in {self._directory}: {exc.strerror}") from exc
        if not is_ours:
            self.withdraw()
            return False
        self._epoch, self._own, self._next = epoch, self._path(epoch), self._path(epoch + 1)
        return True

    def prepare(self, epoch: int) -> None:
        """Make the file that :meth:`try_take` will link to its name.

        Raises:
            GroupError: The directory cannot be written.
        """
        self._stake(epoch).settle()

    def withdraw(self) -> None:
        """Drop what was prepared, or what we held."""
        if self._claim is not None:
            self._claim.drop()
            self._claim = None

    def _stake(self, epoch: int) -> Claim:
        if self._claim is not None and self._claim.epoch == epoch:
            return self._claim
        self.withdraw()
        card = _Card(self._instance, os.getpid(), self.endpoints(epoch))
        grip, self._grip = self._grip or Grip(), None
        try:
            self._claim = Claim(self._directory, epoch, msgspec.json.encode(card), grip)
        except OSError as exc:
            grip.let_go()
            raise GroupError(f"cannot write in {self._directory}: {exc.strerror}") from exc
        return self._claim

    def settle_in(self) -> None:
        """Have the lock in a thread of its own; remove what earlier epochs left, and our private name."""
        if self._claim is not None:
            self._claim.settle()
            self._claim.forget_name()
        self._tidy()

    def _tidy(self) -> None:
        """Remove the files of earlier epochs, the earliest first: see :meth:`is_held`."""
        try:
            names = os.listdir(self._directory)
        except OSError:
            return  # the election will say it
        files = sorted((int(match[1]), name) for name in names if (match := _NAME.fullmatch(name)))
        sockets = ((int(match[1]), name) for name in names if (match := _SOCKET.fullmatch(name)))
        claims = ((int(match[1]), name) for name in names if (match := _CLAIM.fullmatch(name)))
        for epoch, name in (*files, *sockets, *claims):
            if epoch < self._epoch:
                try:
                    os.unlink(f"{self._directory}/{name}")
                except FileNotFoundError:
                    continue
                except OSError:
                    return  # not a later one's, either: its holder would take itself for the newest

    def renew(self, deadline: float) -> None:
        """Rewrite the deadline in place: needs no space, so it works on a full disk."""
        if self._claim is not None:
            self._claim.renew(deadline)
            self._claim.settle(0.0)

    def is_held(self, epoch: int) -> bool:
        """Return whether ``epoch`` is ours, and nobody succeeded us: two look-ups of a name."""
        # access(2) and not stat(2): no result to build, and no exception to make of what is not there.
        is_ours = epoch == self._epoch and self._own != ""
        return is_ours and not os.access(self._next, os.F_OK) and os.access(self._own, os.F_OK)

    def offer(self) -> None:
        """Open the lock, which wakes the candidates; until one of them links its file, we hold."""
        self.withdraw()

    def release(self) -> None:
        """Open the lock and hold no more. The file stays: it is the memory of the epoch's number."""
        self.withdraw()
        if self._grip is not None:
            self._grip.let_go()
            self._grip = None
        self._own = self._next = ""

    def watch(self, epoch: int, opened: Callable[[int], None]) -> None:
        """Wait for the lock on a thread of its own; the kernel wakes all waiters at once."""
        threading.Thread(target=self._wait, args=(epoch, opened), name=f"lease-{epoch}", daemon=True).start()

    def _wait(self, epoch: int, opened: Callable[[int], None]) -> None:
        with contextlib.suppress(FileNotFoundError):  # tidied up: it has a successor, so it is over
            fd = os.open(self._path(epoch), os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH)
            finally:
                os.close(fd)
        opened(epoch)

    def _link(self, private: str, epoch: int) -> bool:
        path = self._path(epoch)
        try:
            os.link(private, path)
        except FileExistsError:
            return False
        except FileNotFoundError:
            if self._newest() < epoch:
                raise
            return False  # who holds a later epoch has tidied up
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

    def _departed(self) -> frozenset[str]:
        """Return who held the epochs whose files are left, and holds them no more."""
        departed: set[str] = set()
        for name in os.listdir(self._directory):
            if match := _NAME.fullmatch(name):
                with contextlib.suppress(OSError, GroupError):  # tidied up, or not ours
                    fd = os.open(self._path(int(match[1])), os.O_RDONLY | os.O_CLOEXEC)
                    try:
                        if _is_free(fd):
                            departed.add(self._read(fd, int(match[1])).instance)
                    finally:
                        os.close(fd)
        return frozenset(departed)

    def _read(self, fd: int, epoch: int) -> Holder:
        data = os.pread(fd, _READ_LIMIT, 0)
        try:
            deadline = DEADLINE.unpack_from(data)[0]
            card = msgspec.json.decode(data[DEADLINE.size :], type=_Card)
        except (struct.error, msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise GroupError(f"{self._path(epoch)} is held by a program that is not ours: {exc}") from exc
        return Holder(epoch, deadline, card.instance, card.pid, card.endpoints)

    def _path(self, epoch: int) -> str:
        return f"{self._directory}/leader.{epoch}"


def _is_free(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
