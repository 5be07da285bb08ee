"""What a phone's leg leaves when its call is over."""

import gc
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agents.pbx.dialect import CallName
from agents.pbx.phone_leg import PhoneLeg
from agents.pbx.settings import SimulatorSettings
from agents.sip.events import SessionEnded


class TheCall:
    """As much of a call as a leg tells at its end: it has the leg, and the leg has it."""

    def __init__(self, leg: PhoneLeg) -> None:
        self.leg, self.told = leg, list[str]()
        leg.ends = self  # type: ignore[assignment]  # it is told nothing else

    def ended(self, _leg: PhoneLeg, reason: str) -> None:
        self.told.append(reason)


def make_leg(directory: Path) -> PhoneLeg:
    exchange = SimpleNamespace(
        board=None, settings=SimulatorSettings(directory=directory), new_id=lambda: "1" * 32
    )
    phone: Any = SimpleNamespace(exchange=exchange, extension="101", legs={})
    leg = PhoneLeg(phone, CallName("ab"), is_caller=True, session_id="s1")
    phone.legs["s1"] = leg
    return leg


def test_a_leg_whose_session_has_ended_is_freed_with_its_call_without_the_garbage_collector(
    tmp_path: Path,
) -> None:
    call = TheCall(make_leg(tmp_path))
    leg = call.leg
    leg.state = "answered"
    kept: list[weakref.ref[Any]] = [weakref.ref(leg), weakref.ref(call)]

    gc.disable()
    try:
        leg.happened(SessionEnded("s1", "remote_bye", None, ""))
        assert call.told == ["remote_bye"]
        del leg, call
        assert [one() for one in kept] == [None, None]
    finally:
        gc.enable()
