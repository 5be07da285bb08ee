"""A registration with a flow (RFC 5626) and a GRUU (RFC 5627), and one without."""

import pytest

from agents.phone import KeepLine
from agents.sip.events import InviteReceived
from agents.sip.message import Request, Response, parse
from agents.sip.outbound import Granted
from agents.sip.registration import KeepAlive, RegistrationChanged

from .fakes import Rig
from .sip_pair import ANSWER, OFFER, End, Pair
from .sip_service import phone_and_service

GRUU = "sip:16505550100*101@sip.test;gr=urn:uuid:the-instance"
TEMPORARY = "sip:tgruu.7hs==@sip.test;gr"
ALL = "path, outbound, gruu"


def standard_service() -> tuple[Pair, End, End]:
    """Return a phone that is not connected yet, and a service that is not RingCentral's."""
    pair, phone, service = phone_and_service()
    service.core.algorithm = "SHA-256"
    return pair, phone, service


def register(pair: Pair, phone: End) -> list[str | None]:
    """Connect; return what each REGISTER offered. An offer of ``outbound`` goes with a ``reg-id``."""
    phone.core.connected(pair.now)
    pair.run()
    requests = [parse(frame) for frame in phone.frames if frame.startswith("REGISTER")]
    offers = [request.headers.get("Supported") for request in requests]
    for request, offer in zip(requests, offers, strict=True):
        assert (";reg-id=1;" in str(request.headers.get("Contact"))) == ("outbound" in str(offer))
    return offers


def state(phone: End) -> str:
    return [event for event in phone.events if isinstance(event, RegistrationChanged)][-1].state


def contact_of_a_call(pair: Pair, phone: End) -> str:
    phone.core.invite("102", OFFER, now=pair.now)
    pair.run()
    return parse(phone.frames[-1]).headers.get("Contact") or ""


def test_a_register_in_ringcentrals_dialect_has_nothing_of_it() -> None:
    pair, phone, _service = phone_and_service()
    register(pair, phone)
    pair.wait(120)
    assert len(phone.frames) > 3
    assert not [frame for frame in phone.frames if "Supported" in frame or "reg-id" in frame]


def test_a_challenge_of_the_standards_form_makes_the_phone_ask_for_a_flow_and_a_gruu() -> None:
    pair, phone, _service = standard_service()
    assert register(pair, phone) == [None, ALL]
    contact = parse(phone.frames[1]).headers.get("Contact") or ""
    assert contact.endswith(';+sip.instance="<urn:uuid:the-instance>";reg-id=1;expires=60')
    pair.wait(57)
    assert parse(phone.frames[2]).headers.get("Contact") == contact
    assert parse(phone.frames[2]).headers.get("Supported") == ALL


def test_what_a_service_is_counts_over_the_next_connection_too() -> None:
    pair, phone, service = standard_service()
    register(pair, phone)
    phone.core.disconnected(pair.now)
    phone.frames.clear()
    service.core.is_known = False
    assert register(pair, phone) == [ALL, ALL]


def test_the_public_gruu_is_the_contact_of_calls_in_both_directions() -> None:
    pair, phone, service = standard_service()
    service.core.contact_params = f';pub-gruu="{GRUU}";temp-gruu="{TEMPORARY}"'
    register(pair, phone)
    assert phone.core.granted == Granted(gruu=GRUU, temporary_gruu=TEMPORARY)
    assert contact_of_a_call(pair, phone) == f"<{GRUU}>"
    service.core.sessions.invite(
        f"{GRUU}", from_="<sip:102@sip.test>", to=f"<{GRUU}>", sdp=OFFER, now=pair.now
    )
    pair.run()
    ringing = next(event for event in phone.events if isinstance(event, InviteReceived))
    phone.core.answer(ringing.session_id, ANSWER, pair.now)
    pair.run()
    statuses = [frame.split()[1] for frame in phone.frames if f"Contact: <{GRUU}>\r\n" in frame]
    assert statuses[-2:] == ["180", "200"]
    assert "gr=" not in (parse(phone.frames[0]).headers.get("Contact") or "")


@pytest.mark.parametrize(
    "params",
    [
        ';pub-gruu="sip:101@sip.test"',
        ';pub-gruu="sip:101@sip.test;gr=x>;evil=y"',
        ';pub-gruu="tel:+1650;gr=x"',
        ";pub-gruu=",
        f';pub-gruu="sip:101@sip.test;gr={"x" * 600}"',
    ],
)
def test_what_is_no_gruu_is_not_named(params: str) -> None:
    pair, phone, service = standard_service()
    service.core.contact_params = params
    register(pair, phone)
    assert phone.core.granted == Granted()
    assert ".invalid;transport=wss>" in contact_of_a_call(pair, phone)


