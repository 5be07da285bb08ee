"""[core] The table of calls: what every window shows of each, and what only the leader knows."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared.errors import ActionRefused
from shared.messages import Call, CallState, Cause, Request

#: Characters of a reason, or of a refusal, that travel in each snapshot: some quote what others have said.
LONGEST_TEXT = 300
#: Ended calls that are kept, however fast somebody calls and gives up: a snapshot must fit into a frame.
_MOST_ENDED = 100


@dataclass(slots=True)
class CallRecord:
    """One call: ``view`` is public, the rest stays with the leader."""

    view: Call
    session_id: str = ""  # of the SIP user agent; empty until there is an INVITE
    local_sdp: str = field(default="", repr=False)  # ours, as agreed; with the newest version said in any
    offered_sdp: str = field(default="", repr=False)  # what it has not answered yet, in a re-INVITE
    remote_sdp: str = field(default="", repr=False)
    taken_by: str = ""  # the instance that is answering it, until it has
    answering: Request | None = None  # the answer under way, until the far end has confirmed it
    changing: Request | None = None  # the hold, unhold or new connection under way
    is_repeating: bool = False  # the far end is being told where we are; ``changing`` waits for that
    is_renewing: bool = False  # a new connection is being offered to the far end
    offered_by: str = ""  # the instance that described it
    is_orphan: bool = False  # its sound was at a process that died, and is not yet connected elsewhere
    early_sdp: str = field(default="", repr=False)  # what the far end lets us hear before it answers
    reqid: int = 0  # of the newest request by INFO
    told_muted: bool = (
        False  # what the media host was told last: ahead of the view while a change is under way
    )
    told_held: bool = False
    hangups: list[Request] = field(default_factory=list)  # whoever waits for the end
    removed_at: float | None = None  # when an ended call leaves the table

    def change(self, **fields: Any) -> None:
        """Replace fields of the view."""
        self.view = msgspec.structs.replace(self.view, **fields)

    @property
    def call_id(self) -> str:
        """The id that windows use; the SIP Call-ID never leaves the leader."""
        return self.view.call_id


class CallTable:
    """All calls of the group, ended ones for ``keep_ended`` seconds more."""

    def __init__(self, *, keep_ended: float) -> None:
        self._records: dict[str, CallRecord] = {}
        self._keep_ended = keep_ended

    def __iter__(self) -> Iterator[CallRecord]:
        return iter(list(self._records.values()))

    def add(self, record: CallRecord) -> CallRecord:
        """Add a call."""
        self._records[record.call_id] = record
        return record

    def find(self, call_id: str) -> CallRecord | None:
        """Return the call of this id, or None."""
        return self._records.get(call_id)

    def of_session(self, session_id: str) -> CallRecord | None:
        """Return the call of this SIP session, or None."""
        return next((record for record in self._records.values() if record.session_id == session_id), None)

    def live(self) -> list[CallRecord]:
        """Return the calls that are not over."""
        return [record for record in self._records.values() if not record.view.state.is_final]

    def get(self, call_id: str, *states: CallState) -> CallRecord:
        """Return the live call of this id in one of ``states`` (default: any), or refuse the action."""
        record = self._records.get(call_id)
        if record is None:
            raise ActionRefused("no_such_call", f"there is no call {call_id!r} (any more)")
        view = record.view
        if view.state.is_final:
            raise ActionRefused(
                "no_such_call", f"the call is over ({(view.cause or view.state).replace('_', ' ')})"
            )
        if states and view.state not in states:
            wanted = " or ".join(states)
            raise ActionRefused("wrong_state", f"the call is {view.state}, not {wanted}")
        return record

    def end(
        self, record: CallRecord, cause: Cause, *, now: float, wall: float, status: int = 0, reason: str = ""
    ) -> None:
        """Move a live call to its final state."""
        failed = cause in (Cause.REJECTED, Cause.NO_MEDIA, Cause.TIMEOUT) and record.view.answered_at is None
        state = CallState.FAILED if failed else CallState.DISPOSED
        record.change(state=state, cause=cause, ended_at=wall, status=status, reason=reason[:LONGEST_TEXT])
        record.removed_at = now + self._keep_ended
        ended = [one for one in self._records.values() if one.removed_at is not None]
        if len(ended) > _MOST_ENDED:
            del self._records[min(ended, key=lambda one: one.removed_at or 0.0).call_id]

    def expire(self, now: float) -> bool:
        """Drop calls that ended long enough ago; return whether there were any."""
        gone = [
            key
            for key, record in self._records.items()
            if record.removed_at is not None and record.removed_at <= now
        ]
        for key in gone:
            del self._records[key]
        return bool(gone)

    def next_deadline(self) -> float | None:
        """Return when the next ended call leaves, or None."""
        return min(
            (record.removed_at for record in self._records.values() if record.removed_at is not None),
            default=None,
        )

    def views(self) -> tuple[Call, ...]:
        """Return what windows see, in the order in which the calls began."""
        # Made of a list, whose size is known: see the free tuples in docs/speed.md.
        return tuple([record.view for record in self._records.values()])
