"""A small phone service for tests of the phone: it challenges as RingCentral does, and obeys a test."""

from typing import Any

from agents.sip.digest import Verdict, make_challenge, parse_authorization, verify
from agents.sip.events import InviteReceived, SessionEnded
from agents.sip.message import Message, Request, make_response
from agents.sip.transaction import RequestReceived
from agents.sip.user_agent import UserAgent
from shared.config import Account

from .sip_pair import End, Pair, id_factory, new_sessions

ACCOUNT = Account(
    authorization_id="802396666666",
    domain="sip.test",
    outbound_proxy="127.0.0.1:1",
    username="16505550100*101",
    password="s3cr3t",
)
NONCE = "bm9uY2Utb2YtMzItY2hhcmFjdGVycy0wMQ=="


class Service:
    """A core like the phone's. Set its attributes to make it answer otherwise."""

    def __init__(self) -> None:
        self.sessions = new_sessions("service", first_cseq=100_000_000, repeat_2xx=False)
        self.realm, self.nonces, self.stale = "sip.test", [NONCE], False
        self.algorithm: str | None = None  # of its challenges; None: RingCentral's form
        self.granted, self.contact_params = 60, ""
        self.register_status: tuple[int, str] | None = None  # instead of 200
        self.register_headers: list[tuple[str, str]] = []
        self.challenges_refresh = False
        self.is_known = False
        self.silent = False

    def receive(self, message: Message, now: float) -> None:
        self.now = now
        if not self.silent:
            self.sessions.receive(message, now)

    def tick(self, now: float) -> None:
        self.now = now
        self.sessions.tick(now)

    def next_deadline(self) -> float | None:
        return self.sessions.next_deadline()

    def effects(self) -> list[Any]:
        outputs = []
        for effect in self.sessions.effects():
            if isinstance(effect, RequestReceived) and effect.request.method == "REGISTER":
                self._register(effect)
            elif isinstance(effect, InviteReceived) and not self._is_right(
                effect.request, "Proxy-Authorization"
            ):
                challenge = make_challenge(self.realm, self.nonces[0])
                headers = [("Proxy-Authenticate", challenge)]
                self.sessions.reject(effect.session_id, 407, self.now, headers=headers)
            else:
                outputs.append(effect)
        outputs += self.sessions.effects()
        # A challenged call is none that a test wants to hear of.
        return [one for one in outputs if not (isinstance(one, SessionEnded) and one.status == 407)]

    def _register(self, effect: RequestReceived) -> None:
        request, key = effect.request, effect.key
        contact = request.headers.get("Contact") or ""
        leaves = contact.endswith("expires=0")
        row = contact.rpartition("=")[0] + f"={self.granted}{self.contact_params}"
        headers = [("Contact", row), *self.register_headers]
        if not (self._is_right(request, "Authorization") or (self.is_known and not leaves)):
            challenge = make_challenge(self.realm, self.nonces[0], stale=self.stale, algorithm=self.algorithm)
            self._answer(key, request, 401, None, [("Www-Authenticate", challenge)])
        elif self.register_status is not None and not leaves:
            self._answer(key, request, *self.register_status, self.register_headers)
        else:
            self.is_known = not (leaves or self.challenges_refresh)
            self._answer(key, request, 200, None, [] if leaves else headers)

    def _answer(
        self, key: Any, request: Request, status: int, reason: str | None, headers: list[tuple[str, str]]
    ) -> None:
        response = make_response(request, status, reason, to_tag="srv", headers=headers)
        self.sessions.respond(key, response, self.now)

    def _is_right(self, request: Request, name: str) -> bool:
        value = request.headers.get(name)
        if value is None:
            return False
        verdict = verify(
            parse_authorization(value),
            request.method,
            password={ACCOUNT.authorization_id: ACCOUNT.password}.get,
            realm=self.realm,
            is_nonce_good=lambda nonce, nc: nonce == self.nonces[0],
            body=request.body,
        )
        return verdict is Verdict.ACCEPTED


def phone_and_service(**options: Any) -> tuple[Pair, End, End]:
    """Return a phone that is not connected yet, and its service."""
    phone = UserAgent(
        ACCOUNT, **{"instance_id": "the-instance", "new_id": id_factory("id"), "now": 1000.0, **options}
    )
    left, right = End(phone), End(Service())
    left.takes_text = True
    return Pair(left, right), left, right


def registered_phone(**options: Any) -> tuple[Pair, End, End]:
    """Return a phone that is registered, with all so far taken."""
    pair, phone, service = phone_and_service(**options)
    phone.core.connected(pair.now)
    pair.run()
    assert phone.core.registration_state == "registered"
    for end in (phone, service):
        end.events.clear()
        end.sent.clear()
        end.frames.clear()
    return pair, phone, service
