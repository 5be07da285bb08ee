"""The phone for programs without an event loop has every verb of the other, with the same arguments."""

import asyncio
import inspect
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from coordinator.blocking import (
    BlockingCall,
    BlockingConference,
    BlockingConsultation,
    BlockingPhone,
    BlockingRecording,
    BlockingSound,
    _enter,
    _LineThread,
)
from shared.call import Call, Consultation
from shared.conference import Conference
from shared.errors import ActionRefused, OutcomeUnknown
from shared.phone import Phone
from shared.sound import Recording, Sound

from .fakes import FakeAgent

FACES = [
    (Call, BlockingCall),
    (Consultation, BlockingConsultation),
    (Conference, BlockingConference),
    (Phone, BlockingPhone),
    (Sound, BlockingSound),
    (Recording, BlockingRecording),
]


def verbs(kind: type) -> list[str]:
    return [
        name
        for name in dir(kind)
        if not name.startswith("_") and inspect.iscoroutinefunction(getattr(kind, name))
    ]


def arguments(verb: Any) -> list[tuple[str, Any, Any]]:
    parameters = list(inspect.signature(verb).parameters.values())
    return [(p.name, p.kind, p.default) for p in parameters if p.name != "time"]


@pytest.mark.parametrize(("kind", "face"), FACES)
def test_every_verb_has_one_that_waits_and_takes_the_same_arguments(kind: type, face: type) -> None:
    assert verbs(kind) != []
    for name in verbs(kind):
        verb = getattr(face, name)
        assert not inspect.iscoroutinefunction(verb), name
        assert arguments(verb) == arguments(getattr(kind, name)), name
        assert inspect.getdoc(verb), name


@pytest.mark.parametrize(("kind", "face"), FACES)
def test_every_attribute_of_state_can_be_read(kind: type, face: type) -> None:
    state = {name for name in dir(kind) if isinstance(getattr(kind, name), property)}
    assert {name for name in state if not isinstance(getattr(face, name, None), property)} == set()


def test_whoever_waits_when_the_line_ends_is_told_that_nobody_can_know() -> None:
    line = _LineThread()
    phone = line.run(_made())
    told: list[BaseException] = []

    def wait() -> None:
        try:
            BlockingPhone(line, phone).until(lambda: False)
        except OutcomeUnknown as exc:
            told.append(exc)

    thread = threading.Thread(target=wait)
    thread.start()
    while not line._waiting:  # it has asked
        thread.join(0.001)
    line.close()
    thread.join(10)
    assert len(told) == 1
    with pytest.raises(ActionRefused, match="has left"):
        BlockingPhone(line, phone).call("199")


def test_a_wait_has_an_end_if_one_is_given() -> None:
    line = _LineThread()
    phone = BlockingPhone(line, line.run(_made()))
    with pytest.raises(TimeoutError):
        phone.until(lambda: False, 0.01)
    with pytest.raises(ValueError, match="no event 'rings'"):
        phone.on("rings", print)  # type: ignore[call-overload]  # that is the mistake
    line.close()


def test_a_condition_that_waits_itself_is_a_bug_and_raises_instead_of_waiting_for_ever() -> None:
    line = _LineThread()
    phone = BlockingPhone(line, line.run(_made()))
    with pytest.raises(RuntimeError, match="look at the state only"):
        phone.until(lambda: bool(phone.dial("199")))
    phone.until(lambda: phone.calls == [])
    line.close()


def test_a_join_that_is_interrupted_leaves_before_the_line_is_gone() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def joining() -> AsyncIterator[Phone]:
        try:
            steps.append("joining")
            main = threading.main_thread().ident or 0
            asyncio.get_running_loop().call_later(0.05, signal.pthread_kill, main, signal.SIGUSR1)
            await asyncio.Event().wait()
            yield Phone(FakeAgent())
        finally:
            await asyncio.sleep(0.01)  # as whoever leaves politely
            steps.append("left")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), _enter(joining()):
            steps.append("joined")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert steps == ["joining", "left"]


async def _made() -> Phone:
    return Phone(FakeAgent())
