"""[core] What a phone answers by itself: requests of no call, and what a call leaves to it (§8.2, §11)."""

from .message import Request
from .refusal import Pairs
from .ringcentral import AGENT_CONTENT_TYPE
from .sessions import METHODS

ALLOW = ("Allow", ", ".join(METHODS))


def plain_answer(request: Request) -> tuple[int, Pairs]:
    """Return status and header fields. A 200 to a MESSAGE says that somebody has got it (RFC 3428 §7).

    So one in words, which no window would show, is refused; the service's own come as :mod:`.ringcentral`
    says, and one without a type is taken for one of them.
    """
    if request.method in ("BYE", "UPDATE"):
        return 481, []  # those of a call never come here
    if request.method not in METHODS:
        return 405, [ALLOW]
    kind = (request.headers.get("Content-Type") or AGENT_CONTENT_TYPE).partition(";")[0].strip().lower()
    if request.method == "MESSAGE" and request.body and kind != AGENT_CONTENT_TYPE:
        return 415, [("Accept", AGENT_CONTENT_TYPE)]
    return 200, [ALLOW] if request.method == "OPTIONS" else []
