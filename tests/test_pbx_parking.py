"""Places to park, and who has them."""

from types import SimpleNamespace
from typing import Any

from agents.pbx.parking import Lot


def make_leg(name: str) -> Any:
    return SimpleNamespace(name=name, ends=None, party=None)


def test_who_was_picked_up_and_hangs_up_leaves_the_place_to_who_has_it_by_then() -> None:
    lot = Lot()
    first, second = make_leg("first"), make_leg("second")
    lot.park(first, "801")
    picked_up = lot.take("*801")
    assert picked_up is not None
    lot.park(second, "801")
    first.ends.ended(first, "hung up")
    assert picked_up.is_over
    assert "*801" in lot
    taken = lot.take("*801")
    assert taken is not None
    assert (taken.leg, taken.is_over) == (second, False)


def test_who_hangs_up_frees_the_place() -> None:
    lot = Lot(places=1)
    leg = make_leg("only")
    lot.park(leg, "801")
    assert lot.free_place() is None
    leg.ends.ended(leg, "hung up")
    assert (lot.free_place(), len(lot), lot.take("*801")) == ("801", 0, None)
