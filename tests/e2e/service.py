"""A simulated service in the test's own process, with phones, robots and strangers: what its tests share."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from agents.media.analysis import find_tone, similarity
from agents.media.base import Sink, Source
from agents.media.files import read_wav
from agents.pbx import Simulator, SimulatorSettings
from agents.pbx.client import ControlClient
from agents.pbx.ledger import Entry, read_ledger
from agents.pbx.views import RobotView
from agents.sip.events import InviteReceived, ReinviteDone, SessionAnswered, SessionConfirmed
from agents.sip.registration import RegistrationChanged
from agents.sip.sdp import Sdp

from .sip_phone import SipPhone

WITHIN = 20.0
Story = Callable[[Simulator], Awaitable[None]]


def simulate(directory: Path, story: Story, **settings: Any) -> list[Entry]:
    """Run ``story`` with a service, and return what its ledger says."""

    async def main() -> None:
        made = SimulatorSettings(directory=directory, **settings)
        async with asyncio.timeout(90), Simulator(made) as simulator:
            await story(simulator)

    asyncio.run(main())
    return read_ledger(directory / "ledger.ndjson")


def of(entries: list[Entry], event: str, **facts: Any) -> list[Entry]:
    """Return the entries of one event that have these facts."""
    return [
        entry
        for entry in entries
        if entry.event == event and all(getattr(entry, name) == value for name, value in facts.items())
    ]


async def happens(simulator: Simulator, event: str, **facts: Any) -> Entry:
    """Return the ledger's first entry of ``event`` that has these facts, as soon as it is there."""
    return await simulator.wait_for(lambda entry: bool(of([entry], event, **facts)), within=WITHIN)


# -- phones and robots


def phone_of(simulator: Simulator, extension: str = "101", instance_id: str | None = None) -> SipPhone:
    """Return a phone that is not registered yet: ``async with`` registers and closes it."""
    return SipPhone(simulator.account_path(extension), instance_id=instance_id)


def controlled(simulator: Simulator) -> ControlClient:
    """Return a client of the control API."""
    return ControlClient.from_directory(simulator.settings.directory)


async def refresh(phone: SipPhone) -> None:
    """Register again on the same connection."""
    await phone.do(phone.core._registration.register)
    await phone.wait(RegistrationChanged, lambda event: event.state == "registered")


async def dial(phone: SipPhone, number: str, source: Source | None = None, sink: Sink | None = None) -> str:
    """Call a number, and return the session's id."""
    offer = await phone.sound(source, sink).offer()
    return await phone.do(lambda now: phone.core.invite(number, offer, now=now))


async def apply(phone: SipPhone, answered: SessionAnswered | None = None) -> None:
    """Connect with who has answered, or does so now."""
    if answered is None:
        answered = await phone.wait(SessionAnswered)
    assert phone.media is not None
    await phone.media.apply(answered.sdp)


async def answer(
    phone: SipPhone, call: InviteReceived, source: Source | None = None, sink: Sink | None = None
) -> None:
    """Answer a call that rings."""
    sdp = await phone.sound(source, sink).answer(call.sdp)
    await phone.do(lambda now: phone.core.answer(call.session_id, sdp, now))


async def hang_up(phone: SipPhone, session: str) -> None:
    """End a call."""
    await phone.do(lambda now: phone.core.hangup(session, now))


async def reinvite(phone: SipPhone, session: str, offer: str) -> ReinviteDone:
    """Offer other sound in a call, and return what comes of it."""
    await phone.do(lambda now: phone.core.reinvite(session, offer, now))
    return await phone.wait(ReinviteDone)


async def direct(phone: SipPhone, session: str, direction: Any) -> ReinviteDone:
    """Change the direction of a call's sound, as hold and its end do."""
    assert phone.media is not None
    sdp = Sdp.parse(phone.media.local_sdp or "").with_direction(direction)
    return await reinvite(phone, session, sdp.encode())


async def talk_with_robot(
    control: ControlClient, phone: SipPhone, source: Source | None = None, sink: Sink | None = None
) -> tuple[RobotView, str]:
    """Have a robot call the phone of 101, which answers; return the robot and the phone's session."""
    robot = await control.call("101")
    call = await phone.wait(InviteReceived)
    await answer(phone, call, source, sink)
    await phone.wait(SessionConfirmed)
    return robot, call.session_id


async def talk(caller: SipPhone, callee: SipPhone, number: str = "102") -> tuple[str, str]:
    """Have one phone call the other; return the session of either."""
    dialled = await dial(caller, number)
    call = await callee.wait(InviteReceived)
    await answer(callee, call)
    await apply(caller)
    await callee.wait(SessionConfirmed)
    return dialled, call.session_id


async def take_over(phone: SipPhone, dialog: dict[str, Any]) -> str:
    """Go on with a call of another process, with sound of one's own; return the session."""
    session = phone.core.restore_session(dialog)
    offer = await phone.sound().offer()
    done = await reinvite(phone, session, offer)
    assert done.status == 200
    assert phone.media is not None
    await phone.media.apply(done.sdp)
    return session


def check_sound(recording: Path, original: Path, tone_hz: float) -> None:
    """Assert that a recording is of a WAV file, which begins or ends with a tone."""
    heard, said = read_wav(recording), read_wav(original)
    assert find_tone(heard, tone_hz) is not None
    assert similarity(said, heard).score > 0.8


# -- strangers


async def raw(simulator: Simulator, *, subprotocol: str | None = "sip") -> Any:
    """Return a WebSocket on which nobody is registered."""
    context = ssl.create_default_context(cafile=str(simulator.settings.directory / "ca.pem"))
    subprotocols = [Subprotocol(subprotocol)] if subprotocol else None
    return await connect(
        f"wss://127.0.0.1:{simulator.wss_port}", ssl=context, subprotocols=subprotocols, proxy=None
    )


def register_text(number: int = 1, *, name: str = "a", extra: str = "") -> str:
    """Return a REGISTER without credentials, as it is on the wire."""
    return (
        "REGISTER sip:sip.test SIP/2.0\r\n"
        f"Call-Id: call-{name}\r\n"
        f'Contact: <sip:{name}@{name}.invalid;transport=wss>;+sip.instance="<urn:uuid:{name}>";expires=60\r\n'
        "From: <sip:16505550100*101@sip.test>;tag=t\r\nTo: <sip:16505550100*101@sip.test>\r\n"
        f"Via: SIP/2.0/WSS {name}.invalid;branch=z9hG4bK-{name}{number}\r\n"
        f"CSeq: {number} REGISTER\r\n{extra}Content-Length: 0\r\n\r\n"
    )
