"""[core] Transfers of a call's far end: REFER, and what comes of it.

A transfer is done when the service says so (NOTIFY with a final 2xx) or ends the call that was transferred;
the service then hangs up on us, and if it does not, we do.
"""

from dataclasses import dataclass

from agents.sip.events import DialogRequestDone, DialogRequestReceived
from agents.sip.message import Request as SipRequest
from agents.sip.refer import is_about, parse_sipfrag
from shared.errors import ActionRefused, SipError
from shared.messages import CallState, Cause, CompleteTransfer, Park, Parked, Request, Transfer

from .calls import CallRecord
from .checks import failure_of
from .term import Term

#: Seconds after which nothing more is expected of a transfer: a service reports on it for about a minute.
#: Whoever asked has stopped waiting before, with the outcome unknown: a target that rings may still answer.
_RESULT_TIME = 70.0
#: Seconds that the service has to hang up after a transfer that succeeded.
_FAREWELL_TIME = 2.0


@dataclass(slots=True)
class _UnderWay:
    request: Request
    record: CallRecord
    consultation: CallRecord | None
    refer_id: str
    deadline: float
    number: int | None = None  # of the REFER that was accepted, by which NOTIFYs name it
    has_succeeded: bool = False

    @property
    def cause(self) -> Cause:
        """Why its calls end, if it succeeds."""
        return Cause.PARKED if isinstance(self.request.action, Park) else Cause.TRANSFERRED


class Transfers:
    """The transfers that are under way, one a call at most."""

    def __init__(self, term: Term) -> None:
        self._term = term
        self._under_way: dict[str, _UnderWay] = {}  # by the transferred call's id

    def begin(self, request: Request, action: Transfer | CompleteTransfer | Park, now: float) -> None:
        """Ask for a transfer, or raise :exc:`ActionRefused`. A private park goes to ``prk<slot>``."""
        consultation = None
        if isinstance(action, CompleteTransfer):
            consultation = self._term.calls.get(action.call_id, CallState.ANSWERED)
            original = action.transfer_of or consultation.view.transfer_of
            if not original or original == action.call_id:
                raise ActionRefused("wrong_state", "the call consults about no other")
            record = self._term.calls.get(original, CallState.ANSWERED)
            target = consultation.view.remote_number
        else:
            record = self._term.calls.get(action.call_id, CallState.ANSWERED)
            target = f"prk{action.slot}" if isinstance(action, Park) else action.target
        if record.call_id in self._under_way:
            raise ActionRefused("wrong_state", "the call is being transferred at this moment")
        replaced = consultation.session_id if consultation else None
        try:
            refer_id = self._term.user_agent.refer(record.session_id, target, now, replaced=replaced)
        except SipError as exc:
            raise ActionRefused("bad_request", exc.reason) from exc
        self._under_way[record.call_id] = _UnderWay(
            request, record, consultation, refer_id, deadline=now + _RESULT_TIME
        )

    def answered(self, event: DialogRequestDone, record: CallRecord, now: float) -> None:
        """Take the answer to a request in a dialog: a REFER that is refused ends its transfer."""
        transfer = self._under_way.get(record.call_id)
        if transfer is None or transfer.refer_id != event.request_id:
            return
        if event.response is not None and event.status < 300:
            transfer.number = event.response.cseq.number
        elif event.response is None:
            del self._under_way[record.call_id]
            self._term.refuse(transfer.request, failure_of(event, "the transfer failed"), now)
        else:
            self._refuse(transfer, event.status, event.reason, now)

    def notified(self, event: DialogRequestReceived, record: CallRecord, now: float) -> None:
        """Take a request in a dialog: a NOTIFY says how the transfer goes."""
        transfer = self._under_way.get(record.call_id)
        if transfer is None or event.request.method != "NOTIFY":
            return
        # It may come before the REFER's own answer (RFC 6665 §4.1.2.4).
        number = transfer.number or self._term.user_agent.number_of(record.session_id, transfer.refer_id)
        if not is_about(event.request, number):
            return
        progress = parse_sipfrag(event.request.body)
        if progress is None or progress[0] < 200:
            if _is_last(event.request):
                transfer.deadline = min(transfer.deadline, now + _FAREWELL_TIME)
            return
        if progress[0] >= 300:
            self._refuse(transfer, *progress, now)
            return
        transfer.has_succeeded = True
        transfer.deadline = now + _FAREWELL_TIME

    def cause_of(self, record: CallRecord, cause: Cause) -> Cause:
        """Return why a call ended that the far end hung up: perhaps it was transferred."""
        transfer = self._of(record)
        if transfer is None or cause is not Cause.HUNG_UP_THERE:
            return cause
        return transfer.cause

    def ended(self, record: CallRecord, now: float) -> None:
        """Take that a call is over: its transfer is done with it, or has failed."""
        transfer = self._of(record)
        if transfer is None:
            return
        if record.view.cause is not transfer.cause:
            self._refuse(transfer, 0, "a call ended before it", now)
            return
        if record is transfer.record:
            transfer.has_succeeded, transfer.deadline = True, now + _FAREWELL_TIME
        calls = (transfer.record, transfer.consultation)
        if all(call is None or call.view.state.is_final for call in calls):
            self._finish(transfer, now)

    def tick(self, now: float) -> list[tuple[CallRecord, Cause]]:
        """Let time pass; return the calls that the service should have hung up after their transfer."""
        due = [transfer for transfer in self._under_way.values() if transfer.deadline <= now]
        overdue: list[tuple[CallRecord, Cause]] = []
        for transfer in due:
            if not transfer.has_succeeded:
                text = "the service says no more of the transfer; look at the call"
                del self._under_way[transfer.record.call_id]
                self._term.refuse(transfer.request, ActionRefused("unknown", text), now)
                continue
            calls = (transfer.record, transfer.consultation)
            overdue += [(call, transfer.cause) for call in calls if call is not None]
            self._finish(transfer, now)
        return [(call, cause) for call, cause in overdue if not call.view.state.is_final]

    def next_deadline(self) -> float | None:
        """Return when the first transfer has taken too long, or None."""
        return min((transfer.deadline for transfer in self._under_way.values()), default=None)

    def _of(self, record: CallRecord) -> _UnderWay | None:
        """Return the transfer that a call has a part in."""
        transfers = self._under_way.values()
        return next((one for one in transfers if record in (one.record, one.consultation)), None)

    def _finish(self, transfer: _UnderWay, now: float) -> None:
        del self._under_way[transfer.record.call_id]
        action = transfer.request.action
        value = Parked(location=action.slot) if isinstance(action, Park) else None
        self._term.acknowledge(transfer.request, now, transfer.record.call_id, value)

    def _refuse(self, transfer: _UnderWay, status: int, reason: str, now: float) -> None:
        del self._under_way[transfer.record.call_id]
        if isinstance(transfer.request.action, Park):
            error = _not_parked(status, reason)
        else:
            error = ActionRefused("far_end", f"the transfer failed: {status or ''} {reason}", status or None)
        self._term.refuse(transfer.request, error, now)


def _is_last(notify: SipRequest) -> bool:
    """Whether nothing more will be said, whatever this one says (RFC 6665 §4.1.3)."""
    state = notify.headers.get("Subscription-State") or ""
    return state.partition(";")[0].strip().lower() == "terminated"


def _not_parked(status: int, reason: str) -> ActionRefused:
    if status == 486:  # the service's word for a far end that has not answered yet, whatever our 200 said
        text = "the far end still rings, and only an answered call can be parked"
        return ActionRefused("wrong_state", text, status)
    return ActionRefused("far_end", f"the call was not parked: {status or ''} {reason}", status or None)