def test_the_gruu_of_another_phone_of_the_account_is_not_ours() -> None:
    pair, phone, service = standard_service()
    service.core.contact_params = ', <sip:other@x>;+sip.instance="<urn:uuid:other>";pub-gruu="sip:a@b;gr=o"'
    register(pair, phone)
    assert phone.core.granted.gruu == ""


def test_a_registrar_that_keeps_the_flow_is_asked_to_use_it_where_there_is_no_gruu() -> None:
    pair, phone, service = standard_service()
    service.core.register_headers = [("Require", "outbound")]
    register(pair, phone)
    assert phone.core.granted == Granted(has_flow=True)
    assert contact_of_a_call(pair, phone).endswith(".invalid;transport=wss;ob>")


def test_a_flow_timer_asks_for_a_sign_of_life_after_four_fifths_of_it() -> None:
    pair, phone, service = standard_service()
    service.core.register_headers = [("Require", "outbound"), ("Flow-Timer", "10")]
    register(pair, phone)
    assert phone.events[-1] == KeepAlive(8.0)


@pytest.mark.parametrize("timer", ["", "0", "-1", "1e3", "99999999999"])
def test_a_flow_timer_that_is_none_is_passed_over(timer: str) -> None:
    pair, phone, service = standard_service()
    service.core.register_headers = [("Flow-Timer", timer)]
    register(pair, phone)
    assert not [event for event in phone.events if isinstance(event, KeepAlive)]
    assert state(phone) == "registered"


class Picky:
    """Refuses REGISTERs with the right password, one after the other as ``statuses`` say."""

    def __init__(self, service: End, statuses: list[tuple[int, str]]) -> None:
        self._service, self._statuses, self._answer = service.core, statuses, service.core._answer
        service.core._answer = self.answer

    def answer(self, key, request, status, reason, headers):  # type: ignore[no-untyped-def]
        if status == 200 and self._statuses:
            (status, name), self._service.is_known = self._statuses.pop(0), False
            headers = [(name, "outbound")] if name else []
        self._answer(key, request, status, reason, headers)


@pytest.mark.parametrize(
    ("status", "after"), [((439, ""), "path, gruu"), ((420, "Unsupported"), None), ((421, "Require"), None)]
)
def test_a_registrar_that_refuses_extensions_is_asked_without(
    status: tuple[int, str], after: str | None
) -> None:
    pair, phone, service = standard_service()
    Picky(service, [status])
    assert register(pair, phone) == [None, ALL, after, after]
    assert state(phone) == "registered"


def test_a_registrar_that_requires_an_extension_is_offered_them_all() -> None:
    pair, phone, service = phone_and_service()
    service.core._is_right = lambda request, name: True
    Picky(service, [(421, "Require")])
    assert register(pair, phone) == [None, ALL]
    assert state(phone) == "registered"


def test_a_registrar_that_is_never_content_is_given_up() -> None:
    pair, phone, service = phone_and_service()
    service.core._is_right = lambda request, name: True
    Picky(service, [(421, ""), (439, ""), (421, ""), (421, "")] + [(439, "")] * 20)
    assert register(pair, phone) == [None, ALL, "path, gruu", None]
    assert state(phone) == "failed"


def test_the_line_is_told_how_often_the_service_wants_a_sign_of_life() -> None:
    rig = Rig(register=False)
    rig.register_headers = [("Flow-Timer", "5")]
    rig.core.connected(rig.now)
    rig.run()
    assert KeepLine(4.0) in rig.effects


@pytest.mark.parametrize("is_standard", [True, False])
def test_where_the_service_is_not_ringcentrals_calls_say_that_update_is_taken(is_standard: bool) -> None:
    pair, phone, service = standard_service() if is_standard else phone_and_service()
    register(pair, phone)
    phone.core.invite("102", OFFER, now=pair.now)
    pair.run()
    service.core.sessions.invite(
        "sip:x@y.invalid", from_="<sip:102@sip.test>", to="<sip:101@sip.test>", sdp=OFFER, now=pair.now
    )
    pair.run()
    ringing = next(event for event in phone.events if isinstance(event, InviteReceived))
    phone.core.answer(ringing.session_id, ANSWER, pair.now)
    pair.run()

    told = [parse(frame) for frame in phone.frames if "CSeq: 1 INVITE" in frame or "200 OK" in frame]
    invite = next(message for message in told if isinstance(message, Request))
    answer = next(message for message in told if isinstance(message, Response) and message.body)
    for message in (invite, answer):
        assert ("UPDATE" in message.headers.get_list("Allow")) is is_standard  # RFC 3311 §5.1
