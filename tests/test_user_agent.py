"""A phone as its owner sees it: against a service, against RingCentral's extras, and against bad input."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.sip.agent_channel import AgentMessageReceived
from agents.sip.events import (
    DialogRequestReceived,
    InviteReceived,
    ReinviteDone,
    ReinviteReceived,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionProgress,
)
from agents.sip.message import MAX_FRAME_CHARS, Request, parse
from agents.sip.ringcentral import Command
from agents.sip.transaction import Send
from agents.sip.user_agent import FrameDropped, UserAgent
from shared.errors import AccountError, ActionRefused

from .sip_pair import ANSWER, HELD, OFFER, End, Pair, id_factory
from .sip_service import ACCOUNT, phone_and_service, registered_phone
from .test_wire import FRAMES, read_frame


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


@pytest.mark.parametrize(
    "options",
    [
        {"target": ""},
        {"target": "1 2"},
        {"target": "a@b@c"},
        {"target": "102\r\nX: y"},
        {"target": "sip:sip.test"},
        {"target": "102", "caller_id": "1\r\nX: y"},
        {"target": "102", "caller_id": "1>"},
        {"target": "102", "headers": [("X", "a\r\nInjected: b")]},
        {"target": "102", "headers": [("X Y", "a")]},
    ],
)
def test_what_cannot_be_called_is_refused_and_nothing_is_sent(options: dict[str, object]) -> None:
    _, phone, _ = registered_phone()

    with pytest.raises(ActionRefused) as refused:
        phone.core.invite(sdp=OFFER, now=1000.0, **options)

    assert refused.value.code == "bad_request"
    assert phone.core.effects() == []
    assert phone.core.next_deadline() == 1057.0


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


@pytest.mark.parametrize("damage", ["Cmd=", "<Msg>", 'From="#996016@sip.test:5060"'])
def test_a_damaged_document_does_not_stop_the_ringing(damage: str) -> None:
    _, phone, _ = registered_phone()
    frame = read_frame("inbound-invite").replace(damage, 'From="no address" ' if damage[0] == "F" else "")

    phone.core.receive(frame, 1000.0)

    statuses = [effect.status for effect in phone.core.effects() if isinstance(effect, Send)]
    assert statuses[:2] == [100, 180]


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
    [("OPTIONS", 200), ("MESSAGE", 200), ("INFO", 200), ("NOTIFY", 200), ("SUBSCRIBE", 405), ("BYE", 481)],
)
def test_a_request_outside_of_calls_is_answered(method: str, status: int) -> None:
    _, phone, _ = registered_phone()
    frame = read_frame("already-processed").replace("MESSAGE", method).replace("x-rc/agent", "text/plain")

    phone.core.receive(frame, 1000.0)

    (send,) = phone.core.effects()
    assert send.status == status
    assert ("Allow: INVITE, ACK" in send.text) == (method in ("OPTIONS", "SUBSCRIBE"))


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


def test_a_lost_connection_keeps_answered_calls_for_32_seconds() -> None:
    pair, phone, service = registered_phone()
    call, _other = outgoing_call(pair, phone, service)
    ringing, _ = outgoing_call(pair, phone, service, answer=False)

    phone.core.disconnected(pair.now)
    phone.core.disconnected(pair.now)
    pair.run()
    assert [event for event in phone.events if isinstance(event, SessionEnded)] == [
        SessionEnded(ringing, "transport", 503, "Connection Lost")
    ]
    with pytest.raises(ActionRefused):
        phone.core.reinvite(call, HELD, pair.now)
    pair.wait(31)
    assert len([event for event in phone.events if isinstance(event, SessionEnded)]) == 1
    pair.wait(2)
    assert phone.events[-1] == SessionEnded(call, "transport", None, "no connection again in time")


def test_a_new_connection_lets_answered_calls_go_on() -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service)
    phone.core.disconnected(pair.now)
    pair.wait(10)

    phone.core.connected(pair.now)
    pair.run()
    phone.core.reinvite(call, HELD, pair.now)
    pair.run()
    service.core.sessions.accept_reinvite(other, ANSWER, pair.now)
    pair.wait(50)

    assert ReinviteDone(call, 200, "OK", ANSWER) in phone.events
    assert not [event for event in phone.events if isinstance(event, SessionEnded)]


def test_a_call_that_is_hung_up_without_a_connection_ends_when_the_far_end_was_told() -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service)
    phone.core.disconnected(pair.now)
    phone.core.hangup(call, pair.now)
    pair.run()
    assert ends_of(phone) == []

    phone.core.connected(pair.now)
    pair.run()

    assert ends_of(phone) == [SessionEnded(call, "local_bye", 200, "OK")]
    assert service.events[-1] == SessionEnded(other, "remote_bye", None, "")


def test_a_bye_that_the_connection_may_have_lost_is_sent_once_more_over_the_next_one() -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service)
    phone.core.hangup(call, pair.now)
    phone.core.effects()  # which are lost
    phone.core.disconnected(pair.now)
    pair.run()
    assert ends_of(phone) == []

    phone.core.connected(pair.now)
    pair.run()

    assert ends_of(phone) == [SessionEnded(call, "local_bye", 200, "OK")]
    assert service.events[-1] == SessionEnded(other, "remote_bye", None, "")


def test_a_far_end_that_cannot_be_told_for_32_seconds_is_given_up() -> None:
    pair, phone, service = registered_phone()
    call, _ = outgoing_call(pair, phone, service)
    service.core.register_status = (503, "Service Unavailable")
    service.core.is_known = False
    phone.core.disconnected(pair.now)
    phone.core.connected(pair.now)
    phone.core.hangup(call, pair.now)
    pair.wait(31.9)
    assert ends_of(phone) == []
    pair.wait(0.2)
    assert [(event.cause, event.status) for event in ends_of(phone)] == [("local_bye", 408)]
    assert "BYE" not in phone.sent


def test_a_call_that_was_left_to_us_ends_if_there_is_no_connection_for_32_seconds() -> None:
    pair, phone, service = registered_phone()
    call, _ = outgoing_call(pair, phone, service)
    _, successor = successor_of(phone, service, call)
    successor.core.disconnected(pair.now)
    assert successor.core.next_deadline() == pair.now + 32
    successor.core.tick(pair.now + 32)
    ends = [event for event in successor.core.effects() if isinstance(event, SessionEnded)]
    assert [end.cause for end in ends] == ["transport"]


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


def test_an_answer_whose_ack_was_lost_with_the_connection_is_a_call_all_the_same() -> None:
    pair, phone, service = registered_phone()
    call, other = answered_without_ack(pair, phone, service)
    phone.core.disconnected(pair.now)
    phone.core.connected(pair.now)
    pair.run()
    phone.core.reinvite(call, HELD, pair.now)
    pair.run()
    service.core.sessions.accept_reinvite(other, ANSWER, pair.now)
    pair.wait(60)

    assert ReinviteDone(call, 200, "OK", ANSWER) in phone.events
    assert ends_of(phone) == []
    assert phone.sent.count("200 INVITE") == 2
    assert phone.sent.index("INVITE") > phone.sent.index("200 INVITE", phone.sent.index("200 INVITE") + 1)


def test_an_answer_that_was_lost_with_the_connection_is_given_again_over_the_next_one() -> None:
    pair, phone, service = registered_phone()
    call, _ = incoming_call(pair, phone, service)
    phone.core.answer(call, ANSWER, pair.now)
    phone.core.effects()  # the 200 is lost, and the far end still rings
    phone.core.disconnected(pair.now)
    phone.core.connected(pair.now)
    pair.run()

    assert [event.sdp for event in service.events if isinstance(event, SessionAnswered)] == [ANSWER]
    assert SessionConfirmed(call, "") in phone.events
    phone.core.disconnected(pair.now)
    phone.core.connected(pair.now)
    pair.run()
    assert phone.sent.count("200 INVITE") == 1  # the ACK has come: once was enough


def test_a_successor_gives_an_answer_again_whose_ack_nobody_saw() -> None:
    pair, phone, service = registered_phone()
    call, _ = incoming_call(pair, phone, service)
    phone.core.answer(call, ANSWER, pair.now)
    pair, successor = successor_of(phone, service, call)  # the 200 never leaves: its process dies
    successor.core.connected(pair.now)
    pair.run()

    assert [event.sdp for event in service.events if isinstance(event, SessionAnswered)] == [ANSWER]
    assert SessionConfirmed(call, "") in successor.events


def test_an_answer_that_was_lost_with_the_connection_is_no_call_as_the_far_end_says() -> None:
    pair, phone, service = registered_phone()
    call, _ = incoming_call(pair, phone, service)
    phone.core.answer(call, ANSWER, pair.now)
    phone.core.effects()  # the 200 is lost
    phone.core.disconnected(pair.now)
    service.core.sessions.disconnected(pair.now)
    phone.core.connected(pair.now)
    pair.run()
    phone.core.reinvite(call, HELD, pair.now)
    pair.run()
    assert [(event.cause, event.status) for event in ends_of(phone)] == [("remote_bye", 481)]


def test_a_call_that_was_hung_up_before_its_ack_came_is_hung_up_over_the_next_connection() -> None:
    pair, phone, service = registered_phone()
    call, other = answered_without_ack(pair, phone, service)
    phone.core.hangup(call, pair.now)
    phone.core.disconnected(pair.now)
    phone.core.connected(pair.now)
    pair.run()
    assert [event.cause for event in ends_of(phone)] == ["local_bye"]
    assert service.events[-1] == SessionEnded(other, "remote_bye", None, "")


def test_a_call_goes_on_in_another_user_agent() -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service)
    exported = phone.core.export_session(call)
    assert ACCOUNT.password not in repr(exported)

    moved, successor = successor_of(phone, service, call)
    successor.core.connected(moved.now)
    moved.run()
    with pytest.raises(ActionRefused):
        successor.core.restore_session(exported)
    successor.core.hangup(call, moved.now)
    moved.run()

    assert service.events[-1] == SessionEnded(other, "remote_bye", None, "")


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


@pytest.mark.parametrize(
    "frame", ["x", "\0", "x" * (MAX_FRAME_CHARS + 1), read_frame("inbound-invite")[:200]]
)
def test_a_torn_or_huge_frame_is_dropped_and_told_without_quoting_it(frame: str) -> None:
    _, phone, _ = registered_phone()

    phone.core.receive(frame, 1000.0)

    (dropped,) = phone.core.effects()
    assert isinstance(dropped, FrameDropped)
    assert dropped.size_chars == len(frame)
    assert len(dropped.reason) < 100
    assert phone.core.registration_state == "registered"


def test_a_request_that_is_too_long_is_answered_513() -> None:
    _, phone, _ = registered_phone()

    phone.core.receive(read_frame("inbound-invite") + "x" * MAX_FRAME_CHARS, 1000.0)

    assert [one.status for one in phone.core.effects() if isinstance(one, Send)] == [513]


def test_an_answer_that_cannot_be_used_ends_the_call_instead_of_hanging_it() -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service, answer=False)
    service.core.sessions.answer(other, ANSWER, pair.now)
    (effect,) = service.core.effects()
    broken = effect.text.replace("Contact: <sip:", 'Contact: "<sip:')

    phone.core.receive(broken, pair.now)

    ended = phone.core.effects()[-1]
    assert (ended.session_id, ended.cause) == (call, "rejected")


@pytest.mark.parametrize("contact", ['<sip:x@y.invalid;a="b c">', "<sip:x@y.invalid;a=<>"])
def test_an_address_that_no_request_could_be_sent_to_makes_no_call(contact: str) -> None:
    pair, phone, service = registered_phone()
    call, other = outgoing_call(pair, phone, service, answer=False)
    service.core.sessions.answer(other, ANSWER, pair.now)
    (effect,) = service.core.effects()
    effect.message.headers.set("Contact", contact)
    phone.core.receive(effect.message.encode(), pair.now)
    ended = phone.core.effects()[-1]
    assert (ended.session_id, ended.cause) == (call, "rejected")

    phone.core.receive(read_frame("inbound-invite").replace("Contact: <sip:", "Contact: <sip:a b"), pair.now)
    answers = [effect for effect in phone.core.effects() if isinstance(effect, Send)]
    assert [effect.status for effect in answers] == [400]


def test_a_document_whose_sender_is_nobody_costs_the_services_extras_but_not_the_call() -> None:
    _, phone, _ = registered_phone()
    frame = read_frame("inbound-invite").replace('From="#996016@', 'From="a b@')
    assert 'From="a b@' in frame
    phone.core.receive(frame, 1000.0)
    effects = phone.core.effects()
    assert [effect.status for effect in effects if isinstance(effect, Send)] == [100, 180]
    (event,) = (effect for effect in effects if isinstance(effect, InviteReceived))
    assert phone.core.agent_sid(event.session_id) == ""
    with pytest.raises(ActionRefused):
        phone.core.agent_command(event.session_id, Command.CLIENT_VOICEMAIL, {}, 1000.0)


def test_an_account_that_cannot_be_written_is_refused_at_once() -> None:
    with pytest.raises(AccountError):
        UserAgent(replace(ACCOUNT, username="a\r\nb"), instance_id="i", new_id=id_factory("x"), now=0.0)


def test_no_secret_is_in_the_repr_of_what_happens() -> None:
    pair, phone, service = phone_and_service()
    phone.core.connected(pair.now)
    effects = phone.core.effects()
    pair, phone, service = registered_phone()
    outgoing_call(pair, phone, service)

    shown = repr(effects) + repr(phone.events) + repr(service.events)
    assert ACCOUNT.password not in shown
    assert "response=" not in shown
    assert "m=audio" not in shown


LINES = sorted({line for name in FRAMES for line in FRAMES[name].split("\r\n")} | {""})
SEEDS = [*FRAMES.values(), read_frame("inbound-invite"), read_frame("already-processed")]
SEEDS += [
    FRAMES["invite"].replace("INVITE sip:102@sip.test SIP/2.0", f"SIP/2.0 {status} X")
    for status in (100, 183, 200, 302, 401, 407, 423, 487, 491, 503)
]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_nothing_that_a_peer_sends_makes_a_phone_raise(data: st.DataObject) -> None:
    pair, phone, service = registered_phone()
    outgoing_call(pair, phone, service)
    phone.core.receive(read_frame("inbound-invite"), pair.now)
    call = phone.core.invite("103", OFFER, now=pair.now)
    sent = [effect.text for effect in phone.core.effects() if isinstance(effect, Send)]
    for _ in range(data.draw(st.integers(1, 4))):
        seed = data.draw(st.sampled_from([*SEEDS, *sent, *service.frames]))
        lines = seed.split("\r\n")
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(lines) - 1))
            kind = data.draw(st.integers(0, 3))
            if kind == 0:
                del lines[at : at + 1]
                lines = lines or [""]
            elif kind == 1:
                lines.insert(at, data.draw(st.sampled_from(LINES)))
            elif kind == 2:
                name, colon, _ = lines[at].partition(": ")
                lines[at] = name + colon + data.draw(st.text(max_size=30))
            else:
                cut = data.draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:cut] + data.draw(st.text(max_size=5)) + lines[at][cut + 1 :]
        phone.core.receive("\r\n".join(lines), pair.now)
        phone.core.tick(pair.now + data.draw(st.floats(0, 100)))
        for effect in phone.core.effects():
            # What refuses an unreadable request copies of it what is there.
            if isinstance(effect, Send) and effect.status not in (400, 505):
                parse(effect.text)
    assert call
