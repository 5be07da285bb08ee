import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.sip.address import NameAddr, Uri, parse_contacts
from shared.errors import SipError


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@sip.test",
        "sip:16506668888*101@sip.ringcentral.com",
        "sip:#996016@sip.ringcentral.com:5060",
        "sip:%231024016@sip.ringcentral.com",
        "sip:a1b2@a1b2.invalid;transport=wss",
        "sips:alice:secret@[2001:db8::1]:5061;lr;x=%20",
        "sip:sip.test",
        "sip:101@sip.test;transport=wss?Replaces=id%40h%3Bto-tag%3D1",
        "tel:+16505550100;phone-context=x",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(Uri.parse(text)) == text


def test_a_uri_is_read_into_its_parts() -> None:
    uri = Uri.parse("SIP:bob;x=1@Host.Test:5060;transport=WSS;lr?a=b")

    assert (uri.scheme, uri.user, uri.host, uri.port) == ("sip", "bob;x=1", "Host.Test", 5060)
    assert (uri.param("Transport"), uri.param("lr"), uri.param("ttl"), uri.headers) == (
        "WSS",
        "",
        None,
        "a=b",
    )


def test_the_same_resource_is_recognised_whatever_its_parameters() -> None:
    assert Uri.parse("sip:a@h;x=1").same_as(Uri.parse("sip:a@H"))
    assert not Uri.parse("sip:a@h").same_as(Uri.parse("sip:A@h"))
    assert not Uri.parse("sip:a@h").same_as(Uri.parse("sip:a@h:5060"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "sip:",
        ":x",
        "sip:a b@h",
        "sip:@h",
        "sip:a@",
        "sip:a@h:99999",
        "sip:a@h:x",
        "sip:a@b@c",
        "sip:<a>@h",
        "1sip:a@h",
        "tel:1 2",
        "sip:a@h;=x",
        'sip:a@h;x="b c"',
        "sip:a@h;x=>;tag=1",
        "sip:a@h?X=<b>",
        "sip:a@h;x\u2028y",
    ],
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(SipError):
        Uri.parse(text)


@pytest.mark.parametrize(
    ("value", "display", "user", "tag"),
    [
        ("<sip:a@h>;tag=1", "", "a", "1"),
        ("sip:a@h;tag=1", "", "a", "1"),
        ('"Dr: \\"Who\\", <MD>" <sip:a@h> ; tag=1', 'Dr: "Who", <MD>', "a", "1"),
        ("Alice Liddell <sip:a@h;x=y>;a=b;TAG=1", "Alice Liddell", "a", "1"),
        ('"" <sip:a@h>', "", "a", None),
        ("  <sip:a@h>  ", "", "a", None),
    ],
)
def test_an_address_is_read(value: str, display: str, user: str, tag: str | None) -> None:
    address = NameAddr.parse(value)

    assert (address.display, address.uri.user, address.tag) == (display, user, tag)


def test_a_contact_keeps_its_instance_as_it_is() -> None:
    text = '<sip:x@x.invalid;transport=wss>;+sip.instance="<urn:uuid:not-a-uuid>";expires=60'
    contact = NameAddr.parse(text)

    assert str(contact) == text
    assert contact.param("+sip.instance") == "<urn:uuid:not-a-uuid>"
    assert contact.param("expires") == "60"


def test_a_new_tag_replaces_the_old_one_and_comes_last() -> None:
    address = NameAddr.parse('"A" <sip:a@h>;tag=1;x=2')

    assert str(address.with_tag("9")) == '"A" <sip:a@h>;x=2;tag=9'
    assert str(address.with_tag(None)) == '"A" <sip:a@h>;x=2'


@pytest.mark.parametrize(
    "value", ["", "*", "<sip:a@h", '"open <sip:a@h>', 'sip:a@h"', "<sip:a@h>tag=1", "<>"]
)
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(SipError):
        NameAddr.parse(value)


def test_contacts_are_all_of_them_or_the_star() -> None:
    assert parse_contacts(["*"]) == "*"
    assert [str(contact) for contact in parse_contacts(["<sip:a@h>, <sip:b@h>;q=1", "<sip:c@h>"])] == [
        "<sip:a@h>",
        "<sip:b@h>;q=1",
        "<sip:c@h>",
    ]
    assert parse_contacts([]) == []
    with pytest.raises(SipError):
        parse_contacts(["*, <sip:a@h>"])


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for read in (NameAddr.parse, Uri.parse):
        try:
            again = read(str(read(text)))
        except SipError:
            continue
        assert str(again) == str(read(str(again)))


@given(st.text(st.characters(exclude_categories=["C"]), max_size=30))
def test_any_display_name_survives(display: str) -> None:
    address = NameAddr(Uri.parse("sip:a@h"), display)

    assert NameAddr.parse(str(address)).display == display


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:+16505550123@sip.test;user=phone", "+16505550123"),
        ("sip:%2B1650555%30123@sip.test", "+16505550123"),
        ("tel:+16505550123", "+16505550123"),
        ("tel:7042;phone-context=sip.test", "7042"),
        ("sip:sip.test", ""),
        ("mailto:ada@sip.test", ""),
    ],
)
def test_a_number_is_what_people_would_write(uri: str, number: str) -> None:
    assert Uri.parse(uri).number == number
