"""[core] What an action may contain, and what it means that a request in a call did not succeed."""

import re
from collections.abc import Iterable

from agents.sip.events import DialogRequestDone
from shared.errors import ActionRefused

_NUMBER = re.compile(r"[0-9A-Za-z*#+_.-]{1,64}")
#: What the user agent writes itself (RFC 3261 §20); a second one would make two messages of one.
_OURS = frozenset(
    [
        "via",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "max-forwards",
        "content-length",
        "content-type",
        "content-encoding",
        "user-agent",
        "authorization",
        "proxy-authorization",
        "route",
        "record-route",
        "require",
        "proxy-require",
        "supported",
        "allow",
        "p-asserted-identity",
        "i",
        "f",
        "t",
        "m",
        "l",
        "c",
        "e",
        "v",
        "k",
    ]
)
_MAX_HEADERS = 16


def require_number(text: str, what: str = "number or extension") -> None:
    """Refuse the action if ``text`` is no ``what``."""
    if not _NUMBER.fullmatch(text):
        raise ActionRefused("bad_request", f"{text[:80]!r} is no {what}")


def require_headers(headers: Iterable[tuple[str, str]]) -> None:
    """Refuse the action if one of ``headers`` is not for programs to write, or there are too many."""
    fields = list(headers)
    if len(fields) > _MAX_HEADERS:
        raise ActionRefused("bad_request", f"{len(fields)} headers are too many; {_MAX_HEADERS} may be added")
    for name, _ in fields:
        if name.strip().lower() in _OURS:
            raise ActionRefused("bad_request", f"the header {name!r} is the phone's own to write")


def failure_of(event: DialogRequestDone, what: str) -> ActionRefused:
    """Return what to tell whoever asked for a request in a call that was refused, or not answered."""
    if event.response is not None:
        return ActionRefused("far_end", f"{what}: {event.status} {event.reason}", event.status)
    if event.status == 487:
        return ActionRefused("wrong_state", "the call ended before it")
    return ActionRefused("unknown", f"no answer came ({event.reason}); look at the call")
