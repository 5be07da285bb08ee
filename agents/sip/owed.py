"""[core] BYEs that no connection could take in time: the call is over here, and the far end does not know.

Without one it may keep its end for long, with a person who hears nothing. A BYE is right in every dialog that
has seen none, however late (§15.1.1); whoever has forgotten the dialog answers 481, and that does no harm.
"""

from dataclasses import dataclass, field

from .context import Context
from .dialog import Dialog
from .message import Request
from .transaction import ResponseReceived, TimedOut, TransactionKey

#: Far ends that guard their sessions have given one up by then (RFC 4028 §4 recommends this lifetime).
LONGEST = 1_800.0


@dataclass(slots=True)
class _Bye:
    dialog: Dialog
    request: Request = field(repr=False)
    given_up_at: float
    attempts: int = 1


class Owed:
    """What the far ends of calls that were given up have not been told yet: see :attr:`Context.given_up`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sent: dict[TransactionKey, _Bye] = {}

    def reachable(self, now: float) -> None:
        """Take that there is a connection again: tell all to whom it may still be news."""
        context = self._context
        while context.given_up:
            dialog, given_up_at = context.given_up.popleft()
            if now < given_up_at + LONGEST:
                after, request = dialog.request("BYE", context.endpoint, context.new_id())
                self._send(_Bye(after, request, given_up_at), now)

    def settled(self, effect: ResponseReceived | TimedOut, now: float) -> bool:
        """Take an answer, or that none came; return whether it is one to these BYEs."""
        bye = self._sent.get(effect.key)
        if bye is None:
            return False
        if isinstance(effect, TimedOut):
            del self._sent[effect.key]
            if effect.is_transport:
                self._context.given_up.append((bye.dialog, bye.given_up_at))
        elif effect.response.is_final:
            del self._sent[effect.key]
            again = self._context.answer_challenge(bye.request, effect.response, bye.attempts)
            if again is not None:
                after = bye.dialog.sent(again)
                self._send(_Bye(after, again, bye.given_up_at, bye.attempts + 1), now)
        return True

    def _send(self, bye: _Bye, now: float) -> None:
        self._sent[self._context.transactions.request(bye.request, now)] = bye
        self._context.flush()
