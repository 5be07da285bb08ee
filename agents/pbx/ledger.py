"""The ledger: one NDJSON line for every effect that reached the service. It is the truth that tests count.

Each line is flushed before anything is done about it. All have ``at`` (Unix seconds), ``boottime``
(seconds; equal in all processes of the host) and ``event``; the others as they apply: ``extension``,
``instance_id``, ``via_host``, ``flow`` (one WebSocket, ``f1``, ``f2``, ...), ``call_id`` (SIP Call-Id),
``call`` and ``leg`` (the service's own names), ``direction`` (``in`` reached the service, ``out`` left it),
``method``, ``status``, ``reason``, ``expires``, ``bindings`` (of that extension, after the event; unreachable
ones included) and ``reachable`` (those of them whose connection is open).

Service
    ``SERVICE_STARTED``, ``SERVICE_STOPPED``; a restart in place is one of each, with ``reason``.
Faults
    ``FAULT_SET`` and ``FAULT_CLEARED`` with ``fault`` (its id), ``kind`` and ``reason``; ``FAULT_APPLIED``
    for each request that it refused. What is then answered has its own line, as always.
Connections
    ``FLOW_OPENED``; ``FLOW_CLOSED`` with ``reason``, once for each, and with the bindings it leaves behind;
    ``FLOW_REFUSED``: no WebSocket came about (``count`` of them, if it were more than five of a kind in a
    second); ``BAD_FRAME``: what was not SIP, with ``reason``.
Registrations
    ``REGISTER`` and ``UNREGISTER``, in, with the ``status`` they were answered with (401 and 603 too).
    ``BINDING_ADDED``, ``BINDING_REFRESHED``, ``BINDING_REPLACED`` (the same instance id on a new flow),
    ``BINDING_REMOVED``, ``BINDING_EXPIRED``, ``BINDING_UNREACHABLE`` (its flow has closed).
SIP in calls
    Requests by their method: ``INVITE`` (``kind`` is ``initial``, with the ``number`` that it is for, or
    ``reinvite``), ``ACK``, ``CANCEL``, ``BYE``, ``MESSAGE``, ``INFO``, ``OPTIONS`` ..., ``in`` and ``out``;
    ``RESPONSE`` with ``method`` and ``status``, ``in`` and ``out``. ``UNDELIVERED``: a message could not
    leave, because no flow is open to its phone; it counts as not sent. ACKs of failures are written, too.
Calls
    ``CALL_STARTED`` with the ``session_id`` that phones are told, ``CALL_ANSWERED`` (``leg`` and
    ``instance_id``: who), ``CALL_ENDED`` with ``reason`` and the ``ended_by`` leg; ``CALL_DIVERTED`` with
    ``reason``: a ringing phone wanted something else; ``VOICEMAIL_LEFT`` for an ``extension``;
    ``LEG_ADRIFT`` (its flow closed in the call), ``LEG_CONTINUED`` (a flow of the same instance id goes on
    with it), ``LEG_HELD``, ``LEG_UNHELD``.
Transfers
    ``REFER`` (in) and ``NOTIFY`` (out) are among the requests. ``TRANSFER_ACCEPTED`` (answered 202),
    ``TRANSFERRED`` (the far end talks with its new one), ``TRANSFER_FAILED`` with ``status`` and ``reason``:
    ``leg``, ``call`` and ``call_id`` are of the transferor in the original call, ``number`` is the target,
    ``other_call`` the call that the far end is in, or was to be; in a warm transfer that is at first the
    consultation, whose Call-Id is ``other_call_id``.
    ``PARKED``: an end of ``call`` waits with music at the place ``number``.
    ``LEG_REPLACED``: ``leg`` has taken the place of another one in ``call``, with ``reason``.
Conferences and supervision
    ``CONFERENCE_CREATED``, ``CONFERENCE_JOINED``, ``CONFERENCE_LEFT``, ``CONFERENCE_ENDED`` with the
    ``number`` to dial and ``session_id``. ``SUPERVISED``: ``leg`` supervises ``call``, in which the extension
    ``number`` is; ``kind`` says how.
Recordings
    ``RECORDING_STARTED`` and ``RECORDING_ENDED``, with the ``call``; ``recording`` is the name of the WAV
    file in ``recordings/``, without its ending.
Robots
    ``ROBOT_MEDIA`` with ``state``: how the sound of the phone is that it talks with (``connecting``,
    ``connected``, ``failed``, ``closed``); a robot is always connected.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from shared.clock import boottime, wall
from shared.errors import ConfigError
from shared.log import log


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. None means that it does not apply."""

    at: float
    boottime: float
    event: str
    direction: str | None = None
    method: str | None = None
    status: int | None = None
    reason: str | None = None
    kind: str | None = None
    extension: str | None = None
    instance_id: str | None = None
    via_host: str | None = None
    flow: str | None = None
    call_id: str | None = None
    cseq: int | None = None
    call: str | None = None
    leg: str | None = None
    session_id: str | None = None
    other_call: str | None = None
    other_call_id: str | None = None
    ended_by: str | None = None
    number: str | None = None
    recording: str | None = None
    state: str | None = None
    expires: float | None = None
    bindings: int | None = None
    reachable: int | None = None
    count: int | None = None
    fault: str | None = None


class Ledger:
    """Writes the file, and tells whoever subscribed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_torn = False
        """Whether a line could not be written: it is not the whole truth any more."""

        self._listeners: list[Callable[[Entry], None]] = []
        self._encode = msgspec.json.Encoder().encode
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as exc:
            raise ConfigError(f"cannot write the ledger {path}: {exc.strerror}") from exc

    def record(self, event: str, **facts: Any) -> Entry:
        """Write one line, at once. ``facts`` are fields of :class:`Entry`."""
        entry = Entry(at=round(wall(), 6), boottime=round(boottime(), 6), event=event, **facts)
        if not self._file.closed:
            self._write(self._line(entry, facts))
        for listener in tuple(self._listeners):
            listener(entry)
        return entry

    def _write(self, line: bytes) -> None:
        """Write a line. A full disk costs the ledger, which says so, and no call."""
        try:
            self._file.write(line)
        except OSError as exc:
            if not self.is_torn:
                log.error("ledger.failed", path=str(self.path), error=exc.strerror)
            self.is_torn = True

    def _line(self, entry: Entry, facts: dict[str, Any]) -> bytes:
        try:
            return self._encode(entry) + b"\n"
        except UnicodeEncodeError:
            # A lone surrogate from somebody's JSON. What happened must be told all the same.
            clean = {name: _unicode(value) for name, value in facts.items()}
            return self._encode(msgspec.structs.replace(entry, **clean)) + b"\n"

    def subscribe(self, listener: Callable[[Entry], None]) -> Callable[[], None]:
        """Call ``listener`` with each entry from now on; the returned function ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def entries(self) -> list[Entry]:
        """Return all that the file holds, that of earlier runs in the same directory included."""
        return read_ledger(self.path)

    def close(self) -> None:
        """Close the file. What is recorded later still reaches subscribers."""
        self._file.close()


def _unicode(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def read_ledger(path: Path, *, offset: int = 0) -> list[Entry]:
    """Return the entries of a ledger file from byte ``offset`` on.

    A last line that is still being written is left out.
    """
    with path.open("rb") as file:
        file.seek(offset)
        lines = file.read().split(b"\n")[:-1]
    return [msgspec.json.decode(line, type=Entry) for line in lines]
