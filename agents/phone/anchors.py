"""[core] Where the sound of an answered call goes when the process that had it has died.

Another window takes it: it describes a connection of its own, and the far end is told by a re-INVITE. So a
call outlives any one process; from then on it is heard at that window, muted and held as it was before.
"""

from collections import Counter

from agents.sip.events import ReinviteDone
from shared.messages import CallState, Cause, MediaState

from .calls import CallRecord
from .changes import Changes
from .term import Term

#: Seconds until a far end that cannot be told now is asked again; doubled each time.
_FIRST_PAUSE, _LAST_PAUSE = 0.25, 8.0


class Anchors:
    """Moves calls between windows. ``is_on``: else a call is lost with the process that had its sound."""

    def __init__(self, term: Term, changes: Changes, *, is_on: bool) -> None:
        self._term, self._changes, self._is_on = term, changes, is_on
        self._again: dict[str, tuple[float, float]] = {}  # by call: when, and after which pause

    def orphaned(self, record: CallRecord, now: float) -> None:
        """Take that the process with a call's sound has died: move the call to another window, or end it."""
        host = self._next_host() if self._is_on and record.view.state is CallState.ANSWERED else None
        if host is None:
            self._lose(record, "the process that had its sound has died", now)
            return
        self._term.change(record, media_host=host, media=MediaState.CONNECTING)
        record.is_orphan, record.offered_by = True, ""
        if self._term.is_registered:  # if not, it is done as soon as we are
            self._changes.replace(record, now)

    def answered(self, event: ReinviteDone, record: CallRecord, now: float) -> None:
        """Take the far end's answer to a re-INVITE: perhaps the call has its sound now, perhaps not yet."""
        if not record.is_orphan:
            self._again.pop(record.call_id, None)
        elif record.offered_by == "":
            self._changes.replace(record, now)  # what was under way when the process died is over
        elif event.status == 491 or 500 <= event.status < 600:
            self._ask_again(event, record, now)
        else:
            self._lose(record, f"the far end does not take its new sound: {event.status} {event.reason}", now)

    def tick(self, now: float) -> None:
        """Let time pass."""
        for call_id in [call_id for call_id, (at, _) in self._again.items() if at <= now]:
            record = self._term.calls.find(call_id)
            if record is None or not record.is_orphan:
                del self._again[call_id]
            else:
                self._again[call_id] = (float("inf"), self._again[call_id][1])
                self._changes.replace(record, now)

    def next_deadline(self) -> float | None:
        """Return when the first far end is to be asked again, or None."""
        return min((at for at, _ in self._again.values() if at != float("inf")), default=None)

    def _ask_again(self, event: ReinviteDone, record: CallRecord, now: float) -> None:
        """Wait until the far end is done with what the dead process began (RFC 3261 §14.2)."""
        if not event.is_answered:
            return  # the connection to the service was lost: it is done over the next one
        _, before = self._again.get(record.call_id, (0.0, 0.0))
        pause = max(before * 2, _FIRST_PAUSE)
        if pause > _LAST_PAUSE:
            self._lose(record, f"the far end does not take its new sound: {event.status} {event.reason}", now)
        else:
            self._again[record.call_id] = (now + pause, pause)

    def _lose(self, record: CallRecord, reason: str, now: float) -> None:
        self._again.pop(record.call_id, None)
        self._term.end_here(record, Cause.LOST, now, reason=reason)

    def _next_host(self) -> str | None:
        """Return the window with the fewest calls, of those the one that joined first; None without any."""
        busy = Counter(record.view.media_host for record in self._term.calls.live())
        return min(self._term.presence.with_sound(), key=lambda instance: busy[instance], default=None)
