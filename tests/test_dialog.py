import json

import pytest

from agents.sip.dialog import Dialog, Endpoint
from agents.sip.message import Headers, Request, Response, make_response
from shared.errors import SipError

US = Endpoint("us.invalid", "<sip:us@us.invalid;transport=wss>")
THEM = [("Contact", "<sip:b@10.0.0.2:5060;transport=wss>;expires=60")]


def invite(*extra: tuple[str, str]) -> Request:
    fields = [
        ("Via", "SIP/2.0/WSS us.invalid;branch=z9hG4bK-1"),
        ("From", "<sip:a@h>;tag=a1"),
        ("To", '"Bob" <sip:b@h>'),
        ("Call-Id", "call"),
        ("CSeq", "7 INVITE"),
        ("Contact", "<sip:us@us.invalid>"),
        *extra,
    ]
    return Request("INVITE", "sip:b@h", Headers(fields))


def ok(*extra: tuple[str, str]) -> Response:
    return make_response(invite(), 200, to_tag="b1", headers=[*THEM, *extra])


def caller(*extra: tuple[str, str]) -> Dialog:
    return Dialog.from_response(invite(), ok(*extra))


def callee(*extra: tuple[str, str]) -> Dialog:
    return Dialog.from_request(invite(*extra), local_tag="b1", first_cseq=100)


def test_the_callers_requests_go_to_the_contact_and_count_on() -> None:
    dialog, bye = caller().request("BYE", US, "2")

    assert bye.uri == "sip:b@10.0.0.2:5060;transport=wss"
    assert bye.headers.items() == [
        ("Via", "SIP/2.0/WSS us.invalid;branch=z9hG4bK-2"),
        ("Max-Forwards", "70"),
        ("From", "<sip:a@h>;tag=a1"),
        ("To", '"Bob" <sip:b@h>;tag=b1'),
        ("Call-Id", "call"),
        ("CSeq", "8 BYE"),
        ("User-Agent", "sharedline"),
    ]
    assert dialog.request("INFO", US, "3")[1].cseq == (9, "INFO")


def test_the_callees_requests_begin_at_its_own_number_with_from_and_to_swapped() -> None:
    _, request = callee().request("INVITE", US, "2", headers=[("X", "y")], body="v=0\r\n")

    assert request.cseq == (100, "INVITE")
    assert request.from_.tag == "b1"
    assert request.to.tag == "a1"
    assert request.headers.get("Contact") == US.contact
    assert (request.headers.get("X"), request.body) == ("y", "v=0\r\n")


def test_the_caller_reverses_the_recorded_route_and_the_callee_does_not() -> None:
    routes = [("Record-Route", "<sip:p1;lr>, <sip:p2;lr>"), ("Record-Route", "<sip:p3;lr>")]

    assert caller(*routes).route_set == ("<sip:p3;lr>", "<sip:p2;lr>", "<sip:p1;lr>")
    assert callee(*routes).route_set == ("<sip:p1;lr>", "<sip:p2;lr>", "<sip:p3;lr>")
    _, request = callee(*routes).request("BYE", US, "2")
    assert request.headers.get_all("Route") == ["<sip:p1;lr>", "<sip:p2;lr>", "<sip:p3;lr>"]


def test_a_strict_router_becomes_the_request_uri() -> None:
    _, request = callee(("Record-Route", "<sip:p1>, <sip:p2;lr>")).request("BYE", US, "2")

    assert request.uri == "sip:p1"
    assert request.headers.get_all("Route") == ["<sip:p2;lr>", "<sip:us@us.invalid>"]


def test_the_ack_has_the_invites_number_and_credentials() -> None:
    ack = caller().ack(invite(("Proxy-Authorization", "Digest x=y")), US, "3")

    assert ack.cseq == (7, "ACK")
    assert ack.via.branch == "z9hG4bK-3"
    assert ack.headers.get("Proxy-Authorization") == "Digest x=y"


def test_an_answer_without_contact_leaves_the_address_called() -> None:
    response = ok()
    response.headers.remove("Contact")

    assert Dialog.from_response(invite(), response).remote_target == "sip:b@h"


def test_requests_of_the_peer_must_count_upwards() -> None:
    dialog = callee()
    request = invite()
    request.headers.set("CSeq", "6 INVITE")
    assert dialog.received(request) is None

    request.headers.set("CSeq", "8 INVITE")
    request.headers.set("Contact", "<sip:moved@elsewhere>")
    after = dialog.received(request)
    assert after is not None
    assert (after.remote_cseq, after.remote_target) == (8, "sip:us@us.invalid")
    assert after.refreshed(request).remote_target == "sip:moved@elsewhere"


def test_an_address_that_cannot_be_read_matters_only_where_it_would_move_the_peer() -> None:
    info = Request("INFO", "sip:x", invite().headers.copy())
    info.headers.set("CSeq", "8 INFO")
    info.headers.set("Contact", '"open <sip:moved@elsewhere>')

    after = callee().received(info)

    assert after is not None
    assert after.remote_target == "sip:us@us.invalid"
    info.method = "UPDATE"
    with pytest.raises(SipError):
        callee().received(info)


@pytest.mark.parametrize("dialog", [caller(("Record-Route", "<sip:p;lr>")), callee()])
def test_a_dialog_survives_as_json(dialog: Dialog) -> None:
    assert Dialog.restore(json.loads(json.dumps(dialog.export()))) == dialog


@pytest.mark.parametrize(
    "change",
    [
        {"remote": None},
        {"remote": ""},
        {"route_set": None},
        {"local_cseq": "7"},
        {"local_cseq": -1},
        {"remote_cseq": "x"},
        {"remote_target": "nowhere"},
        {"call_id": 5},
        {"is_caller": "yes"},
        {"route_set": [1]},
    ],
)
def test_what_is_no_exported_dialog_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(SipError):
        Dialog.restore({**caller().export(), **change})
