"""A directory belongs to one running service: ledger, accounts and control file have one writer."""

import contextlib
import os
import sys
from pathlib import Path

from shared.errors import ConfigError

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Claim:
    """Holds the lock on ``DIR/.lock`` from its making until :meth:`release`, or the end of the process.

    The file stays: whoever removed it would let a third one in.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / ".lock"
        self._descriptor: int | None = None
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise ConfigError(f"cannot write the directory {directory}: {exc.strerror}") from exc
        try:
            _lock(self._descriptor)
        except OSError as exc:
            holder = _text(self._descriptor)
            self.release()
            raise ConfigError(
                f"another simulated service{holder} runs in {directory}: choose another directory with --dir"
            ) from exc
        os.lseek(self._descriptor, 1, os.SEEK_SET)  # the first byte is what Windows locks
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let others use the directory. Harmless twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.release()


def _text(descriptor: int) -> str:
    """Return who holds the lock, for a message; nothing where that cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        os.lseek(descriptor, 1, os.SEEK_SET)
        first, _, _ = os.read(descriptor, 20).partition(b"\n")
        return f" (process {int(first)})"
    return ""
