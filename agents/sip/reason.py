"""[core] Why a CANCEL or BYE was sent (RFC 3326)."""

from shared.errors import SipError
from shared.text import readable

from .grammar import find_param, parse_params
from .message import Request


def reason_of(request: Request) -> tuple[int | None, str]:
    """Return the SIP status and text of the ``Reason`` field; None and "" if there is none that can be read.

    ``SIP;cause=200;text="Call completed elsewhere"`` in a CANCEL means that another phone answered.
    """
    try:
        for value in request.headers.get_list("Reason"):
            protocol, semicolon, rest = value.partition(";")
            params = parse_params(semicolon + rest)
            cause = find_param(params, "cause") or ""
            if (
                protocol.strip().upper() == "SIP"
                and len(cause) == 3
                and cause.isascii()
                and cause.isdecimal()
            ):
                return int(cause), readable(find_param(params, "text") or "")
    except SipError:
        pass  # an unreadable reason is no reason: the request itself counts
    return None, ""


def make_reason(status: int, text: str) -> tuple[str, str]:
    """Return the header field that says so."""
    return ("Reason", f'SIP;cause={status};text="{text}"')
