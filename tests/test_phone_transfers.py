"""Transfers as the leader does them: what it asks of the service, and what comes of its answers."""

from collections.abc import Sequence

import pytest

from agents.phone.transfers import _FAREWELL_TIME, _RESULT_TIME
from agents.sip.refer import ReferTo
from shared.messages import (
    Answer,
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

from .fakes import Rig
from .talks import Talk, answered, live


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
    live(rig, _FAREWELL_TIME)
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
    live(rig, _RESULT_TIME)
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
    live(rig, _FAREWELL_TIME)
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
    live(rig, 2 * _FAREWELL_TIME)
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
    live(rig, 2 * _FAREWELL_TIME)
    assert rig.answer_to(request) is None
    assert talk.view.state is CallState.ANSWERED
