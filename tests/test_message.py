import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.sip.message import MAX_FRAME_CHARS, Headers, Request, Response, make_response, parse
from agents.sip.via import Via
from shared.errors import SipError

INVITE = (
    "INVITE sip:bob@sip.test SIP/2.0\r\n"
    "Via: SIP/2.0/WSS a.invalid;branch=z9hG4bK-1\r\n"
    "Via: SIP/2.0/UDP b.invalid:5070;branch=z9hG4bK-2\r\n"
    "Record-Route: <sip:proxy;lr>\r\n"
    'From: "Alice" <sip:alice@sip.test>;tag=a1\r\n'
    "To: <sip:bob@sip.test>\r\n"
    "Call-ID: call-1\r\n"
    "CSeq: 7 INVITE\r\n"
    "X-Odd:  spaced \r\n"
    "\r\n"
    "v=0\r\n"
)


def frame(**changes: str) -> str:
    """Return INVITE with header lines replaced: ``frame(CSeq="1 ACK")``."""
    lines = INVITE.split("\r\n")
    for name, value in changes.items():
        lines = [f"{name}: {value}" if line.startswith(f"{name}:") else line for line in lines]
    return "\r\n".join(lines)


def request(text: str = INVITE) -> Request:
    message = parse(text)
    assert isinstance(message, Request)
    return message


def test_a_request_is_read_into_its_parts() -> None:
    message = request()

    assert (message.method, message.uri, message.body) == ("INVITE", "sip:bob@sip.test", "v=0\r\n")
    assert message.call_id == "call-1"
    assert message.cseq == (7, "INVITE")
    assert message.via == Via("WSS", "a.invalid", (("branch", "z9hG4bK-1"),))
    assert message.via.branch == "z9hG4bK-1"
    assert (message.from_.display, message.from_.tag) == ("Alice", "a1")
    assert message.to.tag is None


def test_a_response_is_read_with_and_without_a_reason() -> None:
    tail = INVITE.split("\r\n", 1)[1]

    for line, reason in (("SIP/2.0 486 Busy Here", "Busy Here"), ("SIP/2.0 486 ", ""), ("SIP/2.0 486", "")):
        message = parse(f"{line}\r\n{tail}")
        assert isinstance(message, Response)
        assert (message.status, message.reason) == (486, reason)


def test_header_names_match_in_any_case_and_in_compact_form() -> None:
    message = request(INVITE.replace("Call-ID:", "i:").replace("From:", "f:").replace("X-Odd:", "x-odd:"))

    assert message.headers.get("CALL-id") == "call-1"
    assert message.from_.tag == "a1"
    assert message.headers.get("X-ODD") == "spaced"
    assert "c" not in message.headers


def test_a_folded_line_is_one_value() -> None:
    message = request(INVITE.replace("X-Odd:  spaced ", "X-Odd: one\r\n\t two\r\n   three"))

    assert message.headers.get("X-Odd") == "one two three"


def test_a_message_that_passes_through_keeps_its_lines() -> None:
    text = request().encode()

    assert text == INVITE.replace("X-Odd:  spaced ", "X-Odd: spaced\r\nContent-Length: 5")


@pytest.mark.parametrize(("length", "body"), [(7, "s=Zoë\r\n"), (8, "s=Zoë\r\n"), (3, "s=Z"), (0, "")])
def test_content_length_counts_bytes_or_characters_and_what_is_more_is_cut_off(
    length: int, body: str
) -> None:
    text = INVITE.replace("X-Odd:  spaced ", f"Content-Length: {length}").replace("v=0", "s=Zoë")
    message = request(text)

    assert message.body == body
    assert f"Content-Length: {len(body.encode())}\r\n" in message.encode()
    assert message.encode().count("Content-Length") == 1


def test_lists_are_split_at_commas_that_are_not_quoted() -> None:
    headers = Headers([("Contact", '"Ann, Bob" <sip:a,b@c>, <sip:d@e>'), ("Contact", "<sip:f@g>")])

    assert headers.get_list("m") == ['"Ann, Bob" <sip:a,b@c>', "<sip:d@e>", "<sip:f@g>"]


