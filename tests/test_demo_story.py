"""How the story is told: what it prints, and that it fails when a step is not observed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import cast

import pytest

from coordinator.demo.checks import NotObserved
from coordinator.demo.report import Report, ms, spread
from coordinator.demo.scene import Scene
from coordinator.demo.stage import Stage
from coordinator.demo.story import STEPS, Step, tell_story

NOWHERE = cast("Stage", None)


async def seen(_scene: Scene) -> AsyncIterator[str]:
    yield "something happened"


def failing(error: Exception) -> Callable[[Scene], AsyncIterator[str]]:
    async def step(_scene: Scene) -> AsyncIterator[str]:
        yield "it begins well"
        raise error

    return step


def told(*steps: Step) -> tuple[bool, list[str]]:
    lines: list[str] = []
    clock = iter(range(100))
    report = Report(lines.append, now=lambda: float(next(clock)))
    is_told = asyncio.run(tell_story(NOWHERE, report, steps))
    report.close(len(steps))
    return is_told, lines


def test_a_story_whose_steps_were_all_observed_says_so() -> None:
    is_told, lines = told(Step("one", seen), Step("two", seen))
    assert is_told
    assert lines[0].split() == ["1.000", "s", "one", "something", "happened"]
    assert lines[-1].endswith("2 of 2 steps: every step observed")


def test_a_step_that_was_not_observed_ends_the_story_and_names_what_was_not_tried() -> None:
    is_told, lines = told(
        Step("one", seen),
        Step("two", failing(NotObserved("two bindings at the registrar"))),
        Step("three", seen),
    )
    assert not is_told
    text = "\n".join(lines)
    assert "it begins well" in text
    assert "NOT SEEN    two: two bindings at the registrar" in text
    assert "NOT TRIED   three" in text
    assert lines[-1].endswith("1 of 3 steps: NOT every step observed")


def test_a_process_that_does_not_answer_is_a_step_not_observed() -> None:
    is_told, lines = told(Step("one", failing(TimeoutError())))
    assert not is_told
    assert "NOT SEEN    one: a process did not answer in time" in lines[1]


def test_a_mistake_in_the_demo_itself_is_not_hidden_as_a_step_not_observed() -> None:
    with pytest.raises(KeyError):
        told(Step("one", failing(KeyError("no such thing"))))


def test_the_story_has_every_step_that_it_promises_in_its_order() -> None:
    assert [step.title for step in STEPS] == [
        "service",
        "join",
        "ring",
        "answer",
        "speech",
        "hold",
        "unhold",
        "latecomer",
        "kill",
        "register",
        "call's fate",
        "next call",
        "hang up",
        "dial out",
        "far end",
        "leave",
        "ledger",
    ]


def test_figures_are_told_at_the_end_and_what_was_measured_twice_is_told_twice() -> None:
    lines: list[str] = []
    report = Report(lines.append, now=lambda: 0.0)
    report.figure("answer", "20 ms")
    report.figure("kill", "30 ms")
    report.figure("answer", "25 ms")
    assert lines == []
    report.close(0)
    assert [line.split(maxsplit=1) for line in lines[:2]] == [
        ["answer", "20 ms, then 25 ms"],
        ["kill", "30 ms"],
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0083, "8.3 ms"), (0.2104, "210 ms"), (1.44, "1.4 s"), (12.0, "12.0 s")]
)
def test_times_are_told_with_a_unit_that_fits(seconds: float, text: str) -> None:
    assert ms(seconds) == text


@pytest.mark.parametrize(
    ("times", "text"),
    [
        ([0.0091, 0.0083], "8.3-9.1 ms"),
        ([0.0083], "8.3 ms"),
        ([0.00831, 0.00832], "8.3 ms"),
        ([0.5, 1.5], "500 ms-1.5 s"),
    ],
)
def test_several_times_are_told_as_first_and_last(times: Sequence[float], text: str) -> None:
    assert spread(times) == text
