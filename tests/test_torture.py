"""The kinds of message that RFC 4475 collects, given to a phone: what it answers, and that it lives."""

import sys
from types import FrameType
from typing import Any

import pytest

from agents.sip.events import InviteReceived
from agents.sip.message import Request, parse
from agents.sip.transaction import Send
from agents.sip.user_agent import FrameDropped, UserAgent

from .sip_service import registered_phone
from .torture import ALL, BROKEN, TOLERATED, VALID, frame

#: First words of a kind: what a phone answers. None: nothing at all.
ANSWERS: dict[str, list[int]] = {
    "3.1.1.1": [100, 180],
    "3.1.1.2": [405],
    "3.1.1.3": [100, 180],
    "3.1.1.4": [405],  # a phone is no registrar
    "3.1.1.5": [405],
    "3.1.1.6": [200],
    "3.1.1.7": [100, 180],
    "3.1.1.8": [415],  # it is read, but a phone shows no text
    "3.1.1.9": [200],
    "3.1.1.10": [200],
    "3.1.1.11": [415],
    "3.1.1.12": [],
    "3.1.1.13": [],
    "3.1.2.5": [],
    "3.1.2.16": [505],
    "3.1.2.19": [],
    "3.3.2": [416],
    "3.3.3": [416],
    "3.3.5": [420],
    "3.3.6": [415],
    "3.3.15": [406],
    "3.1.2.12": [200],
    "3.1.2.13": [100, 180],
    "3.1.2.14": [200],
    "3.1.2.15": [200],
    "3.2.1": [200],
    "3.3.4": [405],
    "3.3.7": [405],
    "3.3.10": [],
    "3.3.11": [200],
    "3.3.12": [405],
    "3.3.13": [405],
    "3.3.14": [405],
    "3.4.1": [100, 180],
}


def give(text: str) -> tuple[UserAgent, list[Any], list[int]]:
    """Give a registered phone one frame; return it, its effects, and the statuses that it answered."""
    pair, phone, _service = registered_phone()
    core: UserAgent = phone.core
    core.receive(text, pair.now)
    effects = core.effects()
    answers = [effect.status for effect in effects if isinstance(effect, Send)]
    return core, effects, [status for status in answers if status is not None]


@pytest.mark.parametrize("kind", VALID)
def test_an_odd_message_that_is_right_is_read(kind: str) -> None:
    parse(frame(VALID[kind]))

    _, effects, statuses = give(frame(VALID[kind]))

    assert not [effect for effect in effects if isinstance(effect, FrameDropped)]
    assert statuses == ANSWERS[kind.split(maxsplit=1)[0]]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_request_is_refused_and_a_broken_response_dropped(kind: str) -> None:
    core, effects, statuses = give(frame(BROKEN[kind]))

    assert statuses == ANSWERS.get(kind.split(maxsplit=1)[0], [400])
    assert not [effect for effect in effects if isinstance(effect, InviteReceived)]
    assert core.registration_state == "registered"


@pytest.mark.parametrize("kind", TOLERATED)
def test_what_may_be_accepted_is_and_does_no_harm(kind: str) -> None:
    core, effects, statuses = give(frame(TOLERATED[kind]))

    assert statuses == ANSWERS[kind.split(maxsplit=1)[0]]
    assert not [effect for effect in effects if isinstance(effect, FrameDropped)]
    assert core.registration_state == "registered"


def test_every_section_of_the_rfc_has_its_message() -> None:
    sections = {kind.split()[0] for kind in ALL}

    assert sections == {
        *(f"3.1.1.{number}" for number in range(1, 14)),
        *(f"3.1.2.{number}" for number in range(1, 20)),
        "3.2.1",
        *(f"3.3.{number}" for number in range(1, 16)),
        "3.4.1",
    }
    assert len(ALL) == len(sections)


def test_what_lies_behind_the_body_is_not_a_second_message() -> None:
    message = parse(frame(VALID["3.1.1.8 more behind the body than it may have"]))

    assert isinstance(message, Request)
    assert message.body == "hello"


def test_the_odd_invite_means_what_it_says() -> None:
    message = parse(frame(VALID["3.1.1.1 folded lines, compact and mixed names, odd spaces"]))

    assert message.cseq == (31, "INVITE")
    assert message.from_.display == 'Carol \\"C"'
    assert message.from_.tag == "5gh"
    assert message.to.param("weight") == "77"
    assert message.via.branch == "older"
    assert [value.split()[0] for value in message.headers.get_list("Via")] == ["SIP", "SIP", "SIP"]
    assert message.headers.get("subject") == ""


def test_two_old_requests_without_branch_are_two() -> None:
    text = TOLERATED["3.4.1 a call as RFC 2543 made them"]
    core, _, _ = give(frame(text))

    core.receive(frame(text.replace("2543", "2544")), 1000.0)
    core.receive(frame(text), 1000.0)  # the first once more

    calls = [effect for effect in core.effects() if isinstance(effect, InviteReceived)]
    assert len(calls) == 1


def _steps(text: str) -> int:
    """Return how many lines of ours run for one frame."""
    pair, phone, _service = registered_phone()
    count = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        phone.core.receive(text, pair.now)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("kind", ALL)
def test_no_message_makes_much_work(kind: str) -> None:
    # A line takes some tenths of a microsecond, so that this is far below 10 ms.
    assert _steps(frame(ALL[kind])) < 8_000


@pytest.mark.parametrize(
    "line",
    [
        "Via: " + "SIP/2.0/WSS a," * 2_000,
        "From: " + '"' * 30_000,
        "To: " + "<" * 30_000,
        "Require: " + "a," * 15_000,
        "Contact: " + "<sip:a@b>;" * 3_000,
        "X: " + ";" * 30_000,
    ],
)
def test_work_grows_with_the_length_and_not_faster(line: str) -> None:
    text = frame(VALID["3.1.1.6 no space between a name and its bracket"])
    long = text.replace("\r\n\r\n", f"\r\n{line}\r\n\r\n")
    twice = text.replace("\r\n\r\n", f"\r\n{line[:3]} {line[3:]}{line[3:]}\r\n\r\n")

    assert _steps(twice) < 2.5 * _steps(long) + 1_000


#: Broken as they are, these can be read: nothing is dropped, and what wants an answer gets one.
READABLE = {
    "3.1.2.19 a status that overflows",
    "3.3.2 a scheme that nobody knows",
    "3.3.3 a scheme that is known, but not for calls",
    "3.3.5 extensions that nobody has",
    "3.3.6 a description in an unknown form",
    "3.3.15 an answer wanted in an unknown form",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_dropped_is_told_without_a_quote_of_it(kind: str) -> None:
    _, effects, _ = give(frame(BROKEN[kind]))

    dropped = [effect for effect in effects if isinstance(effect, FrameDropped)]
    assert len(dropped) == (kind not in READABLE)
    for effect in dropped:
        assert "carol" not in effect.reason
        assert effect.reason.isascii()
