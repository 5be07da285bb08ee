import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.sip.digest import Challenge
from agents.sip.message import Headers, Request
from agents.sip.ringcentral import AgentMessage, Command, api_ids, call_info, call_message, digest_uri
from shared.errors import SipError

P_RC = (
    '<Msg><Hdr SID="35464233129848" Req="{EEB7D831-D9D9-4815-9631-EEC476D21BD4}" '
    'From="#996016@sip.ringcentral.com:5060" To="17206666666*115" Cmd="6"/>'
    '<Bdy SrvLvl="-149699523" Phn="+16506666666" Nm="WIRELESS CALLER" RecUrl=""/></Msg>'
)


def test_the_document_of_a_call_is_read() -> None:
    message = AgentMessage.parse(P_RC)

    assert (message.sid, message.command) == ("35464233129848", Command.INCOMING_CALL)
    assert message.sender == "#996016@sip.ringcentral.com:5060"
    assert message.body["Nm"] == "WIRELESS CALLER"
    assert message.client is None


def test_it_is_written_as_it_was_read() -> None:
    assert AgentMessage.parse(P_RC).encode() == P_RC


def test_a_reply_swaps_the_parties_and_keeps_what_names_the_call() -> None:
    reply = AgentMessage.parse(P_RC).reply(Command.CLIENT_RECEIVE_CONFIRM, {"Cln": "8023"})

    assert reply.encode() == (
        '<Msg><Hdr SID="35464233129848" Req="{EEB7D831-D9D9-4815-9631-EEC476D21BD4}" '
        'From="17206666666*115" To="#996016@sip.ringcentral.com:5060" Cmd="17"/><Bdy Cln="8023"/></Msg>'
    )


@given(st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,9}", fullmatch=True), st.text(max_size=20)))
def test_any_attribute_survives_and_stays_on_one_line(body: dict[str, str]) -> None:
    text = AgentMessage("1", "2", "3", "4", 14, body).encode()

    assert "\r" not in text
    assert "\n" not in text
    read = AgentMessage.parse(text).body
    # NUL cannot stand in XML.
    assert read == {name: value.replace("\0", "") for name, value in body.items()}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<Msg/>",
        "hello",
        '<Msg><Hdr SID="1"/><Bdy a="b"/></Msg>',
        '<Msg><Hdr SID="1" Cmd="x"/></Msg>',
        '<Msg><Hdr SID="1" Cmd="\u0667"/></Msg>',
        '<Msg><Hdr SID="1" Cmd="99999999999"/></Msg>',
        '<!DOCTYPE Msg [<!ENTITY a "b">]>' + P_RC,
        P_RC.replace("<Bdy", "<!-- --><Bdy"),
        P_RC.replace("<Bdy", "<?php ?><Bdy"),
        P_RC + " " * 20_000,
        P_RC.replace('SID="', 'SID="&nbsp;'),
        P_RC.replace('SID="', 'SID="&lol;'),
        P_RC.replace('SID="', 'SID="&#0;'),
        P_RC.replace('SID="', 'SID="&#xD800;'),
        P_RC.replace('SID="', 'SID="&#x;'),
        P_RC.replace('SID="', 'SID="&#99999999;'),
        "<Msg><Hdr" + " " * 16_000,
    ],
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(SipError):
        AgentMessage.parse(text)


def test_the_entities_of_xml_itself_are_read() -> None:
    text = '<Msg><Hdr SID="&amp;lt; &#65;&#x42;&apos;&quot;&gt;" Cmd="6"/><Bdy Nm="A&B"/></Msg>'
    message = AgentMessage.parse(text)

    assert message.sid == "&lt; AB'\">"
    assert message.body == {"Nm": "A&B"}


def test_a_declaration_before_the_document_is_fine() -> None:
    assert AgentMessage.parse('<?xml version="1.0"?>' + P_RC).command == 6


def test_a_call_whose_document_cannot_be_read_is_a_call_all_the_same() -> None:
    assert call_message(Headers([("P-rc", "<broken")])) is None
    assert call_message(Headers()) is None
    found = call_message(Headers([("P-rc", P_RC)]))
    assert found is not None
    assert found.sid == "35464233129848"


@pytest.mark.parametrize(
    "text", ["<Hdr" + " " * 16_000, "<Hdr a" * 2_000, '<Hdr a="' * 2_000, "<Msg" * 4_000]
)
def test_a_hostile_document_takes_linear_time(text: str) -> None:
    started = time.process_time()
    with pytest.raises(SipError):
        AgentMessage.parse(text)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("party-id=p-a0d17z18cf-1;session-id=s-a0d17z18cf", ("p-a0d17z18cf-1", "s-a0d17z18cf")),
        ("session-id=s-1;party-id=p-1-2", ("p-1-2", "s-1")),
        ("nothing", (None, None)),
    ],
)
def test_the_ids_of_the_rest_api_are_found(value: str, expected: tuple[str | None, str | None]) -> None:
    assert api_ids(Headers([("P-Rc-Api-Ids", value)])) == expected


def test_without_the_header_there_are_no_ids() -> None:
    assert api_ids(Headers()) == (None, None)


def test_the_call_info_of_a_queue_is_read() -> None:
    value = "callAttributes=queue-call,reject;queueName=Tyler's = queue;junk"

    assert call_info(Headers([("p-rc-api-call-info", value)])) == {
        "callAttributes": "queue-call,reject",
        "queueName": "Tyler's = queue",
    }
    assert call_info(Headers()) == {}


def test_only_the_old_digest_is_over_the_domain() -> None:
    request = Request("INVITE", "sip:101@sip.test", Headers())

    assert digest_uri(Challenge("r", "n"), request, "sip.test") == "sip:sip.test"
    assert digest_uri(Challenge("r", "n", "MD5"), request, "sip.test") == "sip:101@sip.test"
    assert digest_uri(Challenge("r", "n", None, ("auth",)), request, "sip.test") == "sip:101@sip.test"
