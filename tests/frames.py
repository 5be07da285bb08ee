"""What the phone writes in each case, and the same as it stands in ``wire/``, one file a frame."""

from collections.abc import Iterator
from pathlib import Path

from agents.sip.events import InviteReceived
from agents.sip.transaction import Send

from .sip_pair import ANSWER, HELD, OFFER
from .sip_service import phone_and_service

WIRE = Path(__file__).parent / "wire"


def read_frame(name: str) -> str:
    """Return a frame of ``wire/``: the files have plain line ends."""
    return (WIRE / f"{name}.txt").read_text("utf-8").replace("\n", "\r\n")


def outbound() -> Iterator[tuple[str, str]]:
    """Yield name and text of what a phone sends as it registers, calls, holds, hangs up and leaves."""
    pair, phone, service = phone_and_service()
    phone.core.connected(pair.now)
    pair.run()
    call = phone.core.invite("102", OFFER, caller_id="16505550101", now=pair.now)
    pair.run()
    other = service.take(InviteReceived).session_id
    service.core.sessions.progress(other, 183, pair.now)
    service.core.sessions.answer(other, ANSWER, pair.now)
    pair.run()
    phone.core.reinvite(call, HELD, pair.now)
    pair.run()
    service.core.sessions.accept_reinvite(other, ANSWER, pair.now)
    pair.run()
    phone.core.hangup(call, pair.now)
    pair.run()
    cancelled = phone.core.invite("102", OFFER, now=pair.now)
    pair.run()
    phone.core.hangup(cancelled, pair.now)
    pair.run()
    phone.core.unregister(pair.now)
    pair.run()
    names = (
        "register register-authorized invite ack-407 invite-authorized ack-200 hold ack-hold bye "
        "- - - cancel - unregister -"
    )
    for name, frame in zip(names.split(), phone.frames, strict=True):
        if name != "-":
            yield name, frame


def inbound() -> Iterator[tuple[str, str]]:
    """Yield name and text of what a phone sends as it is called and answers."""
    _, phone, _ = phone_and_service()
    phone.core.receive(read_frame("inbound-invite"), 1000.0)
    effects = phone.core.effects()
    ringing = next(effect for effect in effects if isinstance(effect, InviteReceived))
    phone.core.answer(ringing.session_id, ANSWER, 1001.0)
    sent = [effect.text for effect in effects + phone.core.effects() if isinstance(effect, Send)]
    yield from zip(("trying", "ringing", "receive-confirm", "answered"), sent, strict=True)


FRAMES = dict([*outbound(), *inbound()])
