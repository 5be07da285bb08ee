"""A client of the REST API: logs in when it first has to, keeps its token fresh, and asks each thing once.

::

    async with RestClient(login) as rest:
        conference = await rest.create_conference()
        await phone.call(conference.voice_call_token)
        await rest.bring_in(conference.id, session_id, party_id)

A request that failed is not repeated, with one exception: one that was refused with 401 has had no effect, so
it is sent once more with a new token.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import msgspec

from shared.clock import monotonic
from shared.errors import MessageError, SharedlineError

from .documents import MadeSession, Party, PhoneNumber, PhoneNumbers, Provision, TelephonySession, TokenAnswer
from .wire import Answer, Wire, login_refusal, refusal

T = TypeVar("T")

SERVER = "https://platform.ringcentral.com"
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TELEPHONY = "/restapi/v1.0/account/~/telephony"
_SHORTEST_FULL_NUMBER = 7
_MARGIN = 60.0  # a token that ends so soon is not used any more
_FAREWELL_TIME = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RestLogin:
    """Who asks whom. ``ca_file``: the only authority to trust, for a service with certificates of its own."""

    client_id: str
    client_secret: str = field(repr=False)
    jwt: str = field(repr=False)
    server: str = SERVER
    ca_file: Path | None = None


@dataclass(slots=True)
class _Tokens:
    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    until: float


class RestClient:
    """One user of the service. Use it with ``async with``, or call :meth:`close`.

    Methods raise :exc:`~shared.errors.ServiceUnreachable`, :exc:`~shared.errors.LoginFailed`,
    :exc:`~shared.errors.RestFailed`, and :exc:`~shared.errors.MessageError` for an answer that is none.
    """

    def __init__(self, login: RestLogin, *, time: float = 10.0) -> None:
        self._login, self._wire = login, Wire(login.server, login.ca_file, time=time)
        self._tokens: _Tokens | None = None
        self._logging_in = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let the tokens be worth nothing, if the service answers soon, and close the connections."""
        tokens, self._tokens = self._tokens, None
        try:
            if tokens is not None:
                with contextlib.suppress(SharedlineError, TimeoutError):
                    async with asyncio.timeout(_FAREWELL_TIME):
                        await self._as_client("/restapi/oauth/revoke", {"token": tokens.access})
        finally:
            await self._wire.close()

    async def provision(self) -> Provision:
        """Make a new device of the user's extension, with credentials of its own to register with."""
        body = {"sipInfo": [{"transport": "WSS"}]}
        path = "/restapi/v1.0/client-info/sip-provision"
        return await self.ask("POST", path, Provision, body=body, what="provisioning")

    async def phone_numbers(self) -> list[PhoneNumber]:
        """Return the numbers of the user's extension; those with the feature ``CallerId`` can be shown."""
        path = "/restapi/v1.0/account/~/extension/~/phone-number?perPage=1000"
        return (await self.ask("GET", path, PhoneNumbers, what="reading the phone numbers")).records

    async def session(self, session_id: str) -> TelephonySession:
        """Return a call or a conference as it is now."""
        return await self.ask("GET", _session(session_id), TelephonySession, what="reading the session")

    async def create_conference(self) -> TelephonySession:
        """Make a conference. Dial its ``voice_call_token`` to be in it."""
        path = f"{_TELEPHONY}/conference"
        made = await self.ask("POST", path, MadeSession, body={}, what="creating a conference")
        return made.session

    async def bring_in(self, conference: str, session_id: str, party_id: str) -> Party:
        """Move a party of another session, which is answered, into the one whose id is ``conference``."""
        path = f"{_session(conference)}/parties/bring-in"
        body = {"sessionId": session_id, "partyId": party_id}
        return await self.ask("POST", path, Party, body=body, what="bringing a party in")

    async def call_out(self, device_id: str, to: str) -> TelephonySession:
        """Have the service ring a device of the user's, which is to answer by itself, and then call ``to``.

        ``to`` is a full number or an extension. The device's program must allow auto answer.
        """
        kind = "extensionNumber" if len(to.removeprefix("+")) < _SHORTEST_FULL_NUMBER else "phoneNumber"
        body = {"from": {"deviceId": device_id}, "to": {kind: to}}
        path = f"{_TELEPHONY}/call-out"
        return (await self.ask("POST", path, MadeSession, body=body, what="calling out")).session

    async def answer_party(self, session_id: str, party_id: str, device_id: str) -> Party:
        """Have a device of the user's, which rings, answer by itself: it is rung anew, and told to."""
        return await self._device_does("answer", session_id, party_id, device_id, "answering")

    async def pick_up(self, session_id: str, party_id: str, device_id: str) -> Party:
        """Have a device of the user's take a call that rings elsewhere."""
        return await self._device_does("pickup", session_id, party_id, device_id, "picking up")

    async def _device_does(
        self, verb: str, session_id: str, party_id: str, device_id: str, what: str
    ) -> Party:
        path = f"{_session(session_id)}/parties/{quote(party_id, safe='')}/{verb}"
        return await self.ask("POST", path, Party, body={"deviceId": device_id}, what=what)

    async def ask(self, method: str, path: str, kind: type[T], *, what: str, body: Any = None) -> T:
        """Ask for anything else. ``what`` names it in errors; the answer is read as ``kind``."""
        answer = await self._as_user(method, path, body)
        if answer.status >= 300:
            raise refusal(answer, what)
        return _decoded(answer, kind, what)

    async def _as_user(self, method: str, path: str, body: Any) -> Answer:
        token = await self._access_token()
        answer = await self._with_token(token, method, path, body)
        if answer.status == 401:
            token = await self._access_token(instead_of=token)
            answer = await self._with_token(token, method, path, body)
        return answer

    async def _with_token(self, token: str, method: str, path: str, body: Any) -> Answer:
        headers = {"Authorization": f"Bearer {token}"}
        if body is None:
            return await self._wire.send(method, path, headers=headers)
        headers["Content-Type"] = "application/json"
        return await self._wire.send(method, path, headers=headers, content=msgspec.json.encode(body))

    async def _access_token(self, *, instead_of: str = "") -> str:
        """Return a token that is good, other than ``instead_of``, which turned out not to be."""
        async with self._logging_in:
            tokens = self._tokens
            if tokens is None or tokens.access == instead_of or tokens.until <= monotonic():
                tokens = self._tokens = await self._new_tokens(tokens)
            return tokens.access

    async def _new_tokens(self, old: _Tokens | None) -> _Tokens:
        if old is not None and old.refresh is not None:
            form = {"grant_type": "refresh_token", "refresh_token": old.refresh}
            answer = await self._as_client("/restapi/oauth/token", form)
            if answer.status == 200:
                return _tokens(answer)
        form = {"grant_type": _JWT_GRANT, "assertion": self._login.jwt}
        answer = await self._as_client("/restapi/oauth/token", form)
        if answer.status != 200:
            raise login_refusal(answer)
        return _tokens(answer)

    async def _as_client(self, path: str, form: dict[str, str]) -> Answer:
        client = (self._login.client_id, self._login.client_secret)
        return await self._wire.send("POST", path, data=form, auth=client)


def _session(session_id: str) -> str:
    return f"{_TELEPHONY}/sessions/{quote(session_id, safe='')}"


def _tokens(answer: Answer) -> _Tokens:
    given = _decoded(answer, TokenAnswer, "the login")
    usable = max(given.expires_in - _MARGIN, given.expires_in / 2)
    return _Tokens(given.access_token, given.refresh_token, monotonic() + usable)


def _decoded(answer: Answer, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise MessageError(
            f"{what}: the service's answer cannot be read ({exc}); is it the right server?"
        ) from exc
