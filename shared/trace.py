"""What a process saw and asked, told by itself: one NDJSON file a process, for ``coordinator verify``.

Off by default; the setting ``trace_dir`` (``SHAREDLINE_TRACE_DIR``) switches it on. A trace holds versions,
numbers that windows show anyway, ids and outcomes; never a password, a token or a description of sound. It is
bounded, and a disk that is full ends the trace and not the phone. A line is in the kernel's hands before the
process goes on, so that a process that is killed has told all.

Lines have ``boottime`` (CLOCK_BOOTTIME seconds, equal in all processes of a host, and in the service's
ledger), ``event`` and ``instance``:

``JOINED``, ``LEFT``
    ``pid``. Whoever has left neither saw nor asked anything more.
``SNAPSHOT``
    This window applied it: ``epoch``, ``sequence``, ``leader``, ``number``, ``registration``, ``windows``,
    ``calls``.
``ASKED``
    An action: ``action_id``, ``action`` (its kind), ``call_id``, ``target``, ``wait`` (seconds).
``ANSWERED``
    ``action_id`` and ``outcome`` (``done`` with ``call_id``, ``refused`` with ``code``, ``unknown``,
    ``given_up``).
``PROMOTED``, ``STEPPED_DOWN``
    This process leads from now on, or no longer: ``epoch``.
``RESOURCES``
    Every second: ``memory_kb``, ``descriptors``, ``tasks``, ``threads``.
``FULL``
    The trace has reached its bound.
``KILLED``, ``STOPPED``, ``CONTINUED``, ``QUIET``
    Written by whoever makes trouble, with the ``pid`` it is made for. ``QUIET``: no more of it from here on.
"""

import asyncio
import os
import threading
from typing import TYPE_CHECKING

import msgspec

from .clock import boottime
from .config import Directory
from .errors import ActionRefused
from .log import log
from .messages import Action, Call, Done, Snapshot

if TYPE_CHECKING:
    from pathlib import Path

#: No trace is longer: at a hundred snapshots a second, some ten minutes.
MOST_BYTES = 32 * 1024 * 1024
SUFFIX = ".trace.ndjson"


class SeenCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of a snapshot. ``session_id`` is the service's own name of it."""

    call_id: str
    state: str
    cause: str = ""
    media_host: str = ""
    session_id: str = ""
    is_answered: bool = False  # now, or before it ended


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line; what does not apply is left out."""

    boottime: float
    event: str
    instance: str = ""
    pid: int = 0
    epoch: int = 0
    sequence: int = 0
    leader: str = ""
    number: str = ""
    registration: str = ""
    windows: tuple[str, ...] = ()
    calls: tuple[SeenCall, ...] = ()
    action_id: str = ""
    action: str = ""
    call_id: str = ""
    target: str = ""
    wait: float = 0.0
    outcome: str = ""
    code: str = ""
    memory_kb: int = 0
    descriptors: int = 0
    tasks: int = 0
    threads: int = 0


class Trace:
    """Writes one process' trace into ``directory``; None: writes nothing. Any thread may call it."""

    def __init__(self, directory: Directory | None, instance: str, *, most_bytes: int = MOST_BYTES) -> None:
        self._instance, self._room = instance, most_bytes
        self._encode = msgspec.json.Encoder().encode
        self._fd: int | None = None
        if directory is not None:
            try:
                os.makedirs(directory, mode=0o700, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                self._fd = os.open(os.path.join(directory, f"{instance}{SUFFIX}"), flags, 0o600)
            except OSError as exc:
                log.warning("trace.ended", error=str(exc))

    @property
    def is_on(self) -> bool:
        """Whether anything is written."""
        return self._fd is not None

    def write(self, event: str, **facts: object) -> None:
        """Write one line; ``facts`` are fields of :class:`Line`."""
        if self._fd is None:
            return
        line = msgspec.convert(
            {"boottime": boottime(), "event": event, "instance": self._instance, **facts}, Line
        )
        data = self._encode(line) + b"\n"
        self._room -= len(data)
        if self._room < 0:
            data = self._encode(Line(boottime=boottime(), event="FULL", instance=self._instance)) + b"\n"
        try:
            os.write(self._fd, data)
        except OSError as exc:
            log.warning("trace.ended", error=str(exc))
            self._room = -1
        if self._room < 0:
            self.close()

    def snapshot(self, snapshot: Snapshot) -> None:
        """Write that this window shows ``snapshot`` from now on."""
        if self.is_on:
            self.write(
                "SNAPSHOT",
                epoch=snapshot.version.epoch,
                sequence=snapshot.version.sequence,
                leader=snapshot.leader,
                number=snapshot.number,
                registration=str(snapshot.registration.state),
                windows=tuple([window.instance for window in snapshot.windows]),
                calls=tuple([_seen(call) for call in snapshot.calls]),
            )

    def asked(self, action_id: str, action: Action, wait: float) -> None:
        """Write that a program of this process wants ``action``, before anybody is asked."""
        if self.is_on:
            self.write(
                "ASKED",
                action_id=action_id,
                action=str(action.__struct_config__.tag),
                call_id=getattr(action, "call_id", ""),
                target=getattr(action, "target", ""),
                wait=wait,
            )

    def answered(self, action_id: str, reply: asyncio.Future[Done]) -> None:
        """Write what an action's caller is told, or that it stopped waiting (``given_up``)."""
        if not self.is_on:
            return
        facts: dict[str, object] = {"outcome": "given_up"}
        if reply.done() and not reply.cancelled():
            match reply.exception():
                case None:
                    facts = {"outcome": "done", "call_id": reply.result().call_id}
                case ActionRefused() as refused:
                    facts = {"outcome": "refused", "code": refused.code}
                case _:
                    facts = {"outcome": "unknown"}
        self.write("ANSWERED", action_id=action_id, **facts)

    def resources(self, tasks: int) -> None:
        """Write what this process uses; ``tasks`` are those of the loop that asks."""
        if self.is_on:
            self.write(
                "RESOURCES",
                memory_kb=_memory_kb(),
                descriptors=_descriptors(),
                tasks=tasks,
                threads=threading.active_count(),
            )

    def close(self) -> None:
        """Write nothing more."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def read_trace(path: "Path") -> list[Line]:
    """Return the lines of a trace. A last one that was torn by the end of its process is left out.

    Raises:
        msgspec.DecodeError: If it is no trace.
    """
    decoder = msgspec.json.Decoder(Line)
    return [decoder.decode(line) for line in path.read_bytes().split(b"\n")[:-1]]


def _seen(call: Call) -> SeenCall:
    return SeenCall(
        call_id=call.call_id,
        state=str(call.state),
        cause=str(call.cause or ""),
        media_host=call.media_host,
        session_id=call.session_id,
        is_answered=call.answered_at is not None,
    )


def _memory_kb() -> int:
    try:
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
    except OSError:  # not Linux
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
