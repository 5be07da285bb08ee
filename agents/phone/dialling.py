"""[core] An outbound call: the window describes its sound, then the INVITE leaves, then the service has it.

Dialling is done when anything at all was answered to the INVITE, were it a challenge: until then nobody can
say that it was sent.
"""

from functools import partial

from shared.errors import ActionRefused
from shared.messages import Call, CallState, Cause, Dial, Direction, MediaDone, Request

from .calls import CallRecord
from .checks import require_headers, require_number, require_sound, require_time
from .hosts import MediaHosts
from .term import Term

#: Calls that are not over. Far above what a person can use, far below what would hurt.
_MOST_CALLS = 50


class Dialling:
    """The calls whose INVITE nobody has answered yet."""

    def __init__(self, term: Term, hosts: MediaHosts) -> None:
        self._term, self._hosts = term, hosts
        self._sent: list[tuple[Request, CallRecord]] = []

    def begin(self, request: Request, action: Dial, now: float) -> None:
        """Begin a call, or raise :exc:`ActionRefused`."""
        term = self._term
        self._check(action)
        self._hosts.require(request.instance)
        view = Call(
            call_id=term.new_id(),
            direction=Direction.OUTBOUND,
            state=CallState.INIT,
            remote_number=action.target,
            local_number=action.caller_id,
            media_host=request.instance,
            transfer_of=action.transfer_of,
            started_at=term.wall(now),
        )
        record = term.calls.add(CallRecord(view))
        term.has_changed = True
        self._hosts.offer(request.instance, record, partial(self._offered, request, action, record), now)

    def settle(self, now: float) -> None:
        """Tell whoever dialled what has become clear since the last call of this method."""
        waiting, self._sent = self._sent, []
        for request, record in waiting:
            if record.view.state.is_final and record.view.cause is Cause.LOST:
                text = "the connection was lost before the service had the call"
                self._term.refuse(request, ActionRefused("unknown", text), now)
            elif record.view.state.is_final or self._term.user_agent.is_taken(record.session_id):
                self._term.acknowledge(request, now, record.call_id)
            else:
                self._sent.append((request, record))

    def _check(self, action: Dial) -> None:
        term = self._term
        require_number(action.target)
        if action.caller_id:
            require_number(action.caller_id, "number to show")
        require_headers(action.headers)
        if not term.is_registered:
            detail = term.registration.detail or f"the phone is {term.registration.state}"
            raise ActionRefused("not_registered", f"no calls can be made now: {detail}")
        if len(term.calls.live()) >= _MOST_CALLS:
            raise ActionRefused("too_busy", f"there are {_MOST_CALLS} calls already")
        if action.transfer_of:
            term.calls.get(action.transfer_of, CallState.ANSWERED)

    def _offered(
        self, request: Request, action: Dial, record: CallRecord, done: MediaDone, now: float
    ) -> None:
        term = self._term
        if record.view.state.is_final:
            term.refuse(request, ActionRefused("wrong_state", "the call was hung up before it began"), now)
            return
        record.local_sdp = done.sdp
        try:
            require_sound(done)
            require_time(request, now)
            record.session_id = term.user_agent.invite(
                action.target, done.sdp, caller_id=action.caller_id or None, headers=action.headers, now=now
            )
        except ActionRefused as exc:
            cause = Cause.NO_MEDIA if done.error else Cause.REJECTED
            term.end_call(record, cause, now, reason=done.error or exc.message)
            term.refuse(request, exc, now)
            return
        self._sent.append((request, record))
