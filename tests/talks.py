"""Calls of the phone core that are up, as many tests need them, and what is often asked of a rig."""

from collections.abc import Sequence
from dataclasses import dataclass

from agents.sip.events import DialogRequestReceived
from agents.sip.message import make_response
from agents.sip.refer import ReferTo
from shared.messages import Answer, Call, Done, Refused, Window

from .fakes import DESK, FAR_OFFER, KIOSK, WALL, Rig


@dataclass
class Talk:
    """A call that is up: what windows show of it, and the far end's session."""

    rig: Rig
    call_id: str
    session: str
    number: int = 0
    """The CSeq number of the REFER that was looked at last."""

    @property
    def view(self) -> Call:
        [view] = [view for view in self.rig.snapshot.calls if view.call_id == self.call_id]
        return view

    def hang_up_far(self) -> None:
        self.rig.hang_up_far(self.session)

    def notify(self, line: str, session: str = "", *, state: str = "active", event: str = "refer") -> None:
        headers = [("Event", event), ("Content-Type", "message/sipfrag;version=2.0")]
        headers.append(("Subscription-State", state))
        self.rig.far.request_in_dialog(
            session or self.session, "NOTIFY", self.rig.now, headers=headers, body=f"SIP/2.0 {line}\r\n"
        )
        self.rig.run()

    def answer_refer(self, status: int) -> ReferTo:
        """Answer the REFER, and return what it asks for."""
        event = self.refer()
        self.rig.far_events.remove(event)
        self.rig.far.respond(event.key, make_response(event.request, status), self.rig.now)
        self.rig.run()
        return ReferTo.parse(event.request.headers.get("Refer-To") or "")

    def refer(self) -> DialogRequestReceived:
        """Return the REFER that waits for its answer, and note its number."""
        event = next(event for event in self.rig.far_events if is_refer(event, self.session))
        assert isinstance(event, DialogRequestReceived)
        self.number = event.request.cseq.number
        return event


def is_refer(event: object, session: str) -> bool:
    is_request = isinstance(event, DialogRequestReceived) and event.session_id == session
    return is_request and event.request.method == "REFER"  # type: ignore[attr-defined]


def answered(rig: Rig, window: Window = DESK, *, sdp: str = FAR_OFFER) -> Talk:
    """Let the far end call, and answer at a window."""
    session = rig.ring(sdp)
    talk = Talk(rig, rig.call().call_id, session)
    assert isinstance(rig.do(Answer(call_id=talk.call_id), window), Done)
    return talk


def answered_call(rig: Rig) -> str:
    """Let an inbound call be answered at the kiosk, and forget how; return its id."""
    talk = answered(rig, KIOSK)
    rig.kinds()
    rig.sip.clear()
    rig.far_events.clear()
    return talk.call_id


def refused(reply: object, code: str) -> Refused:
    """Return ``reply``, which must be a refusal with ``code``."""
    assert isinstance(reply, Refused), reply
    assert reply.code == code, reply
    return reply


def live(rig: Rig, seconds: float, windows: Sequence[Window] = (DESK, KIOSK, WALL)) -> None:
    """Let time pass in which these windows are heard."""
    end = rig.now + seconds
    while rig.now < end:
        for window in windows:
            rig.core.window_heard(window, rig.now)
        rig.wait(min(0.5, end - rig.now))
