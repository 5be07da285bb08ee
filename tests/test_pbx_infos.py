import json
from typing import Any

import pytest

from agents.pbx.infos import obey
from agents.pbx.parking import Lot


class FakeLeg:
    ends: Any = None
    party = None
    number = "1"


class FakeTransfers:
    def __init__(self) -> None:
        self.lot = Lot()

    def park(self, call: "FakeCall", leg: Any, place: str) -> None:
        call.released.append(leg)
        self.lot.park(leg, place)


class FakeSwitch:
    def __init__(self) -> None:
        self.transfers = FakeTransfers()


class FakeCall:
    """A call of two phones, whose sound does not pass the service."""

    def __init__(self) -> None:
        self.switch, self.transfer, self.far = FakeSwitch(), None, FakeLeg()
        self.recording = None
        self.released: list[FakeLeg] = []

    def other(self, leg: object) -> FakeLeg:
        return self.far

    beyond = other


def ask(call: FakeCall, body: str) -> str | None:
    return obey(call, FakeLeg(), body)  # type: ignore[arg-type]  # fakes


def result(call: FakeCall, command: str) -> dict[str, Any]:
    answer = ask(call, json.dumps({"request": {"reqid": 7, "command": command}}))
    response = json.loads(answer or "")["response"]
    assert (response["reqid"], response["command"]) == (7, command)
    return dict(response["result"])


@pytest.mark.parametrize("body", ["", "{}", "[1]", '{"request": {"reqid": "1", "command": 2}}', "<x/>"])
def test_an_info_that_asks_for_nothing_gets_no_answer_of_its_own(body: str) -> None:
    assert ask(FakeCall(), body) is None


@pytest.mark.parametrize("command", ["startcallrecord", "stopcallrecord", "dance"])
def test_what_cannot_be_done_has_another_code_than_zero(command: str) -> None:
    assert result(FakeCall(), command) == {"code": 1, "description": "Failed"}


def test_each_parked_end_has_a_place_of_its_own_until_it_is_taken_or_hangs_up() -> None:
    call = FakeCall()
    assert result(call, "callpark") == {"code": 0, "description": "Succeeded", "park extension": "801"}
    first, call.far = call.far, FakeLeg()
    assert result(call, "callpark")["park extension"] == "802"
    assert call.released == [first, call.far]

    lot: Any = call.switch.transfers.lot
    assert lot.take("801") is None
    assert lot.take("*801").leg is first
    assert lot.take("*801") is None
    call.far.ends.ended(call.far, "hung up")
    assert lot.take("*802") is None
