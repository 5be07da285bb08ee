"""Which REFERs the service takes."""

import pytest

from agents.pbx.transfers import verdict
from agents.sip.message import Headers, Request


def refer(*values: str) -> Request:
    return Request("REFER", "sip:x@sip.test", Headers([("Refer-To", value) for value in values]))


@pytest.mark.parametrize(("has_far_end", "is_busy", "status"), [(True, False, 202), (True, True, 491)])
def test_a_call_is_transferred_once_at_a_time(has_far_end: bool, is_busy: bool, status: int) -> None:
    assert verdict(refer("sip:102@sip.test"), has_far_end=has_far_end, is_busy=is_busy) == status


def test_in_a_call_that_rings_a_refer_is_taken_and_has_no_effect() -> None:
    assert verdict(refer("sip:prk1@sip.test"), has_far_end=False, is_busy=False) == 202


@pytest.mark.parametrize("values", [(), ("sip:1@h", "sip:2@h"), ("nonsense",), ("<sip:1@h?Replaces=x>",)])
def test_a_refer_without_exactly_one_target_that_can_be_read_is_a_bad_request(
    values: tuple[str, ...],
) -> None:
    assert verdict(refer(*values), has_far_end=True, is_busy=False) == 400
