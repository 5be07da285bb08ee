"""Answers of the service's own to a change of a call's sound that its other end need not know of."""

from agents.sip.sdp import Sdp, mirror
from shared.errors import SipError


def answer_for(description: str, offer: str, raised_by: int) -> str:
    """Return the answer to ``offer`` that keeps the sound of ``description`` where it is.

    ``description`` is what the other end last said; its version is raised by ``raised_by``. The direction is
    the offer's, seen from the other side. An open DTLS role (actpass) is settled by what the offerer has.

    Raises:
        SipError: If one of the two cannot be read.
    """
    asked, known = Sdp.parse(offer), Sdp.parse(description)
    answer = known.with_version(known.version + raised_by).with_direction(mirror(asked.direction))
    role = {"active": "passive", "passive": "active"}.get(asked.attribute("setup") or "", "active")
    lines = tuple([f"a=setup:{role}" if line == "a=setup:actpass" else line for line in answer.lines])
    return Sdp(lines).encode()


def fragment(description: str) -> str | None:
    """Return the ICE user fragment of a description; None if there is none, or it cannot be read."""
    try:
        return Sdp.parse(description).attribute("ice-ufrag")
    except SipError:
        return None
