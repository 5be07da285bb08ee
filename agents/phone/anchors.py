"""[core] Where the sound of an answered call goes when the process that had it has died.

Another window takes it: it describes a connection of its own, and the far end is told by a re-INVITE. So a
call outlives any one process; from then on it is heard at that window, muted and held as it was before.
"""

from collections import Counter

from shared.messages import CallState, Cause, MediaState

from .calls import CallRecord
from .changes import Changes
from .term import Term


class Anchors:
    """Moves calls between windows. ``is_on``: else a call is lost with the process that had its sound."""

    def __init__(self, term: Term, changes: Changes, *, is_on: bool) -> None:
        self._term, self._changes, self._is_on = term, changes, is_on

    def orphaned(self, record: CallRecord, now: float) -> None:
        """Take that the process with a call's sound has died: move the call to another window, or end it."""
        host = self._next_host() if self._is_on and record.view.state is CallState.ANSWERED else None
        if host is None:
            self._term.end_here(record, Cause.LOST, now, reason="the process that had its sound has died")
            return
        self._term.change(record, media_host=host, media=MediaState.CONNECTING)
        record.is_orphan = True
        if self._term.is_registered:  # if not, it is done as soon as we are
            self._changes.replace(record, now)

    def _next_host(self) -> str | None:
        """Return the window with the fewest calls, of those the one that joined first; None without any."""
        busy = Counter(record.view.media_host for record in self._term.calls.live())
        return min(self._term.presence.with_sound(), key=lambda instance: busy[instance], default=None)
