"""Verbs that are calls to numbers of the service: what is dialled, with which header, which keys follow."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from shared.conference import Conference
from shared.errors import ActionRefused
from shared.messages import Action, Dial, Done, SendDtmf, Version
from shared.phone import Phone
from shared.replica import CallAdded

from .fakes import FakeAgent, a_call, snapshot


def do(verb: str, *words: str, **options: Any) -> list[Action]:
    """Do a verb with a phone whose every call is answered at once; return the actions that it asked for."""
    agent = FakeAgent(snapshot=snapshot(1, 1))
    phone = Phone(agent)

    def answer(action: Action) -> Done:
        if isinstance(action, Dial):
            call = a_call("c1", direction="outbound", state="answered", media="connected")
            phone.apply([CallAdded(msgspec.structs.replace(call, remote_number=action.target))])
        return Done(action_id="a", version=Version(1, 1), call_id="c1")

    agent.answer = answer
    asyncio.run(getattr(phone, verb)(*words, **options))
    return agent.asked


TAGS = {"session_id": "s-1z2", "to_tag": "10.1-a", "from_tag": "b"}


@pytest.mark.parametrize(
    ("verb", "code"), [("monitor", "*80"), ("whisper", "*81"), ("barge", "*82"), ("take_over", "*83")]
)
def test_supervision_dials_its_code_and_says_whose_call(verb: str, code: str) -> None:
    assert do(verb, "102") == [Dial(target=code), SendDtmf(call_id="c1", tones="102#")]


@pytest.mark.parametrize("location", ["813", "*813"])
def test_a_parked_call_is_retrieved_by_a_star_and_its_place(location: str) -> None:
    assert do("retrieve", location) == [Dial(target="*813")]


def test_a_call_of_another_device_is_named_by_its_tags() -> None:
    value = "s-1z2;to-tag=10.1-a;from-tag=b;early-only"
    assert do("switch_here", "16505550199", **TAGS) == [
        Dial(target="16505550199", headers=(("Replaces", value),))
    ]


def test_a_privately_parked_call_is_named_with_its_tags_the_other_way_round() -> None:
    value = "s-1z2;to-tag=b;from-tag=10.1-a;early-only"
    assert do("retrieve_private", "42", **TAGS) == [Dial(target="prk42", headers=(("Replaces", value),))]


@pytest.mark.parametrize("verb", ["monitor", "take_over"])
def test_only_an_extension_can_be_supervised(verb: str) -> None:
    with pytest.raises(ActionRefused):
        do(verb, "102#1")


@pytest.mark.parametrize("name", list(TAGS))
def test_a_tag_that_would_break_out_of_its_header_is_refused(name: str) -> None:
    with pytest.raises(ActionRefused):
        do("switch_here", "1", **TAGS | {name: "a;b\r\nX: y"})


@dataclass
class FakeRooms:
    """A REST interface that makes one room, and notes whom it is to bring in."""

    session_id: str = "s-room"
    voice_call_token: str = "conf_1"
    brought: list[tuple[str, str, str]] = field(default_factory=list)

    async def create_conference(self) -> "FakeRooms":
        return self

    async def bring_in(self, conference: str, session_id: str, party_id: str) -> None:
        self.brought.append((conference, session_id, party_id))


def test_a_conference_is_dialled_by_its_token_and_invites_by_a_call_and_its_ids() -> None:
    rooms, agent = FakeRooms(), FakeAgent(snapshot=snapshot(1, 1))
    phone = Phone(agent)
    names = iter(("c1", "c2"))

    def answer(action: Action) -> Done:
        assert isinstance(action, Dial)
        name = next(names)
        facts = {"direction": "outbound", "state": "answered", "session_id": f"s-{name}"}
        phone.apply([CallAdded(a_call(name, party_id=f"p-{name}-1", **facts))])
        return Done(action_id="a", version=Version(1, 1), call_id=name)

    async def story() -> None:
        conference = await phone.conference(rooms)
        assert (conference.session_id, conference.call.call_id) == ("s-room", "c1")
        assert (await conference.invite("102")).call_id == "c2"

    agent.answer = answer
    asyncio.run(story())
    assert agent.asked == [Dial(target="conf_1"), Dial(target="102")]
    assert rooms.brought == [("s-room", "s-c2", "p-c2-1")]


def test_a_call_whose_ids_are_not_known_cannot_be_merged() -> None:
    phone = Phone(FakeAgent())
    phone.apply([CallAdded(a_call("c1", state="answered"))])
    conference = Conference(phone, FakeRooms(), "s-room", phone.calls[0])
    with pytest.raises(ActionRefused, match="ids"):
        asyncio.run(conference.merge(phone.calls[0]))
