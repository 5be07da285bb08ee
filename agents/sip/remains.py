"""[core] What is done about a 2xx that is late, or comes again when the call is over (§13.2.2.4, RFC 6026).

A caller acknowledges every 2xx to its INVITE for 32 s, whatever has become of the call. That takes the ACK of
the first one, which names all that another one needs; the INVITE's transaction keeps it, as text.
"""

from collections.abc import Iterable, Sequence

from .acknowledgement import established
from .context import Context
from .dialog import Dialog
from .message import Request, Response, parse


def as_remains(acks: Iterable[Request]) -> tuple[str, ...]:
    """Return the ACKs of a call that is over as they are kept: without a body, which nobody hears."""
    return tuple([_bare(ack).encode() for ack in acks])


def answer_late(context: Context, remains: Sequence[str], response: Response, now: float) -> None:
    """Acknowledge a 2xx to an INVITE of a call that is over; hang up if another phone sent it.

    Raises:
        SipError: If it cannot be read.
    """
    acks = [ack for text in remains if (ack := _read(text)).cseq.number == response.cseq.number]
    again = [ack for ack in acks if ack.to.tag == response.to.tag]
    if again:
        context.send_ack(again[0])
    elif acks:
        # It has the INVITE's Call-Id, From, number and credentials.
        hang_up_stray(context, *established(context, acks[0], response), now)


def hang_up_stray(context: Context, dialog: Dialog, ack: Request, now: float) -> None:
    """Acknowledge and hang up a phone that answered, too, or too late."""
    context.send_ack(ack)
    context.owed.say(dialog, now)


def _bare(ack: Request) -> Request:
    headers = ack.headers.copy()
    headers.remove("Content-Type")
    return Request("ACK", ack.uri, headers)


def _read(text: str) -> Request:
    ack = parse(text)
    assert isinstance(ack, Request)
    return ack
