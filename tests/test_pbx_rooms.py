"""Who hears whom."""

from typing import Any

import pytest

from agents.pbx.media.room import Role, Room
from agents.pbx.media.tones import music, ringback
from agents.pbx.media.voices import Voice


class Person:
    """A party that only listens to what it is told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.hears: tuple[Voice, ...] = ()
        self.keys = ""

    def __repr__(self) -> str:
        return self.name

    def frame(self, tick: int) -> bytes:
        return self.name.encode()

    def hear(self, voices: tuple[Voice, ...]) -> None:
        self.hears = voices

    def press(self, key: str, by: Voice) -> None:
        self.keys += key


def people(*names: str) -> list[Any]:
    return [Person(name) for name in names]


def room_of(*parties: Any, has_music: bool = True) -> Room:
    room = Room(has_music=has_music)
    for party in parties:
        room.add(party)
    return room


def test_everybody_hears_all_others() -> None:
    ada, bob, eve = people("ada", "bob", "eve")
    room_of(ada, bob, eve)
    assert [set(one.hears) for one in (ada, bob, eve)] == [{bob, eve}, {ada, eve}, {ada, bob}]


def test_who_is_alone_hears_what_the_room_has_for_that_until_somebody_comes() -> None:
    ada, bob = people("ada", "bob")
    room = room_of(ada)
    room.alone = ringback()
    assert ada.hears == (ringback(),)
    room.add(bob)
    assert ada.hears == (bob,)
    room.remove(bob)
    assert ada.hears == (ringback(),)
    assert bob.hears == ()


def test_who_is_held_hears_music_and_the_holder_is_not_heard() -> None:
    ada, bob = people("ada", "bob")
    room = room_of(ada, bob)
    room.hold(ada, True)
    assert bob.hears == (music(),)
    assert ada.hears == (bob,)
    room.hold(ada, False)
    assert bob.hears == (ada,)


def test_a_conference_goes_on_without_music_when_somebody_holds_it() -> None:
    ada, bob, eve = people("ada", "bob", "eve")
    room = room_of(ada, bob, eve, has_music=False)
    room.hold(ada, True)
    assert (bob.hears, eve.hears) == ((eve,), (bob,))
    room.hold(eve, True)
    assert bob.hears == ()


@pytest.mark.parametrize(
    ("role", "agent_hears", "customer_hears"),
    [("monitors", False, False), ("whispers", True, False), ("barges", True, True)],
)
def test_a_supervisor_hears_both_and_is_heard_by_role(
    role: Role, agent_hears: bool, customer_hears: bool
) -> None:
    agent, customer, boss = people("agent", "customer", "boss")
    room = room_of(agent, customer)
    room.add(boss, role, agent=agent)
    assert set(boss.hears) == {agent, customer}
    assert (boss in agent.hears, boss in customer.hears) == (agent_hears, customer_hears)


def test_a_supervisor_who_listens_does_not_keep_a_held_customer_from_the_music() -> None:
    agent, customer, boss = people("agent", "customer", "boss")
    room = room_of(agent, customer)
    room.add(boss, "monitors", agent=agent)
    room.hold(agent, True)
    assert customer.hears == (music(),)


def test_whoever_acts_on_a_key_may_end_the_conversation() -> None:
    caller, menu, listener = people("caller", "menu", "listener")
    room = room_of(caller, menu, listener)
    menu.press = lambda key, by: room.clear()
    room.pressed(caller, "1")
    assert caller.hears == menu.hears == ()


def test_keys_reach_those_who_hear_whoever_presses_them() -> None:
    agent, customer, boss = people("agent", "customer", "boss")
    room = room_of(agent, customer)
    room.add(boss, "whispers", agent=agent)
    room.pressed(customer, "1")
    room.pressed(boss, "2")
    room.hold(agent, True)
    room.pressed(agent, "3")
    assert (agent.keys, customer.keys, boss.keys) == ("12", "", "1")


def test_a_recording_has_all_who_talk_and_do_not_hold() -> None:
    agent, customer, boss = people("agent", "customer", "boss")
    room = room_of(agent, customer)
    room.add(boss, "whispers", agent=agent)
    assert list(room.speakers()) == [agent, customer]
    room.hold(agent, True)
    assert list(room.speakers()) == [customer]
