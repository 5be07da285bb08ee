"""[core] Calls that answer themselves: the service asks for it (``Alert-Info: Auto Answer``).

It does so for a call that was answered by its REST interface, and for supervision. The sound goes where a
person most likely is: the window that hosts a live call, else the leader's own, else the first with sound.
"""

import re
from collections.abc import Iterable

from agents.sip.message import Headers
from shared.messages import CallState

from .calls import CallRecord
from .term import Term

_ANSWER_AFTER = re.compile(r";\s*answer-after\s*=\s*(\d{1,9})\s*(?:;|,|$)", re.IGNORECASE)
_LONGEST_DELAY = 60.0


class AutoAnswer:
    """The ringing calls that are to be answered, and when."""

    def __init__(self, term: Term, instance: str, *, is_on: bool) -> None:
        self._term, self._instance, self._is_on = term, instance, is_on
        self._due: dict[str, float] = {}  # by call id

    def invited(self, headers: Headers, record: CallRecord, now: float) -> None:
        """Take a call: note when to answer it, if the service wants that and it was not switched off."""
        delay = delay_of(headers)
        if self._is_on and delay is not None:
            self._due[record.call_id] = now + delay

    def due(self, now: float) -> list[tuple[CallRecord, str]]:
        """Return the calls to answer now, each with the window that shall have its sound."""
        call_ids = [call_id for call_id, at in self._due.items() if at <= now]
        for call_id in call_ids:
            del self._due[call_id]
        records = [record for call_id in call_ids if (record := self._term.calls.find(call_id)) is not None]
        ringing = [record for record in records if record.view.state is CallState.RINGING]
        instance = self._window()
        return [(record, instance) for record in ringing if instance]

    def next_deadline(self) -> float | None:
        """Return when the first call is due, or None."""
        return min(self._due.values(), default=None)

    def _window(self) -> str:
        hosts = [record.view.media_host for record in self._term.calls.live()]
        return next((one for one in self._preferred(hosts) if self._term.presence.has_sound(one)), "")

    def _preferred(self, hosts: Iterable[str]) -> list[str]:
        return [*hosts, self._instance, *(window.instance for window in self._term.presence.windows())]


def delay_of(headers: Headers) -> float | None:
    """Return after how many seconds a call is to answer itself; None if a person shall.

    ``Answer-After`` is in milliseconds, and at most a minute.
    """
    if (headers.get("Alert-Info") or "").strip().lower() != "auto answer":
        return None
    match = _ANSWER_AFTER.search(headers.get("Call-Info") or "")
    return min(int(match[1]) / 1000, _LONGEST_DELAY) if match else 0.0
