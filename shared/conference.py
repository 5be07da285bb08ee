"""Conferences: rooms that the service makes on request of its REST interface, and that a phone calls into."""

from typing import Protocol

from .call import Call
from .errors import ActionRefused


class Room(Protocol):
    """A conference as the REST interface makes it."""

    @property
    def session_id(self) -> str:
        """Its telephony session."""

    @property
    def voice_call_token(self) -> str:
        """What its host dials."""


class ConferenceService(Protocol):
    """The REST client of a user of the service: :class:`agents.rest.client.RestClient` is one."""

    async def create_conference(self) -> Room:
        """Make a room."""

    async def bring_in(self, conference: str, session_id: str, party_id: str) -> object:
        """Move a party of another telephony session into the room whose session is ``conference``."""


class Caller(Protocol):
    """What a conference needs of a phone."""

    async def call(self, number: str) -> Call:
        """Call ``number`` and return the call once it is answered."""


class Conference:
    """A room that we are in. ``call`` is our own end: hang it up to leave, or to end the conference."""

    def __init__(self, phone: Caller, service: ConferenceService, session_id: str, call: Call) -> None:
        self._phone, self._service = phone, service
        self.session_id, self.call = session_id, call

    async def merge(self, call: Call) -> None:
        """Bring the far end of an answered call into the room; that call is then over here.

        Raises:
            ActionRefused: The service has not told what it calls that call.
        """
        if not (call.session_id and call.party_id):
            raise ActionRefused("wrong_state", "the service has not told the ids of this call, or has none")
        await self._service.bring_in(self.session_id, call.session_id, call.party_id)

    async def invite(self, number: str) -> Call:
        """Call ``number``, bring it into the room once it has answered, and return that call."""
        call = await self._phone.call(number)
        await self.merge(call)
        return call


async def start_conference(phone: Caller, service: ConferenceService) -> Conference:
    """Have a room made, and call into it. Raises what :meth:`Phone.call` and ``service`` raise."""
    room = await service.create_conference()
    call = await phone.call(room.voice_call_token)
    return Conference(phone, service, room.session_id, call)
