import pytest

from agents.sip.message import Headers, Request
from agents.sip.reason import make_reason, reason_of


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], (None, "")),
        (['SIP;cause=200;text="Call completed elsewhere"'], (200, "Call completed elsewhere")),
        (['Q.850;cause=16;text="x, y"', "sip ; cause=487"], (487, "")),
        (['Q.850;cause=16, SIP;cause=600;text="Busy"'], (600, "Busy")),
        (["SIP"], (None, "")),
        (["SIP;cause=x"], (None, "")),
        (["SIP;cause=٢٠٠"], (None, "")),
        (['SIP;cause=200;text="open'], (None, "")),
    ],
)
def test_the_sip_reason_is_found(values: list[str], expected: tuple[int | None, str]) -> None:
    request = Request("BYE", "sip:a", Headers([("Reason", value) for value in values]))

    assert reason_of(request) == expected


def test_a_reason_that_we_write_can_be_read() -> None:
    request = Request("CANCEL", "sip:a", Headers([make_reason(200, 'Call "completed"')]))

    assert reason_of(request) == (200, 'Call "completed"')
