from types import SimpleNamespace
from typing import Any

import pytest

from agents.pbx.calls import Call
from agents.pbx.dialect import Caller, CallName
from agents.pbx.reoffers import answer_for
from agents.sip.sdp import Sdp
from shared.errors import SipError

FAR = (
    "v=0\r\no=- 9 3 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    "a=ice-ufrag:far\r\na=ice-pwd:p\r\na=setup:actpass\r\na=sendrecv\r\n"
)
OFFER = FAR.replace("ice-ufrag:far", "ice-ufrag:near")


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("sendonly", "recvonly"), ("inactive", "inactive"), ("sendrecv", "sendrecv"), ("recvonly", "sendonly")],
)
def test_hold_is_answered_with_the_far_ends_sound_seen_from_the_other_side(asked: str, answered: str) -> None:
    answer = Sdp.parse(answer_for(FAR, OFFER.replace("sendrecv", asked), 1))
    assert answer.direction == answered
    assert answer.attribute("ice-ufrag") == "far"
    assert answer.version == 4


@pytest.mark.parametrize(
    ("offered", "answered"), [("actpass", "active"), ("active", "passive"), ("passive", "active")]
)
def test_an_open_dtls_role_is_settled(offered: str, answered: str) -> None:
    answer = Sdp.parse(answer_for(FAR, OFFER.replace("actpass", offered), 1))
    assert answer.attribute("setup") == answered


def test_a_role_that_is_settled_stays() -> None:
    assert Sdp.parse(answer_for(FAR.replace("actpass", "passive"), OFFER, 1)).attribute("setup") == "passive"


def test_what_is_no_description_is_refused() -> None:
    with pytest.raises(SipError):
        answer_for(FAR, "nonsense", 1)


class FakeLeg:
    """An end that does as it is told."""

    name, number, party, holds, ends = "leg", "101", None, False, None

    def end(self, reason: str) -> None:
        pass


def make_call() -> Call:
    ledger = SimpleNamespace(record=lambda _event, **_facts: None)
    switch: Any = SimpleNamespace(ledger=ledger, call_over=lambda _call: None)
    leg: Any = FakeLeg()
    return Call(switch, "c1", CallName("ab"), leg, Caller("101", ""))


def test_who_follows_a_call_is_told_of_its_end_once_unless_he_has_left() -> None:
    call, told = make_call(), list[str]()
    call.when_over(lambda: told.append("stays"))
    leave = call.when_over(lambda: told.append("leaves"))
    leave()
    leave()
    for _ in range(2):
        call.hang_up("over")
    assert told == ["stays"]
