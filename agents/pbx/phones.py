"""Phones, as the service sees them: one for each instance of an extension, over all of its connections.

A :class:`Phone` outlives its flows. Its SIP sessions stay when a flow closes, and go on over the next flow
that the same instance id registers on: that may be another process, which continues the dialogs. A call whose
phone lost its flow is *adrift* until a request of its dialog comes over the new one. When ``flow_grace`` is
over, a phone that did not come back has lost the call, and one that did is asked (OPTIONS in the dialog)
whether it still knows it.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from agents.sip import events as sip
from agents.sip.address import NameAddr, Uri
from agents.sip.dialog import Endpoint
from agents.sip.message import Message, Request, Response, make_response
from agents.sip.ringcentral import AGENT_CONTENT_TYPE, AgentMessage, Command
from agents.sip.sessions import METHODS, Sessions
from agents.sip.transaction import RequestReceived, ResponseReceived, Send, TimedOut, TransactionKey
from shared.errors import SipError
from shared.log import log

from .accounts import NumberPlan, Subscriber
from .dialect import Caller, CallName, agent_message, has_to_tag, invitation
from .gate import Gate, Refusal, Verdict
from .legs import Ends, Leg
from .media.board import Board
from .phone_leg import PhoneLeg
from .registrar import Binding
from .settings import SimulatorSettings

#: The SDKs match answers by number alone, so ours must never meet theirs.
FIRST_CSEQ = 218_000_000
_REMEMBERED_REQUESTS = 256


class Exchange(Protocol):
    """The service, as a phone uses it."""

    domain: str
    plan: NumberPlan
    gate: Gate
    flow_grace: float
    board: Board
    settings: SimulatorSettings

    def now(self) -> float:
        """Return monotonic seconds."""

    def new_id(self) -> str:
        """Return an id that nobody can guess, never twice."""

    def send(self, flow: str, text: str) -> bool:
        """Post a frame; False if the flow is closed."""

    def record(self, event: str, **facts: Any) -> object:
        """Write a ledger entry."""

    def is_registered(self, flow: str) -> bool:
        """Return whether somebody is registered on a flow."""

    def refusal(self, method: str, extension: str | None, flow: str, call_id: str) -> Refusal | None:
        """Return how a request must be refused, because of a fault; None if it need not."""

    def changed(self, phone: "Phone") -> None:
        """Note that a phone has effects to drain."""

    def place(self, caller: Leg, dialled: str, who: Caller, name: CallName) -> Ends:
        """Start a call from ``caller`` to the number ``dialled``."""


@dataclass(frozen=True, slots=True)
class _Sender:
    """Where a request came from, so that its answers go there."""

    flow: str
    registered: bool


class Phone:
    """One instance of an extension."""

    def __init__(
        self, exchange: Exchange, subscriber: Subscriber, instance_id: str, endpoint: Endpoint
    ) -> None:
        self.subscriber, self.instance_id = subscriber, instance_id
        self.legs: dict[str, PhoneLeg] = {}
        self.flow: str | None = None
        self.contact: Uri | None = None
        self.exchange = exchange
        self._endpoint = endpoint
        self._flows: list[str] = []  # open ones, the newest last
        self.sessions = Sessions(
            endpoint, new_id=exchange.new_id, first_cseq=FIRST_CSEQ, repeat_2xx=False, max_sessions=256
        )
        self._senders: OrderedDict[tuple[str, str, int], _Sender] = OrderedDict()
        self._cseq = FIRST_CSEQ
        self._told: dict[TransactionKey, Callable[[], None]] = {}  # what follows an answer

    @property
    def extension(self) -> str:
        """The extension's number."""
        return self.subscriber.extension.number

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left of it but the memory."""
        return not self._flows and not self.legs and self.sessions.next_deadline() is None

    def reached(self, binding: Binding) -> None:
        """Take that the instance has registered on a flow, perhaps with the credentials of another device."""
        self.subscriber = self.exchange.plan.by_authorization_id(binding.authorization_id) or self.subscriber
        if self.flow is not None and self.flow != binding.flow:
            self._unsettle("replaced")
        self.flow, self.contact = binding.flow, binding.contact
        if binding.flow not in self._flows:
            self._flows.append(binding.flow)

    def flow_closed(self, flow: str) -> None:
        """Take that a connection is gone; calls that are not answered end with the current one."""
        if flow in self._flows:
            self._flows.remove(flow)
        if flow == self.flow:
            self.flow = None
            self._unsettle("flow closed")
            self.sessions.disconnected(self.exchange.now())
            self.exchange.changed(self)

    def receive(self, flow: str, message: Message) -> None:
        """Take a message that came over one of its flows."""
        now = self.exchange.now()
        self._record_in(flow, message)
        if isinstance(message, Request):
            self._remember(flow, message)
        try:
            self.sessions.receive(message, now)
        finally:
            self.exchange.changed(self)

    def tick(self, now: float) -> None:
        """Let time pass."""
        self.sessions.tick(now)
        for leg in list(self.legs.values()):
            if leg.adrift_until is not None and leg.adrift_until <= now:
                leg.grace_over()

    def next_deadline(self) -> float | None:
        """Return when to call :meth:`tick`, or None while there is no timer."""
        times = [leg.adrift_until for leg in self.legs.values()] + [self.sessions.next_deadline()]
        return min((at for at in times if at is not None), default=None)

    def drain(self) -> None:
        """Send what is to be sent, and tell the legs what happened."""
        for effect in self.sessions.effects():
            if isinstance(effect, Send):
                self._send(effect)
            elif isinstance(effect, sip.InviteReceived):
                self._invited(effect)
            elif isinstance(effect, RequestReceived):
                self._requested(effect)
            elif isinstance(effect, ResponseReceived | TimedOut):
                self._answered(effect)
            elif leg := self.legs.get(effect.session_id):
                leg.happened(effect)

    def invite(self, name: CallName, caller: Caller, offer: str, sip_call_id: str, *, place: int = 2) -> str:
        """Send it the INVITE of a call, and return the session's id. ``place``: which party it is.

        Raises:
            SipError: If the offer or the caller's name cannot be written into a message.
        """
        exchange = self.exchange
        request_id = f"{{{exchange.new_id().upper()}}}"
        from_, to, headers = invitation(
            name, caller, self.subscriber, domain=exchange.domain, request_id=request_id, place=place
        )
        exchange.changed(self)
        return self.sessions.invite(
            str(self.contact),
            from_=from_,
            to=to,
            sdp=offer,
            now=exchange.now(),
            headers=headers,
            call_id=sip_call_id,
        )

    def tell(
        self,
        name: CallName,
        command: Command,
        *,
        body: Mapping[str, str] | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Send an agent message about a call; to a phone that cannot be reached, nothing.

        ``then`` is called when the phone has answered, or will not.
        """
        if self.flow is None or self.contact is None:
            if then is not None:
                then()
            return
        self._cseq += 1
        message = agent_message(
            name,
            self.subscriber,
            command,
            target=str(self.contact),
            domain=self.exchange.domain,
            endpoint=self._endpoint,
            new_id=self.exchange.new_id(),
            cseq=self._cseq,
            body=body,
        )
        key = self.sessions.request(message, self.exchange.now())
        if then is not None:
            self._told[key] = then
        self.exchange.changed(self)

    def facts(self, flow: str | None = None) -> dict[str, Any]:
        """Return who it is, for a ledger entry."""
        return {
            "extension": self.extension,
            "instance_id": self.instance_id,
            "flow": flow if flow is not None else self.flow,
        }

    def _unsettle(self, reason: str) -> None:
        for leg in self.legs.values():
            leg.unsettle(reason)

    def _remember(self, flow: str, request: Request) -> None:
        via = request.via
        sender = _Sender(flow, self.exchange.is_registered(flow))
        # An ACK or CANCEL of the same branch came over the same flow.
        self._senders[via.branch, via.sent_by, request.cseq.number] = sender
        while len(self._senders) > _REMEMBERED_REQUESTS:
            self._senders.popitem(last=False)
        if flow == self.flow and request.method not in ("ACK", "CANCEL") and has_to_tag(request):
            for leg in self.legs.values():
                if leg.sip_call_id == request.call_id:
                    leg.settle()

    def _sender(self, message: Message) -> _Sender | None:
        via = message.via
        return self._senders.get((via.branch, via.sent_by, message.cseq.number))

    def _send(self, effect: Send) -> None:
        flow = self._way(effect.message)
        message = effect.message
        if flow is not None and self.exchange.send(flow, effect.text):
            facts = self._message_facts(flow, message)
            event = message.method if isinstance(message, Request) else "RESPONSE"
        else:
            facts = self._message_facts(None, message)
            facts["reason"] = f"{effect.method}: no flow"
            event = "UNDELIVERED"
        self.exchange.record(event, direction="out", **facts)

    def _way(self, message: Message) -> str | None:
        """Return the flow to send on: answers go back, requests to the binding's holder (RFC 5626 §5.3)."""
        if isinstance(message, Response):
            sender = self._sender(message)
            return sender.flow if sender else self.flow
        return self.flow or (self._flows[-1] if self._flows else None)

    def _invited(self, event: sip.InviteReceived) -> None:
        now, exchange = self.exchange.now(), self.exchange
        sender = self._sender(event.request)
        session = event.session_id
        if sender is None or not sender.registered:
            self.sessions.reject(session, 403, now)
            exchange.changed(self)
            return
        refusal = exchange.refusal("INVITE", self.extension, sender.flow, event.request.call_id)
        if refusal is not None:
            status, reason, headers = refusal.status, refusal.reason, refusal.headers
            self.sessions.reject(session, status, now, reason=reason, headers=headers)
            exchange.changed(self)
            return
        given = event.request.headers.get("Proxy-Authorization")
        verdict, user = exchange.gate.check(given, event.request, sender.flow, now)
        if verdict in (Verdict.MISSING, Verdict.STALE):
            challenge = exchange.gate.challenge(sender.flow, now, stale=verdict is Verdict.STALE)
            self.sessions.reject(session, 407, now, headers=[("Proxy-Authenticate", challenge)])
        elif verdict is Verdict.WRONG or not self._is_own(user):
            self.sessions.reject(session, 403, now)
        elif (dialled := _dialled(event.request)) is None:
            self.sessions.reject(session, 400, now)
        else:
            self._place(event, dialled)
        exchange.changed(self)

    def _is_own(self, authorization_id: str) -> bool:
        """Whether credentials are of this extension; a flow that was replaced may have others than ours."""
        device = self.exchange.plan.by_authorization_id(authorization_id)
        return device is not None and device.extension.number == self.extension

    def _place(self, event: sip.InviteReceived, dialled: str) -> None:
        request = event.request
        name = CallName(self.exchange.new_id())
        leg = PhoneLeg(self, name, is_caller=True, session_id=event.session_id, sip_call_id=request.call_id)
        leg.offered, leg.replaces = event.sdp, request.headers.get("Replaces") or ""
        self.legs[event.session_id] = leg
        leg.number = self.subscriber.extension.direct_number
        leg.ends = self.exchange.place(leg, dialled, self._caller_of(request), name)

    def _caller_of(self, request: Request) -> Caller:
        """Return whom the callee shall see: the asserted number if it is one, else the direct number."""
        number = self.subscriber.extension.direct_number
        try:
            asserted = NameAddr.parse(request.headers.get("P-Asserted-Identity") or "").uri.user or ""
        except SipError:
            asserted = ""
        if asserted.removeprefix("+").isdecimal() and asserted.isascii():
            number = asserted
        return Caller(number, self.subscriber.extension.display_name)

    def _requested(self, effect: RequestReceived) -> None:
        """Answer a request outside of calls (RFC 3261 §8.2.1)."""
        now, request = self.exchange.now(), effect.request
        headers = [("Allow", ", ".join(METHODS))]
        if request.method == "MESSAGE":
            self.sessions.respond(effect.key, make_response(request, 100), now)
            response = make_response(request, 200, to_tag=self.exchange.new_id())
        else:
            status = 200 if request.method == "OPTIONS" else 405
            response = make_response(request, status, to_tag=self.exchange.new_id(), headers=headers)
        self.sessions.respond(effect.key, response, now)
        self.exchange.changed(self)

        if request.headers.get("Content-Type") == AGENT_CONTENT_TYPE:
            self._commanded(request)

    def _commanded(self, request: Request) -> None:
        """Have a call do what the phone, ringing with it, asked for."""
        try:
            message = AgentMessage.parse(request.body)
        except SipError as exc:
            log.warning("phone.bad_agent_message", extension=self.extension, reason=exc.reason)
            return
        for leg in list(self.legs.values()):
            rings = not leg.is_caller and leg.state == "ringing"
            if rings and leg.call_id.sid == message.sid and leg.ends is not None:
                leg.ends.commanded(leg, message)

    def _answered(self, effect: ResponseReceived | TimedOut) -> None:
        """Take the answer to what :meth:`tell` has sent."""
        if isinstance(effect, TimedOut) or effect.response.status >= 200:
            then = self._told.pop(effect.key, None)
            if then is not None:
                then()

    def _record_in(self, flow: str, message: Message) -> None:
        event = message.method if isinstance(message, Request) else "RESPONSE"
        facts = self._message_facts(flow, message)
        if isinstance(message, Request) and facts["kind"] == "initial":
            facts["number"] = _dialled(message)
        self.exchange.record(event, direction="in", **facts)

    def _message_facts(self, flow: str | None, message: Message) -> dict[str, Any]:
        facts = self.facts(flow) | {"call_id": message.call_id, "cseq": message.cseq.number}
        leg = next((leg for leg in self.legs.values() if leg.sip_call_id == message.call_id), None)
        if leg is not None:
            facts |= {"leg": leg.name, "call": leg.call_name}
        if isinstance(message, Response):
            return facts | {"method": message.cseq.method, "status": message.status, "reason": message.reason}
        kind = ("reinvite" if has_to_tag(message) else "initial") if message.method == "INVITE" else None
        return facts | {"via_host": message.via.sent_by, "kind": kind}


def _dialled(request: Request) -> str | None:
    """Return the number that is called; None if the Request-URI cannot be read."""
    try:
        return Uri.parse(request.uri).user or ""
    except SipError:
        return None
