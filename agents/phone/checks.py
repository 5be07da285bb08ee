"""[core] What an action may contain, and what it means that a request in a call did not succeed."""

import re
from collections.abc import Iterable

from agents.sip.events import DialogRequestDone
from agents.sip.outgoing import custom_fields
from shared.errors import ActionRefused, SipError
from shared.messages import MediaDone, Request

_NUMBER = re.compile(r"[0-9A-Za-z*#+_.-]{1,64}")


def require_number(text: str, what: str = "number or extension") -> None:
    """Refuse the action if ``text`` is no ``what``."""
    if not _NUMBER.fullmatch(text):
        raise ActionRefused("bad_request", f"{text[:80]!r} is no {what}")


def require_headers(headers: Iterable[tuple[str, str]]) -> None:
    """Refuse the action if one of ``headers`` is not for programs to write, or there are too many."""
    try:
        custom_fields(headers)
    except SipError as exc:
        raise ActionRefused("bad_request", exc.reason) from exc


def require_time(request: Request, now: float) -> None:
    """Refuse an action for which nobody waits any more."""
    if request.deadline < now:
        raise ActionRefused("deadline_passed", "its deadline passed before it was begun; nothing was done")


def require_sound(done: MediaDone) -> None:
    """Refuse the action if the window that is to have the sound cannot."""
    if done.error:
        raise ActionRefused("no_media", f"no sound at this window: {done.error}")


def failure_of(event: DialogRequestDone, what: str) -> ActionRefused:
    """Return what to tell whoever asked for a request in a call that was refused, or not answered."""
    if event.response is not None:
        return ActionRefused("far_end", f"{what}: {event.status} {event.reason}", event.status)
    if event.status == 487:
        return ActionRefused("wrong_state", "the call ended before it")
    return ActionRefused("unknown", f"no answer came ({event.reason}); look at the call")
