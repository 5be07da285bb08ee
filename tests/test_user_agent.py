"""A phone as its owner sees it: calls that it makes and gets, and RingCentral's extras."""

from collections.abc import Callable

import pytest

from agents.sip.agent_channel import AgentMessageReceived
from agents.sip.events import (
    DialogRequestReceived,
    InviteReceived,
    ReinviteDone,
    ReinviteReceived,
    SessionEnded,
    SessionProgress,
)
from agents.sip.message import Request, parse
from agents.sip.ringcentral import Command
from agents.sip.transaction import Send
from shared.errors import ActionRefused

from .frames import FRAMES, read_frame
from .sip_calls import outgoing_call, ringing_phone
from .sip_pair import ANSWER, HELD, OFFER
from .sip_service import phone_and_service, registered_phone


def test_a_call_is_challenged_answered_and_hung_up() -> None:
    pair, phone, service = registered_phone()

    call, other = outgoing_call(pair, phone, service)
    assert service.sent == ["100 INVITE", "407 INVITE", "100 INVITE", "200 INVITE"]
    assert phone.sent == ["INVITE", "ACK", "INVITE", "ACK"]
    service.core.sessions.hangup(other, pair.now)
    pair.run()

    assert phone.take(SessionEnded) == SessionEnded(call, "remote_bye", None, "")


def test_the_caller_id_is_asserted_and_headers_are_added() -> None:
    pair, phone, service = registered_phone()

    phone.core.invite(
        "102", OFFER, caller_id="16505550101", headers=[("Replaces", "s-1;early-only")], now=pair.now
    )
    pair.run()

    request = service.take(InviteReceived).request
    assert request.headers.get("P-Asserted-Identity") == "sip:16505550101@sip.test"
    assert request.headers.get("Replaces") == "s-1;early-only"
    assert request.uri == "sip:102@sip.test"


def test_progress_brings_the_services_names_of_the_call() -> None:
    pair, phone, service = registered_phone()
    _, other = outgoing_call(pair, phone, service, answer=False)

    service.core.sessions.progress(
        other, 183, pair.now, headers=[("p-rc-api-ids", "party-id=p-0a-1;session-id=s-0a")]
    )
    pair.run()

    progress = phone.take(SessionProgress)
    assert (progress.status, progress.party_id, progress.session_ref) == (183, "p-0a-1", "s-0a")


def test_a_wrong_password_fails_the_call_with_its_status() -> None:
    pair, phone, service = registered_phone()
    service.core._is_right = lambda request, name: False

    call = phone.core.invite("102", OFFER, now=pair.now)
    pair.run()

    assert phone.take(SessionEnded) == SessionEnded(call, "rejected", 407, "Proxy Authentication Required")
    assert phone.sent.count("INVITE") == 2


def test_a_phone_that_is_not_registered_cannot_call() -> None:
    _, phone, _ = phone_and_service()

    with pytest.raises(ActionRefused) as refused:
        phone.core.invite("102", OFFER, now=1000.0)

    assert refused.value.code == "not_registered"
    assert phone.core.effects() == []


def test_a_call_that_comes_in_rings_and_confirms_itself_to_the_service() -> None:
    phone, event = ringing_phone()

    assert phone.sent == ["INVITE", "INVITE", "MESSAGE"]  # 100, 180, ClientReceiveConfirm
    assert (event.remote_number, event.remote_name) == ("+16505550199", "WIRELESS CALLER")
    assert event.local_number == "16505550100*101"
    assert (event.party_id, event.session_ref) == ("p-33f7z2-2", "s-33f7z2")
    assert event.sdp.startswith("v=0\r\n")
    confirm = parse(FRAMES["receive-confirm"])
    assert isinstance(confirm, Request)
    assert confirm.uri == "sip:#996016@sip.test:5060"


def test_a_call_without_the_services_document_rings_all_the_same() -> None:
    _, phone, _ = registered_phone()
    plain = "\r\n".join(line for line in read_frame("inbound-invite").split("\r\n") if line[:5] != "P-rc:")

    phone.core.receive(plain, 1000.0)

    effects = phone.core.effects()
    assert [effect.status for effect in effects if isinstance(effect, Send)] == [100, 180]
    ringing = next(effect for effect in effects if isinstance(effect, InviteReceived))
    with pytest.raises(ActionRefused, match="does not offer"):
        phone.core.agent_command(ringing.session_id, Command.CLIENT_VOICEMAIL, {}, 1000.0)


def test_a_command_about_a_ringing_call_is_sent_to_the_service() -> None:
    phone, event = ringing_phone()

    phone.core.agent_command(event.session_id, Command.CLIENT_FORWARD, {"Phn": "102", "PhnTp": "3"}, 1001.0)

    (send,) = phone.core.effects()
    assert 'Cmd="10"/><Bdy Cln="802396666666" Phn="102" PhnTp="3"/>' in send.text


@pytest.mark.parametrize("kind", ["x-rc/agent", "X-RC/Agent; charset=utf-8"])
def test_a_call_answered_by_another_phone_of_ours_stops_ringing(kind: str) -> None:
    phone, event = ringing_phone()

    phone.core.receive(read_frame("already-processed").replace("x-rc/agent", kind), 1001.0)

    effects = phone.core.effects()
    assert [(e.method, e.status) for e in effects if isinstance(e, Send)] == [
        ("MESSAGE", 200),
        ("INVITE", 487),
    ]
    told = [effect for effect in effects if not isinstance(effect, Send)]
    assert isinstance(told[0], AgentMessageReceived)
    assert told[0].message.command == Command.ALREADY_PROCESSED
    assert told[1] == SessionEnded(event.session_id, "answered_elsewhere", None, "")


