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

_DIED = "the process that had its sound has died"
#: Seconds until a far end that cannot be told now is asked again; doubled each time.
_FIRST_PAUSE, _LAST_PAUSE = 0.25, 8.0
#: Seconds that a call waits for a window whose sound is still loading.
_PATIENCE = 1.0


class Anchors:
    """Moves calls between windows. ``is_on``: else a call is lost with the process that had its sound."""

    def __init__(self, term: Term, changes: Changes, *, is_on: bool) -> None:
        self._term, self._changes, self._is_on = term, changes, is_on
        self._homeless: dict[str, float] = {}  # by call: until when it waits for a window with sound
        self._again: dict[str, tuple[float, float]] = {}  # by call: when, and after which pause

    def orphaned(self, record: CallRecord, now: float) -> None:
        """Take that the process with a call's sound has died: move the call to another window, or end it."""
        if not self._is_on or record.view.state is not CallState.ANSWERED:
            self._lose(record, _DIED, now)
            return
        record.is_orphan, record.offered_by = True, ""
        self._term.change(record, media=MediaState.CONNECTING)
        self._homeless.setdefault(record.call_id, now + _PATIENCE)
        self.host_attached(now)

    def host_attached(self, now: float) -> None:
        """Move the calls that have waited for a window with sound, if there is one now."""
        for record in self._waiting():
            if (host := self._next_host()) is None:
                return
            del self._homeless[record.call_id]
            self._term.change(record, media_host=host)
            if self._term.is_registered:  # if not, it is done as soon as we are
                self._changes.replace(record, now)

    def answered(self, event: ReinviteDone, record: CallRecord, now: float) -> None:
        """Take the far end's answer to a re-INVITE: perhaps the call has its sound now, perhaps not yet."""
        if not record.is_orphan:
            self._again.pop(record.call_id, None)
        elif record.offered_by == "":
            self._changes.replace(record, now)  # what was under way when the process died is over
        elif event.status in (487, 491) or 500 <= event.status < 600:
            # 487 is what a re-INVITE gets when the call ends, of which nobody has told us yet.
            self._ask_again(event, record, now)
        else:
            self._lose(record, f"the far end does not take its new sound: {event.status} {event.reason}", now)

    def tick(self, now: float) -> None:
        """Let time pass."""
        for waiting in self._waiting():
            if self._homeless[waiting.call_id] <= now:
                self._lose(waiting, _DIED, now)
        for record in self._asked_again():
            at, pause = self._again[record.call_id]
            if at <= now:
                self._again[record.call_id] = (float("inf"), pause)
                self._changes.replace(record, now)

    def next_deadline(self) -> float | None:
        """Return when the first far end is to be asked again, or the first call is lost, or None."""
        asking = [at for at, _ in self._again.values() if at != float("inf")]
        return min([*asking, *self._homeless.values()], default=None)

    def _waiting(self) -> list[CallRecord]:
        """Return the calls that wait for a window with sound; forget those that are over."""
        known = {call_id: self._term.calls.find(call_id) for call_id in self._homeless}
        waiting = [record for record in known.values() if record and not record.view.state.is_final]
        self._homeless = {record.call_id: self._homeless[record.call_id] for record in waiting}
        return waiting

    def _asked_again(self) -> list[CallRecord]:
        """Return the calls whose far end is to be asked again; forget those that are over."""
        known = {call_id: self._term.calls.find(call_id) for call_id in self._again}
        orphans = [one for one in known.values() if one and one.is_orphan and not one.view.state.is_final]
        self._again = {record.call_id: self._again[record.call_id] for record in orphans}
        return orphans

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
        self._homeless.pop(record.call_id, None)
        self._term.end_here(record, Cause.LOST, now, reason=reason)

    def _next_host(self) -> str | None:
        """Return the window with the fewest calls, of those the one that joined first; None without any."""
        busy = Counter(record.view.media_host for record in self._term.calls.live())
        return min(self._term.presence.with_sound(), key=lambda instance: busy[instance], default=None)
