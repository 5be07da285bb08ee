"""Texts of strangers: whatever a caller or the service says, what windows and logs get can be shown."""

import unicodedata

import pytest

from agents.phone import SendSip
from agents.sip.events import InviteReceived
from agents.sip.message import Request, make_response, parse
from shared.messages import CallState, Cause, Dial, Flip, Flipped, Replied, SendReply, Transfer
from shared.text import readable

from .fakes import WALL, Rig
from .service_talk import P_RC, asked, closed, ringing, tell
from .sip_pair import OFFER
from .talks import answered, refused

HOSTILE = "\x1b[2J\x07e\x7fvil\x9b31m\u202egnp\u2066"
SHOWN = "[2Jevil31mgnp"


@pytest.mark.parametrize(
    "name",
    [
        "Zoë Ångström",
        "山田\u3000太郎",
        "علی\u200cرضا",  # noqa: RUF001  # Persian
        "👩\u200d🔬",
        "क्\u200dष",
        "שלום\u200f",
        "a\u00a0b",
        "🏴\U000e0067\U000e007f",
    ],
)
def test_a_name_in_any_script_stays_whole(name: str) -> None:
    assert readable(name) == name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (HOSTILE, SHOWN),
        ("two\r\nlines\tand\u2028more", "two lines and more"),
        ("\ud83d alone", "alone"),
        ("x" * 300, "x" * 256),
        ("é" * 300, "é" * 256),
        ("\x1b" * 100_000 + "x", ""),
        ("", ""),
    ],
)
def test_what_a_terminal_would_obey_is_left_out_and_what_is_shown_is_bounded(text: str, shown: str) -> None:
    assert readable(text) == shown


def test_no_control_character_of_unicode_is_let_through() -> None:
    kept = {char for code in range(0x3000) if (char := chr(code)) and readable(f"a{char}b") != "ab"}
    assert not {char for char in kept if unicodedata.category(char) in ("Cc", "Zl", "Zp")} - set(
        "\t\n\v\f\r\x85\u2028\u2029"
    )
    assert not {
        char for char in kept if unicodedata.bidirectional(char) in ("LRE", "RLE", "LRO", "RLO", "PDF")
    }
    assert not {char for char in kept if unicodedata.bidirectional(char) in ("LRI", "RLI", "FSI", "PDI")}
    assert all(readable(f"a{char}b") == "a b" for char in "\t\n\v\f\r\x85\u2028\u2029")


# -- through the whole phone


def test_a_caller_shows_its_name_and_nothing_that_a_terminal_obeys() -> None:
    rig = Rig()
    rig.far.invite(
        rig.contact,
        from_=f'"Ada \\\x07{HOSTILE}" <sip:+1650\x9b5550123\u202e@sip.test>',  # one escaped as SIP does it
        to="<sip:101\x7f@sip.test>",
        sdp=OFFER,
        now=rig.now,
        headers=[
            ("P-rc", P_RC.encode().replace("Front Desk", HOSTILE)),
            ("p-rc-api-call-info", f"callerIdName{HOSTILE}=Ada {HOSTILE};queueName=山田\u3000太郎"),
        ],
    )
    rig.run()
    call = rig.call()
    assert (call.remote_name, call.remote_number) == (f"Ada {SHOWN}", "+16505550123")
    assert (call.local_name, call.local_number) == (SHOWN, "101")
    assert call.call_info == {f"callerIdName{SHOWN}": f"Ada {SHOWN}", "queueName": "山田\u3000太郎"}


def test_a_caller_without_a_name_has_the_one_that_the_service_knows_it_by() -> None:
    rig = Rig()
    document = P_RC.encode().replace('"ADA"', f'"Ana {HOSTILE}"')
    rig.far.invite(
        rig.contact,
        from_="<sip:199@sip.test>",
        to="<sip:101@sip.test>",
        sdp=OFFER,
        now=rig.now,
        headers=[("P-rc", document)],
    )
    rig.run()
    assert rig.call().remote_name == f"Ana {SHOWN}"


def test_the_reason_of_a_refusal_can_be_shown() -> None:
    rig = Rig()
    rig.ask(Dial(target="199"))
    rig.run()
    [invited] = [event for event in rig.far_events if isinstance(event, InviteReceived)]
    rig.far.reject(invited.session_id, 486, rig.now, reason=f"Occupé {HOSTILE}")
    rig.run()
    assert (rig.call().state, rig.call().reason) == (CallState.FAILED, f"Occupé {SHOWN}")


def test_the_reason_of_a_hang_up_can_be_shown() -> None:
    rig = Rig()
    talk = answered(rig)
    rig.far.hangup(talk.session, rig.now, headers=[("Reason", f'SIP;cause=600;text="{HOSTILE}"')])
    rig.run()
    assert (talk.view.cause, talk.view.reason) == (Cause.HUNG_UP_THERE, SHOWN)


def test_the_reason_of_a_failed_transfer_can_be_shown() -> None:
    rig = Rig()
    talk = answered(rig)
    request = rig.ask(Transfer(call_id=talk.call_id, target="199"), WALL)
    rig.run()
    talk.answer_refer(202)
    talk.notify(f"486 {HOSTILE}")
    assert refused(rig.answer_to(request), "far_end").message == f"the transfer failed: 486 {SHOWN}"


def test_what_a_flip_returns_can_be_shown() -> None:
    rig = Rig()
    talk = answered(rig)
    request = rig.ask(Flip(call_id=talk.call_id, target="102"), WALL)
    rig.run()
    asked(rig)
    tell(talk, 1, "callflip", number=HOSTILE)
    assert getattr(rig.answer_to(request), "value", None) == Flipped(number=SHOWN)


def test_what_the_caller_of_a_reply_chose_can_be_shown() -> None:
    rig = Rig()
    call_id, session = ringing(rig)
    request = rig.ask(SendReply(call_id=call_id, text="soon"), WALL)
    rig.run()
    rig.hang_up_far(session)
    rig.tell(closed(Sts="0", Resp="3", ExtNfo=HOSTILE, Phn=HOSTILE, Nm=HOSTILE))
    chosen = Replied(answer="urgent", callback=SHOWN, number=SHOWN, name=SHOWN)
    assert getattr(rig.answer_to(request), "value", None) == chosen


def test_what_the_registrar_says_can_be_shown() -> None:
    rig = Rig(register=False)
    rig.core.connected(rig.now)
    [sent] = [effect for effect in rig.core.effects(rig.now) if isinstance(effect, SendSip)]
    asked_for = parse(sent.text)
    assert isinstance(asked_for, Request)
    rig.core.received(make_response(asked_for, 603, f"Too Many {HOSTILE}").encode(), rig.now)
    rig.run()
    assert rig.snapshot.registration.detail.startswith(f"603 Too Many {SHOWN}: five devices")
