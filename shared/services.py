"""What the service offers by numbers of its own: parked calls, supervision, calls of our other devices."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence

from .call import Call
from .conference import Conference, ConferenceService, start_conference
from .errors import ActionRefused

_MONITOR, _WHISPER, _BARGE, _TAKE_OVER = "*80", "*81", "*82", "*83"
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,128}")
_EXTENSION = re.compile(r"[0-9]{1,32}")
_PRIVATE = "prk"


class Services(ABC):
    """The verbs that are calls to such numbers. All raise what :meth:`Phone.call` raises."""

    @abstractmethod
    async def call(
        self, number: str, *, caller_id: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> Call:
        """Call ``number`` and return the call once it is answered."""

    async def retrieve(self, location: str) -> Call:
        """Talk with whoever is parked at ``location``, as :meth:`Call.park` returned it."""
        return await self.call(f"*{location.removeprefix('*')}")

    async def retrieve_private(self, slot: str, *, session_id: str, to_tag: str, from_tag: str) -> Call:
        """Talk with whoever was parked privately under ``slot``.

        ``session_id`` and the tags are those of the parked call, as the service's REST interface tells them
        (``sipData``).
        """
        # The parked end is described as the service sees it, so its tags are the other way round.
        header = replaces(session_id, to_tag=from_tag, from_tag=to_tag)
        return await self.call(f"{_PRIVATE}{slot}", headers=[header])

    async def switch_here(self, number: str, *, session_id: str, to_tag: str, from_tag: str) -> Call:
        """Bring a call of another of our devices here; it ends there (RFC 3891).

        ``number`` is its far end's; ``session_id`` and the tags are as the service's REST interface tells
        them (``sipData``).
        """
        header = replaces(session_id, to_tag=to_tag, from_tag=from_tag)
        return await self.call(number, headers=[header])

    async def monitor(self, extension: str) -> Call:
        """Listen to the call of ``extension``; nobody hears us."""
        return await self._supervise(_MONITOR, extension)

    async def whisper(self, extension: str) -> Call:
        """Listen to the call of ``extension``, and be heard by that one only."""
        return await self._supervise(_WHISPER, extension)

    async def barge(self, extension: str) -> Call:
        """Join the call of ``extension``, and be heard by both."""
        return await self._supervise(_BARGE, extension)

    async def take_over(self, extension: str) -> Call:
        """Take the call of ``extension`` away from it."""
        return await self._supervise(_TAKE_OVER, extension)

    async def conference(self, service: ConferenceService) -> Conference:
        """Have a conference made by ``service``, the REST client of the same user, and call into it."""
        return await start_conference(self, service)

    async def _supervise(self, code: str, extension: str) -> Call:
        """Dial the code, and tell the voice that answers whom we mean."""
        if not _EXTENSION.fullmatch(extension):
            raise ActionRefused("bad_request", f"{extension[:80]!r} is no extension")
        call = await self.call(code)
        await call.connected()
        await call.send_dtmf(f"{extension}#")
        return call


def replaces(session_id: str, *, to_tag: str, from_tag: str) -> tuple[str, str]:
    """Return the header that names a call of another device (RFC 3891 §6.1), as the service wants it."""
    for text in (session_id, to_tag, from_tag):
        if not _TOKEN.fullmatch(text):
            raise ActionRefused("bad_request", f"{text[:80]!r} is no name or tag of a call")
    return ("Replaces", f"{session_id};to-tag={to_tag};from-tag={from_tag};early-only")
