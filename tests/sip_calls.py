"""Calls of a phone with its service, as many tests begin."""

from agents.sip.events import InviteReceived, SessionAnswered, SessionConfirmed, SessionEnded
from agents.sip.message import Request
from agents.sip.transaction import Send
from agents.sip.user_agent import UserAgent

from .frames import read_frame
from .sip_pair import ANSWER, OFFER, End, Pair, id_factory
from .sip_service import ACCOUNT, registered_phone


def outgoing_call(pair: Pair, phone: End, service: End, *, answer: bool = True) -> tuple[str, str]:
    """Return the phone's and the service's session id of a call that the phone made."""
    call = phone.core.invite("102", OFFER, now=pair.now)
    pair.run()
    other = service.take(InviteReceived).session_id
    if answer:
        service.core.sessions.answer(other, ANSWER, pair.now)
        pair.run()
        service.take(SessionConfirmed)
        phone.take(SessionAnswered)
    return call, other


def incoming_call(pair: Pair, phone: End, service: End) -> tuple[str, str]:
    """Return the phone's and the service's session id of a call that rings at the phone."""
    other = service.core.sessions.invite(
        "sip:us@x", from_="<sip:102@sip.test>", to="<sip:101@sip.test>", sdp=OFFER, now=pair.now
    )
    pair.run()
    return phone.take(InviteReceived).session_id, other


def successor_of(phone: End, service: End, call: str) -> tuple[Pair, End]:
    """Return the user agent of another process that goes on with a call, and its wire; not connected yet."""
    successor = UserAgent(ACCOUNT, instance_id="the-instance", new_id=id_factory("new"), now=1000.0)
    successor.restore_session(phone.core.export_session(call))
    end = End(successor, takes_text=True)
    return Pair(end, service), end


def ringing_phone() -> tuple[End, InviteReceived]:
    """Return a phone that rings with RingCentral's INVITE, and the event."""
    _, phone, _ = registered_phone()
    phone.core.receive(read_frame("inbound-invite"), 1000.0)
    effects = phone.core.effects()
    phone.sent += [effect.method for effect in effects if isinstance(effect, Send)]
    (event,) = (effect for effect in effects if isinstance(effect, InviteReceived))
    return phone, event


def ends_of(phone: End) -> list[SessionEnded]:
    return [event for event in phone.events if isinstance(event, SessionEnded)]


def answered_without_ack(pair: Pair, phone: End, service: End) -> tuple[str, str]:
    """Let the service call the phone, which answers; its 200 arrives, and the ACK does not."""
    call, other = incoming_call(pair, phone, service)
    pair.drops = lambda message: isinstance(message, Request) and message.method == "ACK"
    phone.core.answer(call, ANSWER, pair.now)
    pair.run()
    assert isinstance(service.events[-1], SessionAnswered)
    pair.drops = lambda _: False
    return call, other