@pytest.mark.parametrize(
    ("old", "new"), [('Cln="802396666666"', 'Cln="1"'), ('SID="35464233129848"', 'SID="1"')]
)
def test_what_is_told_to_another_device_or_of_another_call_does_not_stop_the_ringing(
    old: str, new: str
) -> None:
    phone, event = ringing_phone()

    phone.core.receive(read_frame("already-processed").replace(old, new), 1001.0)

    assert not [effect for effect in phone.core.effects() if isinstance(effect, SessionEnded)]
    phone.core.answer(event.session_id, ANSWER, 1002.0)


def test_a_call_that_we_answered_goes_on_when_the_service_says_so() -> None:
    phone, event = ringing_phone()
    phone.core.answer(event.session_id, ANSWER, 1001.0)

    phone.core.receive(read_frame("already-processed"), 1001.0)

    assert not [effect for effect in phone.core.effects() if isinstance(effect, SessionEnded)]


@pytest.mark.parametrize("status", [486, 480, 603])
def test_a_call_is_refused_with_the_status_asked_for(status: int) -> None:
    phone, event = ringing_phone()

    phone.core.reject(event.session_id, status, 1001.0)

    ended, send = sorted(phone.core.effects(), key=lambda effect: isinstance(effect, Send))
    assert (ended.cause, ended.status, send.status) == ("local_reject", status, status)


def test_hanging_up_a_call_that_rings_declines_it() -> None:
    phone, event = ringing_phone()

    phone.core.hangup(event.session_id, 1001.0)

    assert [effect.status for effect in phone.core.effects()] == [603, 603]


def test_hold_works_from_both_ends() -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service)

    phone.core.reinvite(call, HELD, pair.now)
    pair.run()
    service.core.sessions.accept_reinvite(other, ANSWER, pair.now)
    pair.run()
    assert phone.take(ReinviteDone) == ReinviteDone(call, 200, "OK", ANSWER)
    service.core.sessions.reinvite(other, HELD, pair.now)
    pair.run()
    assert phone.take(ReinviteReceived).direction == "sendonly"
    phone.core.reject_reinvite(call, 488, pair.now)
    pair.run()
    assert service.events[-1].status == 488


@pytest.mark.parametrize(
    ("method", "status"),
    [("OPTIONS", 200), ("MESSAGE", 415), ("INFO", 200), ("NOTIFY", 200), ("SUBSCRIBE", 405), ("BYE", 481)],
)
def test_a_request_outside_of_calls_is_answered(method: str, status: int) -> None:
    _, phone, _ = registered_phone()
    frame = read_frame("already-processed").replace("MESSAGE", method).replace("x-rc/agent", "text/plain")

    phone.core.receive(frame, 1000.0)

    (send,) = phone.core.effects()
    assert send.status == status
    assert ("Allow: INVITE, ACK" in send.text) == (method in ("OPTIONS", "SUBSCRIBE"))
    assert ("Accept: x-rc/agent\r\n" in send.text) == (status == 415)


def test_a_message_that_does_not_say_its_type_is_taken_for_the_services() -> None:
    _, phone, _ = registered_phone()
    frame = read_frame("already-processed").replace("Content-Type: x-rc/agent\r\n", "")
    assert "x-rc" not in frame

    phone.core.receive(frame, 1000.0)

    assert [effect.status for effect in phone.core.effects() if isinstance(effect, Send)] == [200]


@pytest.mark.parametrize(
    ("method", "status"), [("INFO", 200), ("NOTIFY", 200), ("MESSAGE", 200), ("PUBLISH", 405)]
)
def test_a_request_in_a_call_is_answered_and_told(method: str, status: int) -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service)

    service.core.sessions.request_in_dialog(other, method, pair.now, body="{}")
    pair.run()

    event = phone.take(DialogRequestReceived)
    assert (event.session_id, event.request.body) == (call, "{}")
    assert phone.sent[-1] == f"{status} {method}"


def test_an_update_in_a_call_is_answered_or_the_service_would_drop_the_call() -> None:
    pair, phone, service = registered_phone()
    _, other = outgoing_call(pair, phone, service)

    service.core.sessions.request_in_dialog(other, "UPDATE", pair.now)
    pair.run()

    assert phone.sent[-1] == "200 UPDATE"


def test_an_action_on_a_call_that_is_gone_is_refused() -> None:
    _, phone, _ = registered_phone()

    actions: list[Callable[[], object]] = [
        lambda: phone.core.answer("gone", ANSWER, 1000.0),
        lambda: phone.core.reject("gone", 486, 1000.0),
        lambda: phone.core.hangup("gone", 1000.0),
        lambda: phone.core.reinvite("gone", HELD, 1000.0),
        lambda: phone.core.accept_reinvite("gone", HELD, 1000.0),
        lambda: phone.core.request_in_dialog("gone", "INFO", 1000.0),
        lambda: phone.core.agent_command("gone", Command.CLIENT_VOICEMAIL, {}, 1000.0),
        lambda: phone.core.export_session("gone"),
    ]
    for act in actions:
        with pytest.raises(ActionRefused) as refused:
            act()
        assert refused.value.code == "no_such_call"


def test_answering_twice_is_refused() -> None:
    phone, event = ringing_phone()
    phone.core.answer(event.session_id, ANSWER, 1001.0)

    with pytest.raises(ActionRefused) as refused:
        phone.core.answer(event.session_id, ANSWER, 1001.0)

    assert refused.value.code == "wrong_state"


@pytest.mark.parametrize("frame", ["", "\r\n", "\r\n\r\n"])
def test_a_keep_alive_is_passed_over(frame: str) -> None:
    _, phone, _ = registered_phone()

    phone.core.receive(frame, 1000.0)

    assert phone.core.effects() == []
