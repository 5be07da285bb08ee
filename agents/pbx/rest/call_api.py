"""Call control over HTTP: sessions and their parties."""

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..accounts import Subscriber
from ..web import json_answer
from .call_documents import (
    BringInRequest,
    CallOutRequest,
    DeviceRequest,
    SessionAnswer,
    SessionDocument,
    SuperviseRequest,
)
from .call_office import CallOffice
from .reading import read

if TYPE_CHECKING:
    from .api import Own

_TELEPHONY = "/restapi/v1.0/account/{account}/telephony"
_PRESENCE = "/restapi/v1.0/account/{account}/extension/{extension}/presence"
_SESSION = _TELEPHONY + "/sessions/{session}"


class CallApi:
    """What a user may ask about calls."""

    def __init__(self, calls: CallOffice) -> None:
        self._calls = calls

    def routes(self, own: "Own") -> list[Route]:
        """Return the routes, for who has a token."""
        return [
            own.route("GET", _PRESENCE, self.presence),
            own.route("POST", _TELEPHONY + "/conference", self.conference),
            own.route("POST", _TELEPHONY + "/call-out", self.call_out),
            own.route("GET", _SESSION, self.session),
            own.route("DELETE", _SESSION, self.end),
            own.route("POST", _SESSION + "/parties/bring-in", self.bring_in),
            own.route("POST", _SESSION + "/parties/{party}/answer", self.answer),
            own.route("POST", _SESSION + "/parties/{party}/pickup", self.pick_up),
            own.route("POST", _SESSION + "/supervise", self.supervise),
        ]

    async def presence(self, user: Subscriber, _request: Request) -> Any:
        """Answer with the calls of the user's phones."""
        return self._calls.presence(user)

    async def conference(self, user: Subscriber, _request: Request) -> Any:
        """Answer with a new conference."""
        return _made(self._calls.create_conference(user))

    async def call_out(self, user: Subscriber, request: Request) -> Any:
        """Answer with the session of a phone that is rung so that it calls."""
        return _made(self._calls.call_out(user, await read(request, CallOutRequest)))

    async def session(self, _user: Subscriber, request: Request) -> Any:
        """Answer with a session."""
        return self._calls.session(request.path_params["session"])

    async def end(self, _user: Subscriber, request: Request) -> Any:
        """Hang up."""
        self._calls.end_session(request.path_params["session"])
        return Response(status_code=204)

    async def bring_in(self, _user: Subscriber, request: Request) -> Any:
        """Answer with the party that was brought in."""
        wanted = await read(request, BringInRequest)
        party = await self._calls.bring_in(request.path_params["session"], wanted)
        return json_answer(party, status=201)

    async def answer(self, user: Subscriber, request: Request) -> Any:
        """Answer with the party whose phone is rung anew."""
        wanted = await read(request, DeviceRequest)
        path = request.path_params
        return self._calls.answer(user, path["session"], path["party"], wanted.device_id)

    async def pick_up(self, user: Subscriber, request: Request) -> Any:
        """Answer with the party that is rung in addition."""
        wanted = await read(request, DeviceRequest)
        path = request.path_params
        return self._calls.pick_up(user, path["session"], path["party"], wanted.device_id)

    async def supervise(self, user: Subscriber, request: Request) -> Any:
        """Answer with the session of the phone that is to supervise."""
        wanted = await read(request, SuperviseRequest)
        return _made(self._calls.supervise(user, request.path_params["session"], wanted))


def _made(session: SessionDocument) -> Response:
    return json_answer(SessionAnswer(session=session), status=201)
