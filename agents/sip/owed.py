"""[core] BYEs that no connection could take in time: the call is over here, and the far end does not know.

Without one it may keep its end for long, with a person who hears nothing. A BYE is right in every dialog that
has seen none, however late (§15.1.1); whoever has forgotten the dialog answers 481, and that does no harm.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.errors import SipError

from .dialog import Dialog
from .message import Request, Response, parse
from .transaction import ResponseReceived, TimedOut, TransactionKey

if TYPE_CHECKING:
    from .context import Context
    from .session import Session

#: Far ends that guard their sessions have given one up by then (RFC 4028 §4 recommends this lifetime).
LONGEST = 1_800.0
#: Calls whose far ends are still to be told that they are over, some 500 bytes each; beyond it the oldest go.
_MOST = 64


class _Waiting(NamedTuple):
    """A BYE that waits for a connection. ``answer``: ours, which the far end may not have heard either."""

    dialog: Dialog
    since: float
    answer: Response | None = None


@dataclass(slots=True)
class _Bye:
    dialog: Dialog
    request: Request = field(repr=False)
    given_up_at: float
    attempts: int = 1


class Owed:
    """What far ends have not been told yet: of calls given up, or answered by one phone too many."""

    def __init__(self, context: "Context") -> None:
        self.sessions: Iterable[Session] = ()  # those that we have: some may be hung up, and wait
        self._context = context
        self._waiting: deque[_Waiting] = deque(maxlen=_MOST)
        self._sent: dict[TransactionKey, _Bye] = {}

    def say(self, dialog: Dialog, now: float, *, since: float | None = None) -> None:
        """Send the BYE; ``since`` is when the call was given up, if that was before."""
        after, request = dialog.request("BYE", self._context.endpoint, self._context.new_id())
        self._send(_Bye(after, request, now if since is None else since), now)

    def say_later(self, dialog: Dialog, now: float) -> None:
        """Keep the BYE for the next connection."""
        self._waiting.append(_Waiting(dialog, now))

    def export(self) -> list[dict[str, Any]]:
        """Return what far ends may not know yet as plain data, for :meth:`inherit` in another process."""
        hung_up = (one for one in self.sessions if one.farewell.is_owed)
        dialogs = [
            *((one.dialog, one.callee.unacknowledged) for one in hung_up),
            *((one.dialog, one.answer) for one in self._waiting),
            *((bye.dialog, None) for bye in self._sent.values()),
        ]
        return [_exported(dialog, answer) for dialog, answer in dialogs if dialog is not None]

    def inherit(self, data: Mapping[str, Any], now: float) -> None:
        """Say what another process owed; raises :exc:`SipError` for bad data."""
        answer = parse(data["answer"]) if "answer" in data else None
        if answer is not None and not isinstance(answer, Response):
            raise SipError("not what a far end was to be told")
        self._waiting.append(_Waiting(Dialog.restore(data.get("dialog", {})), now, answer))

    def reachable(self, now: float) -> None:
        """Take that there is a connection again: tell all to whom it may still be news."""
        while self._waiting:
            dialog, given_up_at, answer = self._waiting.popleft()
            if answer is not None:
                self._context.transactions.send_again(answer)  # before it, a BYE is for nobody (§15)
            if now < given_up_at + LONGEST:
                self.say(dialog, now, since=given_up_at)

    def settled(self, effect: ResponseReceived | TimedOut, now: float) -> bool:
        """Take an answer, or that none came; return whether it is one to these BYEs."""
        bye = self._sent.get(effect.key)
        if bye is None:
            return False
        if isinstance(effect, TimedOut):
            del self._sent[effect.key]
            if effect.is_transport:
                self._waiting.append(_Waiting(bye.dialog, bye.given_up_at))
        elif effect.response.is_final:
            del self._sent[effect.key]
            again = self._context.answer_challenge(bye.request, effect.response, bye.attempts)
            if again is not None:
                after, again = bye.dialog.numbered(again)
                self._send(_Bye(after, again, bye.given_up_at, bye.attempts + 1), now)
        return True

    def _send(self, bye: _Bye, now: float) -> None:
        self._sent[self._context.transactions.request(bye.request, now)] = bye
        self._context.flush()


def _exported(dialog: Dialog, answer: Response | None) -> dict[str, Any]:
    data: dict[str, Any] = {"dialog": dialog.export()}
    return data if answer is None else data | {"answer": answer.encode()}
