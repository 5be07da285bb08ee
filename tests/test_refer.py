"""What a REFER says and what its NOTIFYs report, friendly and hostile."""

from dataclasses import replace

import pytest

from agents.sip.dialog import Dialog
from agents.sip.message import Headers, Request
from agents.sip.refer import ReferTo, Replaced, is_about, parse_sipfrag, refer_to
from shared.errors import SipError

DIALOG = Dialog(
    call_id="c@1",
    local="<sip:me@sip.test>;tag=mine",
    remote="<sip:you@sip.test>;tag=yours",
    local_cseq=1,
    remote_cseq=None,
    remote_target="sip:you@sip.test",
    route_set=(),
    is_caller=True,
)


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("sip:16505550199@sip.ringcentral.com", "16505550199"),
        ("<sip:102@sip.test>", "102"),
        ('"Boss <3" <sip:102@sip.test;transport=wss>;x=y', "102"),
        ("sip:16505550100*102@sip.test;transport=wss", "16505550100*102"),
        ("<sip:%23102@sip.test>", "#102"),
        ("<sip:102@sip.test?Subject=hello>", "102"),
    ],
)
def test_a_target_is_read_in_both_spellings(value: str, target: str) -> None:
    assert ReferTo.parse(value) == ReferTo(target)


@pytest.mark.parametrize("bracket", [True, False])
def test_the_dialog_to_replace_is_read_as_the_sdk_writes_it(bracket: bool) -> None:
    uri = "sip:102@sip.ringcentral.com;transport=wss?Replaces=abc%40x%3Bto-tag%3Dt1%3Bfrom-tag%3Df1"
    value = f'"102@sip.ringcentral.com" <{uri}>' if bracket else uri.replace(";transport=wss", "")
    assert ReferTo.parse(value) == ReferTo("102", Replaced("abc@x", "t1", "f1"))


def test_what_we_write_can_be_read() -> None:
    assert ReferTo.parse(refer_to("*80#", "sip.test")) == ReferTo("*80#")
    read = ReferTo.parse(refer_to("102", "sip.test", DIALOG))
    assert read == ReferTo("102", Replaced("c@1", "yours", "mine"))
    odd = replace(DIALOG, call_id="a;b=c&d?e>f")
    with pytest.raises(SipError, match="Replaces"):
        # A ";" of a Call-ID cannot be told from the one before a tag; nobody makes such ids (RFC 3261 word).
        ReferTo.parse(refer_to("102", "sip.test", replace(odd, local="<sip:me@sip.test>")))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "102",
        "sip:sip.test",
        "tel:+16505550199",
        "<sip:102@sip.test",
        '"open <sip:102@sip.test>',
        "<sip:%0d%0aBYE@sip.test>",
        "<sip:%00@sip.test>",
        f"<sip:{'1' * 65}@sip.test>",
        "<sip:102@sip.test?Replaces=>",
        "<sip:102@sip.test?Replaces=abc>",
        "<sip:102@sip.test?Replaces=abc%3Bto-tag%3Dt>",
        "<sip:102@sip.test?Replaces=%3Bto-tag%3Dt%3Bfrom-tag%3Df>",
        "<sip:102@sip.test?Replaces=a%0D%0A%3Bto-tag%3Dt%3Bfrom-tag%3Df>",
        "<sip:102@sip.test?Replaces=a%3Bto-tag%3Dt%3Bfrom-tag%3Df&replaces=b%3Bto-tag%3Dt%3Bfrom-tag%3Df>",
    ],
)
def test_what_names_nobody_or_hides_something_is_refused(value: str) -> None:
    with pytest.raises(SipError):
        ReferTo.parse(value)


def test_a_hostile_value_takes_linear_time() -> None:
    for value in ('"' * 50_000, "<" * 50_000, "sip:1@h?Replaces=" + ";" * 50_000, "%" * 50_000):
        with pytest.raises(SipError):
            ReferTo.parse(value)


@pytest.mark.parametrize("target", ["", "a b", "1\r\nX: y", "<sip:1@h>", "1" * 65])
def test_no_target_can_break_out_of_its_header(target: str) -> None:
    with pytest.raises(SipError):
        refer_to(target, "sip.test")


def test_a_status_line_is_read_and_anything_else_is_none() -> None:
    assert parse_sipfrag("SIP/2.0 486 Busy Here\r\n") == (486, "Busy Here")
    assert parse_sipfrag("\r\nSIP/2.0 200") == (200, "")
    assert parse_sipfrag("SIP/2.0 700 No") is None
    assert parse_sipfrag("") is None


@pytest.mark.parametrize(
    ("event", "number", "expected"),
    [
        ("refer", 7, True),
        ("refer", None, True),
        ("Refer;id=7", 7, True),
        ("refer ; other=1;id=07", 7, True),
        ("refer;id=6", 7, False),
        ("refer;id=7", None, False),
        ("refer;id=x", 7, False),
        ("presence;id=7", 7, False),
        ('refer;"', 7, False),
        (None, 7, True),
    ],
)
def test_a_notify_names_the_refer_that_it_is_about_by_its_number(
    event: str | None, number: int | None, expected: bool
) -> None:
    notify = Request("NOTIFY", "sip:me@sip.test", Headers([("Event", event)] if event is not None else []))
    assert is_about(notify, number) is expected
