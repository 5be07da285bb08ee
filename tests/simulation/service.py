"""The phone service: a registrar of one extension, and far ends that call, answer and hang up."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from agents.pbx.dialect import has_to_tag
from agents.pbx.ledger import Entry
from agents.sip.address import Uri
from agents.sip.events import InviteReceived, ReinviteReceived, SessionAnswered, SessionEnded
from agents.sip.message import Message, Request, make_response, parse
from agents.sip.transaction import RequestReceived, Send
from shared.errors import ServiceUnreachable, SipError
from tests.fakes import FAR_ANSWER, FAR_OFFER
from tests.sip_pair import new_sessions

from .world import Machine, World

EXTENSION = "101"
_TICK = 0.25


class Flow:
    """One connection, as the service sees it; it is the process' socket, too."""

    def __init__(self, service: "Service", machine: Machine) -> None:
        self.service, self.machine = service, machine
        self.name = f"f{service.world.number()}"
        self.is_open = True
        self._inbox: deque[str] = deque()
        self._news = asyncio.Event()
        machine.deaths.append(lambda: service.world.later(0.0005, self.cut))

    # -- the process' side, like SipSocket's

    def __aiter__(self) -> AsyncIterator[str]:
        return self._frames()

    async def _frames(self) -> AsyncIterator[str]:
        while self.is_open or self._inbox:
            if self._inbox:
                yield self._inbox.popleft()
            else:
                self._news.clear()
                await self._news.wait()

    async def send(self, text: str) -> None:
        """Send one message to the service."""
        if not self.is_open:
            raise ServiceUnreachable("the connection was lost")
        if self.machine.sends():
            self.service.world.later(0.0003, lambda: self.service.take(self, text))

    async def close(self) -> None:
        """Close the connection."""
        self.cut()

    @property
    def peer(self) -> tuple[str, int]:
        """Who is at the other end."""
        return ("127.0.0.1", 9)

    @property
    def closed_because(self) -> str:
        """Why it ended."""
        return "" if self.is_open else "cut off"

    # -- the service's side

    def deliver(self, text: str) -> None:
        """Send one message to the process."""
        if self.is_open and self.machine.is_alive:
            self.service.world.later(0.0003, lambda: self._arrived(text))

    def cut(self) -> None:
        """End the connection."""
        if self.is_open:
            self.is_open = False
            self.service.closed(self)
            self._wake()

    def _arrived(self, text: str) -> None:
        self._inbox.append(text)
        self._wake()

    def _wake(self) -> None:
        if self.machine.is_alive:
            self.machine.loop.call_soon(self._news.set)


