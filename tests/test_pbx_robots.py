"""What is known of robots, without a call."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.pbx.ledger import Ledger
from agents.pbx.robots import Robots, Stage
from agents.pbx.settings import SimulatorSettings
from shared.errors import ActionRefused


@pytest.fixture
def robots(tmp_path: Path) -> Iterator[Robots]:
    ledger = Ledger(tmp_path / "ledger.ndjson")
    yield Robots(Stage(SimulatorSettings(directory=tmp_path), ledger))
    ledger.close()


def test_a_robot_remembers_the_last_thousand_keys_that_were_pressed(robots: Robots) -> None:
    robot = robots.make("199", calls=False)
    for number in range(2500):
        robot._key_pressed(str(number % 10))
    assert robot.robot_view().keys == "0123456789" * 100


def test_robots_are_found_by_name_and_a_hundred_that_ended_are_remembered(robots: Robots) -> None:
    first = robots.make("199", calls=False)
    assert robots.get(first.name) is first
    for _ in range(110):
        robots.make("199", calls=False).end("over")
    robots.make("199", calls=False)
    assert first in robots.all()
    assert sum(robot.state == "ended" for robot in robots.all()) == 100
    with pytest.raises(ActionRefused, match="there is no robot 'r2'"):
        robots.get("r2")


class TheCall:
    """What a robot tells."""

    def __init__(self) -> None:
        self.told: list[tuple[object, str]] = []

    def ended(self, leg: object, reason: str) -> None:
        self.told.append((leg, reason))


def test_a_robot_that_has_ended_keeps_neither_its_call_nor_its_sound(robots: Robots) -> None:
    robot, call = robots.make("199", calls=True), TheCall()
    robot.ends = call  # type: ignore[assignment]  # as much of it as is used
    robot.open()
    assert robot.party is not None
    robot.party.step(1)
    kept: list[weakref.ref[Any]] = [
        weakref.ref(call),
        weakref.ref(robot.party),
        weakref.ref(robot.party.mouth),
    ]

    robot.hang_up()

    assert call.told == [(robot, "robot hung up")]
    assert robot.robot_view().seconds == 0.02
    del call
    gc.collect()
    assert [one() for one in kept] == [None] * 3
    with pytest.raises(ActionRefused, match="has no call: robot hung up"):
        robot.hang_up()
