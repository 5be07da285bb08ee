import re

import pytest

from agents.pbx.accounts import Subscriber
from agents.pbx.dialect import Caller, CallName, agent_message, clean, invitation
from agents.pbx.settings import Extension
from agents.sip.dialog import Endpoint
from agents.sip.message import Headers, parse
from agents.sip.ringcentral import AgentMessage, Command, call_info

CALLEE = Subscriber(Extension("101", "16505550101"), "16505550100*101", "801", "secret")
NAME = CallName("a0d17ee2d68ab18cf557d5de11dfee30")


def test_the_call_is_named_as_the_sdks_expressions_want_it() -> None:
    name, value = NAME.api_ids(2)
    assert name == "p-rc-api-ids"
    party = re.search(r"party-id=(p-[0-9a-fz]+?-\d);", value)
    session = re.search(r"session-id=(s-[0-9a-fz]+?)$", value)
    assert party is not None
    assert session is not None
    assert party[1] == f"p-{NAME.token}-2"
    assert session[1] == NAME.session_id == f"s-{NAME.token}"


def test_the_invitation_carries_a_document_that_the_phone_can_answer() -> None:
    _, to, headers = invitation(
        NAME, Caller("6505550123", "Ada"), CALLEE, domain="sip.test", request_id="{1}"
    )
    document = AgentMessage.parse(dict(headers)["P-rc"])
    assert document.command == Command.INCOMING_CALL
    assert document.body["Phn"] == "+16505550123"
    assert document.sid == NAME.sid
    assert to.tag is None
    assert to.uri.user == "16505550100*101"


@pytest.mark.parametrize(
    "name",
    [
        "Ada: Lovelace",
        "Ada:: Lovelace",
        "Ada::\t: :: Lovelace",
        "Ada:;Lovelace",
        'A "quoted" <name>',
        "Zoë\r\nEvil: 1",
        "\ud800",
        "x" * 500,
    ],
)
def test_no_name_of_a_caller_breaks_a_header_or_holds_what_the_oldest_sdk_splits_at(name: str) -> None:
    from_, _, headers = invitation(
        NAME, Caller("16505550123", clean(name), name), CALLEE, domain="sip.test", request_id="{1}"
    )
    for value in (str(from_), *(value for _, value in headers)):
        assert ": " not in value
        assert "\r" not in value
        assert "\n" not in value
        assert len(value) < 1000
        value.encode()


def test_an_extension_is_shown_as_it_is_and_a_full_number_with_its_plus() -> None:
    assert Caller("102", "").public_number == "102"
    assert (
        Caller("+16505550123", "").public_number == Caller("6505550123", "").public_number == "+16505550123"
    )


def test_an_agent_message_reads_as_one_and_is_for_the_callees_account() -> None:
    request = agent_message(
        NAME,
        CALLEE,
        Command.ALREADY_PROCESSED,
        target="sip:a@b.invalid;transport=wss",
        domain="sip.test",
        endpoint=Endpoint("127.0.0.1:1", "<sip:service@127.0.0.1>"),
        new_id="abc",
        cseq=218_000_001,
    )
    document = AgentMessage.parse(parse(request.encode()).body)
    assert (document.sid, document.command, document.client) == (NAME.sid, 7, "801")
    assert request.headers.get("Content-Type") == "x-rc/agent"


def headers_of(caller: Caller) -> dict[str, str]:
    return dict(invitation(NAME, caller, CALLEE, domain="sip.test", request_id="{1}")[2])


def test_a_queues_call_says_whose_it_is_and_can_only_be_answered_or_rejected() -> None:
    headers = headers_of(Caller("6505550123", "Ada; Lady", queue="Tyler's call queue=1"))
    assert call_info(Headers(list(headers.items()))) == {
        "callAttributes": "queue-call,reject",
        "callerIdName": "Ada  Lady",
        "displayInfo": "queueName",
        "displayInfoSub": "callerIdName",
        "queueName": "Tyler's call queue=1",
    }


def test_a_call_that_is_to_be_answered_by_itself_says_so() -> None:
    headers = headers_of(Caller("6505550123", "Ada", answer_after=1500))
    assert headers["Alert-Info"] == "Auto Answer"
    assert headers["Call-Info"].endswith(";Answer-After=1500")
    assert "Alert-Info" not in headers_of(Caller("6505550123", "Ada"))
