"""[core] What the caller does about a 2xx: the dialog that it makes, and its ACK (RFC 3261 §13.2.2.4)."""

from .context import SDP_TYPE, Context
from .dialog import Dialog
from .message import Request, Response


def established(context: Context, invite: Request, response: Response) -> tuple[Dialog, Request]:
    """Return the dialog of a 2xx to ``invite``, and its ACK.

    Raises:
        SipError: If the 2xx cannot be read.
    """
    dialog = Dialog.from_response(invite, response)
    return dialog, dialog.ack(invite, context.endpoint, context.new_id())


class Acknowledgement:
    """Our ACK of a 2xx. Where we made no offer, the 2xx has one, and it waits for our answer (§13.2.1)."""

    def __init__(self, context: Context, ack: Request, *, waits: bool) -> None:
        self._context, self.request, self._waits = context, ack, waits
        self.repeat()

    def repeat(self) -> None:
        """Send it, if it does not wait: it may have been lost further on."""
        if not self._waits:
            self._context.send_ack(self.request)

    def answer(self, sdp: str = "") -> bool:
        """Send it with our answer; without one, the call is over. False if nobody waits for it."""
        if not self._waits:
            return False
        self._waits = False
        if sdp:
            headers = self.request.headers.copy()
            headers.add(*SDP_TYPE)
            self.request = Request("ACK", self.request.uri, headers, sdp)
        self.repeat()
        return True
