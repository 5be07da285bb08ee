"""Whatever a peer sends or an owner asks for: a phone refuses it, drops it or goes on, and never raises."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.sip.events import InviteReceived
from agents.sip.message import MAX_FRAME_CHARS, parse
from agents.sip.ringcentral import Command
from agents.sip.transaction import Send
from agents.sip.user_agent import FrameDropped, UserAgent
from shared.errors import AccountError, ActionRefused

from .frames import FRAMES, read_frame
from .sip_calls import outgoing_call
from .sip_pair import ANSWER, OFFER, id_factory
from .sip_service import ACCOUNT, phone_and_service, registered_phone


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


@pytest.mark.parametrize("damage", ["Cmd=", "<Msg>", 'From="#996016@sip.test:5060"'])
def test_a_damaged_document_does_not_stop_the_ringing(damage: str) -> None:
    _, phone, _ = registered_phone()
    frame = read_frame("inbound-invite").replace(damage, 'From="no address" ' if damage[0] == "F" else "")

    phone.core.receive(frame, 1000.0)

    statuses = [effect.status for effect in phone.core.effects() if isinstance(effect, Send)]
    assert statuses[:2] == [100, 180]


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
    phone.core.invite("102", OFFER, now=pair.now)
    pair.run()
    service.core.sessions.answer(service.events[-1].session_id, ANSWER, pair.now)
    pair.run()

    shown = repr(effects) + repr(phone.events) + repr(service.events)
    for kind in ("Send(", "InviteReceived(", "SessionAnswered("):
        assert kind in shown
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