def test_headers_are_set_in_place_added_at_the_end_and_removed() -> None:
    headers = Headers([("Via", "1"), ("To", "x"), ("v", "2")])

    headers.set("VIA", "3")
    assert headers.items() == [("VIA", "3"), ("To", "x")]
    headers.add("To", "y")
    assert headers.get_all("t") == ["x", "y"]
    headers.remove("to")
    assert list(headers) == [("VIA", "3")]
    copy = headers.copy()
    copy.add("A", "b")
    assert len(headers) == 1
    assert copy != headers


def test_the_repr_shows_no_value() -> None:
    message = request(INVITE.replace("X-Odd:  spaced ", 'Authorization: Digest response="5ec2e7"'))
    message.body = "a=ice-pwd:5ec2e7"

    assert "5ec2e7" not in repr(message)
    assert "Authorization" in repr(message)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\r\n\r\n",
        "hello",
        "INVITE sip:bob@sip.test SIP/2.0\r\n\r\n",
        INVITE.replace("\r\n\r\n", "\r\n"),
        INVITE.replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia", 1),
        INVITE.replace("INVITE sip:bob@sip.test", "INVITE sip:bob @sip.test"),
        INVITE.replace("INVITE sip:bob@sip.test SIP/2.0", "SIP/2.0 999 What"),
        INVITE.replace("INVITE sip:bob@sip.test SIP/2.0", "SIP/2.0 \u0662\u0660\u0660 OK"),
        INVITE.replace("X-Odd:  spaced ", "no colon"),
        INVITE.replace("X-Odd:", "X Odd:"),
        INVITE.replace("X-Odd:  spaced ", ": no name"),
        INVITE.replace("SIP/2.0\r\n", "SIP/2.0\r\n folded first\r\n", 1),
        INVITE.replace("X-Odd:  spaced ", "X-Odd: lone\nfeed"),
        INVITE.replace("X-Odd:  spaced ", "X-Odd: lone\rreturn"),
        INVITE.replace("X-Odd:  spaced ", "X-Odd: \0"),
        INVITE.replace("Via: ", "X-Via: "),
        INVITE.replace("Call-ID: call-1\r\n", ""),
        INVITE.replace("X-Odd:  spaced ", "Call-Id: another"),
        INVITE.replace("X-Odd:  spaced ", "t: <sip:eve@sip.test>"),
        frame(CSeq="7 BYE"),
        frame(CSeq="x INVITE"),
        frame(CSeq="4294967296 INVITE"),
        frame(CSeq="9" * 5000 + " INVITE"),
        frame(CSeq="\u0667 INVITE"),
        INVITE + "x" * MAX_FRAME_CHARS,
    ],
)
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(SipError):
        parse(text)


def test_empty_lines_before_a_message_are_passed_over() -> None:
    assert request("\r\n\r\n" + INVITE).method == "INVITE"


@pytest.mark.parametrize("bad", ["a\r\nContact: <sip:eve@evil>", "a\nb", "a\rb", "a\0b"])
def test_a_value_cannot_break_out_of_its_line(bad: str) -> None:
    for message in (
        Request("INVITE", "sip:a", Headers([("X-Name", bad)])),
        Request("INVITE", bad, Headers()),
        Request(bad, "sip:a", Headers()),
        Response(200, bad, Headers()),
    ):
        with pytest.raises(SipError):
            message.encode()


@pytest.mark.parametrize(
    "message",
    [
        Request("IN VITE", "sip:a", Headers()),
        Request("INVITE", "sip:a b", Headers()),
        Request("INVITE", "", Headers()),
        Request("INVITE", "sip:a", Headers([("X", "\ud800")])),
        Request("INVITE", "sip:a", Headers(), "\ud800"),
        Response(99, "", Headers()),
        Response(700, "", Headers()),
    ],
)
def test_what_cannot_be_written_is_refused(message: Request | Response) -> None:
    with pytest.raises(SipError):
        message.encode()


