"""SIP messages in a file that only its owner can read."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from shared.errors import ConfigError
from shared.log import log

from .sip.trace import Traced

#: A file that has grown longer gets ``.1`` behind its name, in place of the one before, and a new one begins.
MOST_BYTES = 16 * 1024 * 1024


class TraceFile:
    """Writes messages; give :meth:`write` to :meth:`.SipTrace.listen`. A full disk ends it, not the phone.

    Raises:
        ConfigError: If the file cannot be made, is no plain file, or others may read it.
    """

    def __init__(self, path: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._path, self._most_bytes = path, most_bytes
        self._fd: int | None = _open(path)
        self._size = os.fstat(self._fd).st_size

    def write(self, message: Traced) -> None:
        """Add a message: when, which way, and its text."""
        if self._fd is None:
            return
        when = datetime.fromtimestamp(message.at, UTC).isoformat(timespec="milliseconds")
        way = "to the service" if message.way == ">" else "from the service"
        text = message.text.replace("\r\n", "\n").rstrip("\n")
        data = f"--- {message.number} {when} {message.way} {way}\n{text}\n\n".encode("utf-8", "replace")
        try:
            if self._size and self._size + len(data) > self._most_bytes:
                self._turn_over()
            os.write(self._fd, data)
            self._size += len(data)
        except (OSError, ConfigError) as exc:
            log.warning("sip_trace.ended", path=str(self._path), error=str(exc))
            self.close()

    def close(self) -> None:
        """Close the file; harmless to call again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _turn_over(self) -> None:
        assert self._fd is not None
        os.replace(self._path, f"{self._path}.1")
        fd, self._fd = self._fd, _open(self._path)
        self._size = 0
        os.close(fd)


def _open(path: Path) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        fd = os.open(path, flags, 0o600)
    except OSError as exc:
        raise ConfigError(f"cannot write SIP messages to {path}: {exc.strerror}") from exc
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
        os.close(fd)
        raise ConfigError(
            f"SIP messages are not written to {path}: it must be a plain file of yours that nobody else can "
            "read; name another one, or run chmod 600"
        )
    return fd
