from agents.pbx.salvage import bad_request
from agents.sip.message import Response, parse

TORN = (
    "INVITE sip:102@sip.test SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK-1\r\n"
    "From: <sip:a@sip.test>;tag=1\r\nTo: <sip:b@sip.test>\r\nCall-Id: c\r\nCSeq: 7 INVITE\r\nBroken\r\n\r\n"
)


def test_an_unreadable_request_gets_a_400_with_what_could_be_read() -> None:
    answer = parse(bad_request(TORN, "a line is no header field") or "")
    assert isinstance(answer, Response)
    assert (answer.status, answer.reason) == (400, "Bad Request: a line is no header field")
    assert answer.via.branch == "z9hG4bK-1"
    assert answer.cseq == (7, "INVITE")


def test_compact_names_are_understood() -> None:
    assert bad_request(TORN.replace("Via:", "v:").replace("Call-Id:", "i:"), "x") is not None


def test_what_nobody_waits_for_is_not_answered() -> None:
    for frame in (
        "hello",
        "SIP/2.0 200 OK\r\nVia: x\r\nCSeq: 1 BYE\r\n",
        TORN.replace("INVITE sip", "ACK sip"),
        TORN.replace("CSeq", "X-CSeq"),
        TORN.replace("Via", "X-Via"),
        "",
    ):
        assert bad_request(frame, "x") is None


def test_nothing_of_the_frame_or_the_reason_breaks_out_of_its_line() -> None:
    answer = bad_request(TORN, "a\r\nEvil: 1\0") or ""
    assert "\r\nEvil" not in answer
    parse(bad_request(TORN.replace("tag=1", "tag=1\nEvil: 1"), "x") or "")
