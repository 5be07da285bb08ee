import pytest

from agents.sip.outgoing import OWN_FIELDS, custom_fields, identity, target_uri
from shared.errors import ActionRefused, SipError

from .sip_pair import OFFER
from .sip_service import registered_phone

BREAKS = ["\r\nX: 1", "\n", "\r", "\0", "\x7f", "\x85", "\u2028", "\ud800"]


def test_a_number_an_extension_and_a_uri_can_be_called() -> None:
    assert target_uri("16505550101", "sip.test") == "sip:16505550101@sip.test"
    assert target_uri("*82#", "sip.test") == "sip:*82#@sip.test"
    assert target_uri("sip:bob@other.test;transport=wss", "sip.test") == "sip:bob@other.test;transport=wss"


@pytest.mark.parametrize(
    "target",
    [
        *("", " ", "1 2", "a@b@c", "<1>", '"1"', "1>;x=<2", "9" * 300),
        *("sip:", "sip:host.test", "sip:a@b?Route=%3Csip:evil%3E", "sip:a@b>;tag=1"),
        *(f"1650{piece}" for piece in BREAKS),
    ],
)
def test_what_would_say_more_than_a_number_is_not_called(target: str) -> None:
    with pytest.raises(SipError):
        target_uri(target, "sip.test")
    with pytest.raises(SipError):
        identity(target, "sip.test")


def test_a_caller_id_of_another_domain_is_not_asserted() -> None:
    assert identity("16505550100", "sip.test") == ("P-Asserted-Identity", "sip:16505550100@sip.test")
    for number in ("sip:16505550100@evil.test", "1,sip:2", "1;x=y", "1@sip.test,sip:2"):
        with pytest.raises(SipError):
            identity(number, "sip.test")


def test_a_header_field_of_ones_own_is_sent() -> None:
    fields = [("Replaces", "s-1;to-tag=a;from-tag=b;early-only"), ("X-Greeting", "hell\u00f6")]

    assert custom_fields(fields) == fields


@pytest.mark.parametrize("name", [*sorted(OWN_FIELDS), "VIA", "Content-Length", "", "X Y", "X:", "X\r\nY"])
def test_a_header_field_of_the_phone_cannot_be_added(name: str) -> None:
    with pytest.raises(SipError):
        custom_fields([(name, "1")])


@pytest.mark.parametrize("piece", [*BREAKS, "x" * 2_000])
def test_a_value_that_would_break_out_of_its_line_cannot_be_added(piece: str) -> None:
    with pytest.raises(SipError):
        custom_fields([("X-A", f"1{piece}")])


def test_a_phone_refuses_them_and_sends_nothing() -> None:
    pair, phone, _service = registered_phone()

    for options in ({"headers": [("Via", "x")]}, {"headers": [("X", "1")] * 40}, {"caller_id": "1\r\nX: 2"}):
        with pytest.raises(ActionRefused) as refused:
            phone.core.invite("102", OFFER, now=pair.now, **options)
        assert refused.value.code == "bad_request"

    assert phone.core.effects() == []