class Service:
    """The registrar and all far ends."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger: list[Entry] = []
        self.binding: Flow | None = None
        self.bindings: dict[str, Flow] = {}  # by instance id
        self.far = new_sessions("far")
        self._contact = ""
        self._calls: dict[str, str] = {}  # the ledger's name of a call by the far session
        self._by_call_id: dict[str, str] = {}
        self._held: set[str] = set()
        self._adrift: set[str] = set()
        self.world.later(_TICK, self._tick)

    def record(self, event: str, **facts: Any) -> None:
        """Write one line."""
        reachable = sum(flow.is_open for flow in self.bindings.values())
        counts = {"bindings": len(self.bindings), "reachable": reachable} if "extension" in facts else {}
        self.ledger.append(Entry(at=self.world.now, boottime=self.world.now, event=event, **(facts | counts)))

    def connect(self, machine: Machine) -> Flow:
        """Open a connection."""
        flow = Flow(self, machine)
        self.record("FLOW_OPENED", flow=flow.name)
        return flow

    def closed(self, flow: Flow) -> None:
        """Note that a connection is gone, and what hung on it."""
        self.record("FLOW_CLOSED", flow=flow.name)
        if flow in self.bindings.values():
            self.record("BINDING_UNREACHABLE", flow=flow.name, **self._who(flow))
            for session in self.far.live():
                call = self._calls.get(session.session_id, "")
                if session.is_confirmed and call in self._by_call_id.values() and call not in self._adrift:
                    self._adrift.add(call)
                    self.record("LEG_ADRIFT", call=call, flow=flow.name, extension=EXTENSION)

    # -- what far ends do

    def ring(self) -> None:
        """Let somebody call."""
        if self.binding is None or not self.binding.is_open:
            return
        number = self.world.number()
        headers = [("p-rc-api-ids", f"party-id=p-{number}-2;session-id=s-{number}")]
        session = self.far.invite(
            self._contact,
            from_="Ada <sip:+16505550123@sip.test>",
            to="<sip:101@sip.test>",
            sdp=FAR_OFFER,
            now=self.world.now,
            headers=headers,
        )
        self._calls[session] = self._by_call_id[self.far.session(session).call_id] = f"c{number}"
        facts = {"call": f"c{number}", "leg": f"r{number}", "session_id": f"s-{number}"}
        self.record("CALL_STARTED", number=EXTENSION, **facts)
        self._drain()

    def hang_up(self) -> None:
        """Let a far end hang up."""
        if live := self.far.live():
            session = self.world.random.choice(live).session_id
            self.record("BYE", direction="out", call=self._calls.get(session, ""), extension=EXTENSION)
            self.far.hangup(session, self.world.now)
            self._drain()

    # -- messages

    def take(self, flow: Flow, text: str) -> None:
        """Take a message from a connection."""
        if not flow.is_open and flow not in self.bindings.values():
            return
        message = parse(text)
        self._record_in(flow, message)
        if isinstance(message, Request) and message.method == "REGISTER":
            self._register(flow, message)
            return
        try:
            self.far.receive(message, self.world.now)
        except SipError as exc:
            self.world.failures.append(f"unreadable: {exc}")
        self._drain()

    def _register(self, flow: Flow, request: Request) -> None:
        contact = request.headers.get("Contact") or ""
        instance = contact.partition("+sip.instance=")[2].split(";")[0].strip('"<>') or "none"
        before = self.bindings.get(instance)
        gone = "expires=0" in contact.replace(" ", "") or request.headers.get("Expires") == "0"
        granted = contact if gone else f"{contact};expires=60"
        response = make_response(request, 200, to_tag="r", headers=[("Contact", granted)])
        flow.deliver(response.encode())
        who = {"instance_id": instance, "extension": EXTENSION, "flow": flow.name}
        if gone:
            if before is flow:
                del self.bindings[instance]
                self.binding = None
            self.record("UNREGISTER", status=200, **who)
            return
        self.bindings[instance] = self.binding = flow
        self._contact = contact.split(">")[0].lstrip("<")
        self.record("REGISTER", direction="in", status=200, via_host=request.via.sent_by, **who)
        if before is not flow:
            self.record("BINDING_ADDED" if before is None else "BINDING_REPLACED", **who)

    def _record_in(self, flow: Flow, message: Message) -> None:
        facts: dict[str, Any] = {"direction": "in", "flow": flow.name, "extension": EXTENSION}
        facts["call_id"] = message.call_id
        if call := self._by_call_id.get(message.call_id):
            facts["call"] = call
        if not isinstance(message, Request):
            self.record("RESPONSE", status=message.status, method=message.cseq.method, **facts)
            return
        facts["via_host"] = message.via.sent_by
        if message.method == "INVITE":
            facts["kind"] = "reinvite" if has_to_tag(message) else "initial"
            facts["number"] = Uri.parse(message.uri).user
            if has_to_tag(message) and call:
                self._adrift.discard(call)
                self.record("LEG_CONTINUED", call=call, extension=EXTENSION, flow=flow.name)
        if message.method != "REGISTER":
            self.record(message.method, **facts)

    def _drain(self) -> None:
        while effects := self.far.effects():
            for effect in effects:
                self._do(effect)

    def _do(self, effect: Any) -> None:
        match effect:
            case Send():
                if self.binding is not None:
                    self.binding.deliver(effect.text)
            case InviteReceived():
                self._dialled(effect)
            case ReinviteReceived():
                held = effect.direction in ("sendonly", "inactive")
                if held != (effect.session_id in self._held):
                    self._held ^= {effect.session_id}
                    self.record("LEG_HELD" if held else "LEG_UNHELD", **self._leg(effect.session_id))
                self.far.accept_reinvite(effect.session_id, FAR_ANSWER, self.world.now)
            case SessionAnswered():
                self.record("CALL_ANSWERED", **self._leg(effect.session_id))
            case SessionEnded():
                self.record("CALL_ENDED", call=self._calls.get(effect.session_id), reason=effect.cause)
            case RequestReceived():
                self.far.respond(effect.key, make_response(effect.request, 200, to_tag="far"), self.world.now)

    def _dialled(self, event: InviteReceived) -> None:
        number = self.world.number()
        call, session = f"c{number}", event.session_id
        self._calls[session] = self._by_call_id[event.request.call_id] = call
        target = Uri.parse(event.request.uri).user
        self.record("CALL_STARTED", call=call, leg=f"101-{number}", number=target, session_id=f"s-{number}")
        ids = [("p-rc-api-ids", f"party-id=p-{number}-1;session-id=s-{number}")]
        self.far.progress(session, 183, self.world.now, headers=ids)
        self.world.later(self.world.random.uniform(0.01, 0.5), lambda: self._pick_up(session, call, ids))

    def _pick_up(self, session: str, call: str, ids: list[tuple[str, str]]) -> None:
        if session in {live.session_id for live in self.far.live()}:
            self.far.answer(session, FAR_ANSWER, self.world.now, headers=ids)
            self.record("CALL_ANSWERED", call=call, leg=f"r{call}")
            self._drain()

    def _leg(self, session: str) -> dict[str, Any]:
        call = self._calls.get(session, "")
        return {"call": call, "leg": f"{EXTENSION}-{call}", "extension": EXTENSION}

    def _who(self, flow: Flow) -> dict[str, Any]:
        instance = next(name for name, bound in self.bindings.items() if bound is flow)
        return {"extension": EXTENSION, "instance_id": instance}

    def _tick(self) -> None:
        self.far.tick(self.world.now)
        self._drain()
        self.world.later(_TICK, self._tick)
