"""Who is in the group: whoever is heard, until silent for too long."""

import pytest

from agents.phone.presence import Presence

from .fakes import DESK, KIOSK, WALL


def presence() -> Presence:
    return Presence((DESK,), now=0.0, presence_time=2.0)


def test_a_window_is_news_once_and_again_when_something_of_it_changed() -> None:
    here = presence()
    assert not here.heard(DESK, 0.1)
    assert here.heard(KIOSK, 0.1)
    assert not here.heard(KIOSK, 0.2)
    assert [window.instance for window in here.windows()] == ["desk", "kiosk"]
    assert here.others("desk") == 1


def test_a_window_is_shown_with_sound_only_while_its_media_host_is_attached() -> None:
    here = presence()
    assert [window.media for window in here.windows()] == [False]
    here.host_attached("desk", 0.0)
    assert [window.media for window in here.windows()] == [True]
    here.heard(WALL, 0.1)
    here.host_attached("wall", 0.1)  # although it told that it has no sound
    assert [window.media for window in here.windows()] == [True, False]


@pytest.mark.parametrize("presence_time", [1.8, 2.0, 0.1])
def test_a_window_is_silent_at_the_very_deadline_whatever_rounding_makes_of_it(presence_time: float) -> None:
    for heard_at in (1000.1, 1000.3, 99999.7):
        presence = Presence((), now=0.0, presence_time=presence_time)
        presence.heard(DESK, heard_at)
        deadline = presence.next_deadline()
        assert deadline is not None
        assert presence.silent(deadline) == [DESK.instance]


def test_a_window_is_silent_after_the_presence_time_counted_from_the_last_word() -> None:
    here = presence()
    here.heard(KIOSK, 1.0)
    assert here.next_deadline() == 2.0
    assert here.silent(1.9) == []
    assert here.silent(2.0) == ["desk"]
    here.heard(DESK, 2.0)
    assert here.silent(3.0) == ["kiosk"]


def test_a_window_that_blocks_is_here_while_its_media_host_is_heard_and_its_sound_comes_back_with_it() -> (
    None
):
    here = presence()
    assert here.host_attached("desk", 1.0)
    assert not here.host_attached("desk", 1.5)
    assert here.silent(2.0) == []
    assert here.silent(3.5) == ["desk"]
    assert here.gone("desk")
    assert here.heard(DESK, 4.0)
    assert here.host_attached("desk", 4.0)
    assert [window.media for window in here.windows()] == [True]


def test_whoever_has_gone_is_news_once_and_hosts_no_sound_any_more() -> None:
    here = presence()
    here.host_attached("desk", 0.0)
    assert here.is_attached("desk")
    assert here.gone("desk")
    assert not here.gone("desk")
    assert not here.is_attached("desk")
    assert here.windows() == ()
    assert here.next_deadline() is None


def test_a_window_has_its_name_and_a_stranger_its_id() -> None:
    here = presence()
    assert here.name("desk") == "front desk"
    assert here.name(WALL.instance) == "wall"


def test_a_window_whose_sound_is_still_loading_has_sound_but_takes_no_commands_yet() -> None:
    here = presence()
    assert here.has_sound("desk")
    assert not here.is_attached("desk")
    here.heard(WALL, 0.1)
    assert not here.has_sound("wall")
    assert not here.has_sound("stranger")