@pytest.mark.parametrize("name", ["X Y", "", "X:", "X\r\nContact", "X\0", "\u00e4"])
def test_a_field_whose_name_is_none_is_refused(name: str) -> None:
    with pytest.raises(SipError):
        Headers([(name, "z")])
    for write in (Headers().add, Headers().set):
        with pytest.raises(SipError):
            write(name, "z")


def test_a_response_copies_what_it_must_and_names_it_as_ringcentrals_clients_want() -> None:
    response = make_response(request(), 200, to_tag="b1", headers=[("Contact", "<sip:b@c>")], body="v=0\r\n")

    assert response.encode() == (
        "SIP/2.0 200 OK\r\n"
        "Via: SIP/2.0/WSS a.invalid;branch=z9hG4bK-1\r\n"
        "Via: SIP/2.0/UDP b.invalid:5070;branch=z9hG4bK-2\r\n"
        "Record-Route: <sip:proxy;lr>\r\n"
        'From: "Alice" <sip:alice@sip.test>;tag=a1\r\n'
        "To: <sip:bob@sip.test>;tag=b1\r\n"
        "Call-Id: call-1\r\n"
        "CSeq: 7 INVITE\r\n"
        "Contact: <sip:b@c>\r\n"
        "Content-Length: 5\r\n"
        "\r\n"
        "v=0\r\n"
    )


def test_100_has_no_tag_and_a_tag_that_is_there_stays() -> None:
    assert make_response(request(), 100, to_tag="b1").to.tag is None
    in_dialog = request(frame(To="<sip:bob@sip.test>;tag=old"))
    assert make_response(in_dialog, 200, to_tag="new").headers.get("To") == "<sip:bob@sip.test>;tag=old"


def test_a_reason_of_ones_own_replaces_the_usual_one() -> None:
    assert make_response(request(), 603, "Too Many Contacts").reason == "Too Many Contacts"
    assert make_response(request(), 699).reason == ""


@pytest.mark.parametrize(
    "value", ["", "SIP/2.0 a", "HTTP/1.1/WSS a", "SIP/2.0/WSS", 'SIP/2.0/WSS a;branch="open']
)
def test_an_unreadable_via_is_refused_when_asked_for(value: str) -> None:
    message = request(frame(Via=value).replace("Via: SIP/2.0/UDP b.invalid:5070;branch=z9hG4bK-2\r\n", ""))

    with pytest.raises(SipError):
        _ = message.via


def test_via_tolerates_the_spaces_that_the_grammar_allows() -> None:
    assert Via.parse("SIP / 2.0 / WSS  Host.Invalid : 5060 ;branch=x") == Via(
        "WSS", "host.invalid:5060", (("branch", "x"),)
    )


@given(st.text(max_size=300), st.integers(0, len(INVITE)), st.integers(0, 40))
def test_no_damage_makes_the_parser_raise_anything_else(junk: str, at: int, cut: int) -> None:
    damaged = INVITE[:at] + junk + INVITE[at + cut :]
    try:
        message = parse(damaged)
        for read in (lambda: message.via, lambda: message.from_, lambda: message.to, message.encode):
            with contextlib.suppress(SipError):
                read()
    except SipError:
        pass


@pytest.mark.parametrize("filler", [" ", "\t", '"', "<", ";", ",", "a", "a=", '\\"', "a b ", ": "])
def test_a_hostile_value_takes_linear_time(filler: str) -> None:
    value = filler * (60_000 // len(filler))
    text = frame(From=value, To=value, Via=value)
    started = time.process_time()
    try:
        message = parse(text)
    except SipError:
        return
    for name in ("via", "from_", "to"):
        with contextlib.suppress(SipError):
            getattr(message, name)
    # Quadratic would be minutes.
    assert time.process_time() - started < 2.0
