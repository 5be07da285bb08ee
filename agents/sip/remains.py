"""[core] What is kept of a call that is over: enough for a 2xx that is late, or comes again (RFC 6026).

A caller acknowledges every 2xx to its INVITE for 32 s, whatever has become of the call (§13.2.2.4). That
takes the ACK of the first one, which names all that another one needs.
"""

from collections.abc import Iterable

from .acknowledgement import established
from .context import Context
from .dialog import Dialog
from .message import Request, Response, parse


class Remains:
    """The ACKs of one call that is over, as text: thousands of these may be kept. They have no body."""

    __slots__ = ("_acks",)

    def __init__(self, acks: Iterable[Request]) -> None:
        self._acks = tuple(_bare(ack).encode() for ack in acks)

    def receive_response(
        self, context: Context, owner: tuple[str, str], response: Response, now: float
    ) -> None:
        """Take an answer to what the call had sent as ``owner``: its id and a role.

        Raises:
            SipError: If it cannot be read.
        """
        if not 200 <= response.status < 300:
            return
        acks = [ack for text in self._acks if (ack := _read(text)).cseq.number == response.cseq.number]
        again = [ack for ack in acks if ack.to.tag == response.to.tag]
        if again:
            context.send_ack(again[0])
        elif acks and owner[1] == "invite":
            # It has the INVITE's Call-Id, From, number and credentials.
            hang_up_stray(context, owner[0], *established(context, acks[0], response), now)


def hang_up_stray(context: Context, session_id: str, dialog: Dialog, ack: Request, now: float) -> None:
    """Acknowledge and hang up a phone that answered, too, or too late (§13.2.2.4)."""
    context.send_ack(ack)
    _, bye = dialog.request("BYE", context.endpoint, context.new_id())
    context.send_request(bye, session_id, "stray", now)


def _bare(ack: Request) -> Request:
    headers = ack.headers.copy()
    headers.remove("Content-Type")
    return Request("ACK", ack.uri, headers)


def _read(text: str) -> Request:
    ack = parse(text)
    assert isinstance(ack, Request)
    return ack
