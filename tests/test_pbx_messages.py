from pathlib import Path
from typing import Any

import pytest

from agents.pbx.dialect import CallName
from agents.pbx.messages import VOICEMAIL, Menu
from agents.pbx.replies import MENU
from agents.sip.ringcentral import Command


class FakePhone:
    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []

    def tell(self, name: CallName, command: Command, *, body: dict[str, str]) -> None:
        assert command is Command.SESSION_CLOSE
        self.told.append(body)


class FakeLeg:
    def __init__(self) -> None:
        self.phone = FakePhone()
        self.call_id = CallName("ab")


class FakeRobot:
    def __init__(self) -> None:
        self.did: list[object] = []
        self.on_key: Any = None
        self.on_end: Any = None

    def say(self, play: object) -> None:
        self.did.append(play)

    def leave(self) -> None:
        self.did.append("left")
        self.on_end()


def make_menu() -> tuple[Menu, FakeLeg, FakeRobot]:
    leg, robot = FakeLeg(), FakeRobot()
    return Menu(leg, robot, {"Phn": "+1650", "Nm": "A"}), leg, robot  # type: ignore[arg-type]  # fakes


@pytest.mark.parametrize(
    ("keys", "choice", "did"),
    [
        ("3", ("0", "1", ""), ["left"]),
        ("4", ("0", "2", ""), ["left"]),
        ("13", ("0", "1", ""), [MENU, "left"]),
        ("5650#1", ("0", "3", "650"), ["left"]),
        ("5650#2651#1", ("0", "3", "2651"), ["left"]),
        ("2", ("1", "", ""), [VOICEMAIL]),
        ("6", ("1", "", ""), ["left"]),
        ("33", ("0", "1", ""), ["left"]),
    ],
)
def test_the_callers_keys_choose_what_the_phone_that_replied_is_told_once(
    keys: str, choice: tuple[str, str, str], did: list[object]
) -> None:
    _menu, leg, robot = make_menu()
    for key in keys:
        robot.on_key(key)
    [told] = leg.phone.told
    assert (told["Sts"], told["Resp"], told["ExtNfo"]) == choice
    assert (told["Phn"], told["Nm"]) == ("+1650", "A")
    assert robot.did == did


def test_a_caller_who_hangs_up_without_a_choice_has_not_answered() -> None:
    _menu, leg, robot = make_menu()
    robot.on_key("9")
    assert leg.phone.told == []
    robot.on_end()
    assert [told["Sts"] for told in leg.phone.told] == ["1"]


def test_a_caller_who_wants_the_mailbox_is_heard_there_once() -> None:
    menu, _leg, robot = make_menu()
    expected: list[str] = []
    menu.on_voicemail = lambda: expected.append("message")
    for key in "22":
        robot.on_key(key)
    assert (robot.did, expected) == ([VOICEMAIL], ["message"])


def test_the_reply_itself_is_repeated() -> None:
    leg, robot = FakeLeg(), FakeRobot()
    Menu(leg, robot, {}, Path("reply.wav"))  # type: ignore[arg-type]  # fakes
    robot.on_key("1")
    assert robot.did == [Path("reply.wav")]
