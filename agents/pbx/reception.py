"""Where messages come in: each goes to the registrar, or to the phone that is registered on its connection.

Nothing but REGISTER is for strangers.
"""

from typing import TYPE_CHECKING, Any

from agents.sip.message import Message, Request, make_response
from agents.sip.refusal import refuse
from shared.errors import SharedlineError, SipError
from shared.log import log

from . import registrar as registration
from .dialect import has_to_tag

if TYPE_CHECKING:
    from .service import Simulator


class Reception:
    """See :class:`~agents.pbx.server.FlowUser`."""

    def __init__(self, service: "Simulator") -> None:
        self._service = service

    def flow_opened(self, flow: str) -> None:
        """Note a new connection."""
        self._service.faults.flow_opened(flow)
        self._service.record("FLOW_OPENED", flow=flow)

    def flow_closed(self, flow: str, reason: str) -> None:
        """Let its bindings be unreachable and its calls adrift."""
        service = self._service
        phone = service.phones.at(flow)
        who = self._who(flow)
        facts = {} if phone is None else phone.facts(flow) | who
        service.registrar.flow_closed(flow, service.now())
        if phone is not None:
            facts |= service.registrar.counts(phone.extension)
        service.record("FLOW_CLOSED", **({"flow": flow, "reason": reason} | facts))
        self.drain()
        service.phones.flow_closed(flow)
        service.faults.flow_closed(flow)

    def flow_refused(self, reason: str, count: int) -> None:
        """Note connections that did not become WebSockets."""
        self._service.record("FLOW_REFUSED", reason=reason, count=count if count > 1 else None)

    def bad_frame(self, flow: str, reason: str) -> None:
        """Note what is not SIP."""
        self._service.record("BAD_FRAME", reason=reason, **({"flow": flow} | self._who(flow)))

    def is_registered(self, flow: str) -> bool:
        """Return whether somebody is registered on a flow."""
        return self._service.is_registered(flow)

    def message_received(self, flow: str, message: Message) -> None:
        """Take a SIP message. What goes wrong with it stays with it."""
        try:
            self._take(flow, message)
        except SipError as exc:
            log.warning("flow.bad_message", flow=flow, reason=exc.reason)
            self.bad_frame(flow, exc.reason)
            self._answer_badly(flow, message, exc.reason)
        except SharedlineError as exc:
            log.warning("flow.message_failed", flow=flow, reason=str(exc))
        except Exception:
            log.exception("flow.message_crashed", flow=flow)
        self.drain()
        self._service.phones.pump()

    def drain(self) -> None:
        """Do what the registrar wants done."""
        for effect in self._service.registrar.effects():
            if isinstance(effect, registration.Reply):
                self._service.send(effect.flow, effect.response.encode())
            elif isinstance(effect, registration.Note):
                self._service.ledger.record(effect.event, **effect.facts)
            else:
                self._reached(effect.binding)

    # -- the parts

    def _who(self, flow: str) -> dict[str, Any]:
        """Return who is registered on a flow, for a ledger entry."""
        who = self._service.registrar.identity(flow)
        if who is None:
            return {}
        return {"extension": who.extension, "instance_id": who.instance_id, "via_host": who.via_host}

    def _take(self, flow: str, message: Message) -> None:
        if isinstance(message, Request) and message.method == "REGISTER":
            self._register(flow, message)
        elif phone := self._service.phones.at(flow):
            phone.receive(flow, message)
        elif isinstance(message, Request):
            self._turn_away(flow, message)

    def _register(self, flow: str, request: Request) -> None:
        service = self._service
        claimed = service.plan.by_username(request.to.uri.user or "")
        extension = claimed.extension.number if claimed else None
        refusal = service.refusal("REGISTER", extension, flow, request.call_id)
        service.registrar.register(request, flow, service.now(), refusal=refusal)

    def _reached(self, binding: registration.Binding) -> None:
        self._service.server.know(binding.flow)
        phone = self._service.phones.reached(binding)
        for call in self._service.live_calls():
            call.phone_reached(phone)

    def _answer_badly(self, flow: str, message: Message, reason: str) -> None:
        """Answer 400 where nobody else has."""
        answer = None if self._has_answered(flow, message) else refuse(message.encode(), SipError(reason))
        if answer is not None:
            self._service.send(flow, answer.encode())

    def _has_answered(self, flow: str, message: Message) -> bool:
        """Whether a phone's sessions have answered by themselves: for that, they must know the way back."""
        if message.cseq.method == "REGISTER" or self._service.phones.at(flow) is None:
            return False
        try:
            return isinstance(message, Request) and bool(message.via)
        except SipError:
            return False

    def _turn_away(self, flow: str, request: Request) -> None:
        """Answer who has not registered."""
        facts = {"flow": flow, "call_id": request.call_id, "cseq": request.cseq.number}
        self._service.record(request.method, direction="in", via_host=request.via.sent_by, **facts)
        if request.method == "ACK":
            return
        status = 481 if request.method in ("BYE", "CANCEL") or has_to_tag(request) else 403
        response = make_response(request, status, to_tag=self._service.new_id())
        facts |= {"method": request.method, "status": status, "reason": response.reason}
        self._service.record("RESPONSE", direction="out", **facts)
        self._service.send(flow, response.encode())
