"""Transfers as the leader does them: what it asks of the service, and what comes of its answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from agents.phone.transfers import _FAREWELL_TIME, _RESULT_TIME
from agents.sip.events import DialogRequestReceived
from agents.sip.message import make_response
from agents.sip.refer import ReferTo
from shared.messages import (
    Answer,
    Call,
    CallState,
    Cause,
    CompleteTransfer,
    Dial,
    Done,
    Hangup,
    Hold,
    Refused,
    Request,
    Transfer,
)

from .fakes import DESK, KIOSK, WALL, Rig


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


def answered(rig: Rig) -> Talk:
    """Let the far end call, and answer."""
    session = rig.ring()
    talk = Talk(rig, rig.call().call_id, session)
    assert isinstance(rig.do(Answer(call_id=talk.call_id)), Done)
    return talk


def consulting(rig: Rig) -> tuple[Talk, Talk]:
    """Return a held call, and one that asks about it."""
    original = answered(rig)
    assert isinstance(rig.do(Hold(call_id=original.call_id)), Done)
    done = rig.do(Dial(target="199", transfer_of=original.call_id))
    assert isinstance(done, Done)
    return original, Talk(rig, done.call_id, rig.pick_up())


def ask(rig: Rig, action: Transfer | CompleteTransfer) -> Request:
    request = rig.ask(action)
    rig.run()
    return request


def wait(rig: Rig, seconds: float) -> None:
    """Let time pass in which all windows are there."""
    end = rig.now + seconds
    while rig.now < end:
        for window in (DESK, KIOSK, WALL):
            rig.core.window_heard(window, rig.now)
        rig.wait(min(0.5, end - rig.now))


def test_a_blind_transfer_is_done_when_the_service_has_said_so_and_hung_up() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Transfer(call_id=talk.call_id, target="102"))
    assert talk.answer_refer(202) == ReferTo("102")
    talk.notify("100 Trying")
    assert rig.answer_to(request) is None
    talk.notify("200 OK")
    assert rig.answer_to(request) is None
    assert talk.view.state is CallState.ANSWERED
    talk.hang_up_far()
    assert isinstance(rig.answer_to(request), Done)
    assert talk.view.cause is Cause.TRANSFERRED


@pytest.mark.parametrize("lines", [("486 Busy Here",), ("100 Trying", "180 Ringing", "486 Busy Here")])
def test_a_target_that_is_busy_is_told_and_the_call_goes_on(lines: Sequence[str]) -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Transfer(call_id=talk.call_id, target="102"))
    talk.answer_refer(202)
    for line in lines:
        talk.notify(line)
    refused = rig.answer_to(request)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.status) == ("far_end", 486)
    assert talk.view.state is CallState.ANSWERED
    again = ask(rig, Transfer(call_id=talk.call_id, target="103"))
    assert talk.answer_refer(202) == ReferTo("103")
    assert rig.answer_to(again) is None


def test_a_service_that_takes_no_refer_is_told_with_its_status() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Transfer(call_id=talk.call_id, target="102"))
    talk.answer_refer(501)
    refused = rig.answer_to(request)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.status) == ("far_end", 501)


def test_a_call_is_transferred_once_at_a_time_and_only_to_a_number() -> None:
    rig = Rig()
    talk = answered(rig)
    bad = rig.do(Transfer(call_id=talk.call_id, target="1\r\nX: y"))
    assert isinstance(bad, Refused)
    ask(rig, Transfer(call_id=talk.call_id, target="102"))
    second = rig.do(Transfer(call_id=talk.call_id, target="103"))
    assert isinstance(second, Refused)
    assert second.code == "wrong_state"


def test_a_warm_transfer_names_the_dialog_as_the_service_knows_it_and_ends_both_calls() -> None:
    rig = Rig()
    original, consultation = consulting(rig)
    request = ask(rig, CompleteTransfer(call_id=consultation.call_id))
    asked = original.answer_refer(202)
    dialog = rig.far.session(consultation.session).dialog
    assert asked.target == "199"
    assert dialog is not None
    assert asked.replaced is not None
    assert (asked.replaced.call_id, asked.replaced.to_tag) == (dialog.call_id, dialog.local_tag)
    assert asked.replaced.from_tag == dialog.remote_tag
    original.notify("100 Trying")
    consultation.hang_up_far()
    assert consultation.view.cause is Cause.TRANSFERRED
    assert rig.answer_to(request) is None
    original.notify("200 OK")
    original.hang_up_far()
    assert original.view.cause is Cause.TRANSFERRED
    assert isinstance(rig.answer_to(request), Done)


def test_two_calls_that_came_by_themselves_can_be_connected() -> None:
    rig = Rig()
    original, other = answered(rig), second(rig)
    request = ask(rig, CompleteTransfer(call_id=other.call_id, transfer_of=original.call_id))
    asked = original.answer_refer(202)
    dialog = rig.far.session(other.session).dialog
    assert dialog is not None
    assert asked.replaced is not None
    assert asked.replaced.call_id == dialog.call_id
    for call in (other, original):
        call.hang_up_far()
    assert isinstance(rig.answer_to(request), Done)
    assert [original.view.cause, other.view.cause] == [Cause.TRANSFERRED] * 2


def second(rig: Rig) -> Talk:
    session = rig.ring()
    talk = Talk(rig, rig.snapshot.calls[-1].call_id, session)
    assert isinstance(rig.do(Answer(call_id=talk.call_id)), Done)
    return talk


def test_a_call_cannot_be_connected_with_itself() -> None:
    rig = Rig()
    talk = answered(rig)
    refused = rig.do(CompleteTransfer(call_id=talk.call_id, transfer_of=talk.call_id))
    assert isinstance(refused, Refused)
    assert refused.code == "wrong_state"


def test_a_call_that_consults_about_no_other_completes_nothing() -> None:
    rig = Rig()
    talk = answered(rig)
    refused = rig.do(CompleteTransfer(call_id=talk.call_id))
    assert isinstance(refused, Refused)
    assert refused.code == "wrong_state"


def test_calls_that_the_service_does_not_hang_up_after_the_transfer_are_hung_up_here() -> None:
    rig = Rig()
    original, consultation = consulting(rig)
    request = ask(rig, CompleteTransfer(call_id=consultation.call_id))
    original.answer_refer(202)
    original.notify("200 OK")
    rig.sip.clear()
    wait(rig, _FAREWELL_TIME)
    assert rig.sip.count("BYE") == 2
    assert isinstance(rig.answer_to(request), Done)
    assert [original.view.cause, consultation.view.cause] == [Cause.TRANSFERRED] * 2


def test_a_call_that_is_hung_up_here_ends_its_transfer_too() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Transfer(call_id=talk.call_id, target="102"))
    talk.answer_refer(202)
    rig.do(Hangup(call_id=talk.call_id))
    assert isinstance(rig.answer_to(request), Refused)
    assert talk.view.cause is Cause.HUNG_UP_HERE


def test_a_transfer_of_which_nothing_is_heard_blocks_no_other_one_for_ever() -> None:
    rig = Rig()
    talk = answered(rig)
    ask(rig, Transfer(call_id=talk.call_id, target="102"))
    talk.answer_refer(202)
    wait(rig, _RESULT_TIME)
    assert talk.view.state is CallState.ANSWERED
    ask(rig, Transfer(call_id=talk.call_id, target="103"))
    assert talk.answer_refer(202) == ReferTo("103")


def test_a_notify_that_says_nothing_or_is_of_another_call_changes_nothing() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Transfer(call_id=talk.call_id, target="102"))
    talk.answer_refer(202)
    talk.notify("nonsense")
    talk.notify("999 What")
    assert rig.answer_to(request) is None
    assert talk.view.state is CallState.ANSWERED


def test_a_service_that_says_no_more_leaves_it_unknown_whether_the_call_was_transferred() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Transfer(call_id=talk.call_id, target="102"))
    talk.answer_refer(202)
    talk.notify("100 Trying", state="terminated;reason=noresource")
    assert rig.answer_to(request) is None  # it may still hang up, which means the same as a 200
    wait(rig, _FAREWELL_TIME)
    reply = rig.answer_to(request)
    assert isinstance(reply, Refused)
    assert reply.code == "unknown"
    assert talk.view.state is CallState.ANSWERED


def test_what_is_said_late_of_one_transfer_says_nothing_of_the_next_one() -> None:
    rig = Rig()
    talk = answered(rig)
    ask(rig, Transfer(call_id=talk.call_id, target="102"))
    talk.answer_refer(202)
    first = f"refer;id={talk.number}"
    talk.notify("486 Busy Here", event=first)
    request = ask(rig, Transfer(call_id=talk.call_id, target="103"))
    talk.notify("100 Trying", event=first)  # before the second one is answered
    talk.answer_refer(202)

    for line in ("486 Busy Here", "200 OK", "100 Trying"):
        talk.notify(line, event=first, state="terminated;reason=noresource")
    wait(rig, 2 * _FAREWELL_TIME)
    assert rig.answer_to(request) is None
    assert talk.view.state is CallState.ANSWERED

    talk.notify("200 OK", event=f"refer ; id={talk.number}")
    talk.hang_up_far()
    assert isinstance(rig.answer_to(request), Done)


def test_a_notify_may_come_before_the_answer_to_its_refer() -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Transfer(call_id=talk.call_id, target="102"))
    talk.refer()
    talk.notify("486 Busy Here", event=f"refer;id={talk.number + 1}")
    assert rig.answer_to(request) is None
    talk.notify("486 Busy Here", event=f"refer;id={talk.number}")
    refused = rig.answer_to(request)
    assert isinstance(refused, Refused)
    assert refused.status == 486


@pytest.mark.parametrize("event", ["message-summary", "talk", "refer;id=", "refer;id=x", '";'])
def test_a_notify_of_something_else_says_nothing_of_a_transfer(event: str) -> None:
    rig = Rig()
    talk = answered(rig)
    request = ask(rig, Transfer(call_id=talk.call_id, target="102"))
    talk.answer_refer(202)
    talk.notify("486 Busy Here", event=event)
    talk.notify("", event=event, state="terminated")
    wait(rig, 2 * _FAREWELL_TIME)
    assert rig.answer_to(request) is None
    assert talk.view.state is CallState.ANSWERED
