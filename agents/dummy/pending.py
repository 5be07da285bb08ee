"""The actions of one window that wait for their answer: each gets exactly one, whatever becomes of leaders.

An action that nobody was sent is safe to send to the next leader. One that was sent is done at most once,
so it is never sent again. What became of it its leader tells twice, in its state and by a reply, of which the
first counts; or the next leader's state tells it; or nobody can know.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, repeat

from shared import ids
from shared.clock import boottime
from shared.errors import ActionRefused, OutcomeUnknown, refusal
from shared.messages import Action, Done, Outcome, Refused, Snapshot, Version
from shared.trace import Trace


@dataclass(slots=True)
class PendingAction:
    """An action whose caller waits. ``epoch`` is that of the leader it was sent to; 0: to none yet."""

    action_id: str
    action: Action
    deadline: float
    reply: asyncio.Future[Done] = field(repr=False)
    epoch: int = 0

    def end(self, outcome: Outcome, version: Version) -> None:
        """Answer the caller as the state of this version tells it."""
        if outcome.refused is not None:
            self.fail(refusal(outcome.refused, outcome.message, outcome.status))
        else:
            done = Done(
                action_id=self.action_id, version=version, call_id=outcome.call_id, value=outcome.value
            )
            self.succeed(done)

    def succeed(self, done: Done) -> None:
        """Answer the caller, unless that was done."""
        if not self.reply.done():
            self.reply.set_result(done)

    def fail(self, error: Exception) -> None:
        """Answer the caller by an error, unless it was answered."""
        if not self.reply.done():
            self.reply.set_exception(error)


class PendingActions:
    """The actions under way, by their ids. Must be made inside the loop that shall own it.

    Args:
        withdraw: Takes back an action that never left this process; tells whether it could.
    """

    def __init__(self, trace: Trace, withdraw: Callable[[str], bool]) -> None:
        self._trace, self._withdraw = trace, withdraw
        self._loop = asyncio.get_running_loop()
        self._ids = map("{}{:x}".format, repeat(ids.new_id(6)), count())
        self._actions: dict[str, PendingAction] = {}
        self._unseen: list[tuple[Done, PendingAction]] = []  # done, but not shown here yet
        self._expiry: asyncio.TimerHandle | None = None
        self._expiry_at = 0.0  # not after the first deadline

    def __bool__(self) -> bool:
        return bool(self._actions)

    def __iter__(self) -> Iterator[PendingAction]:
        return iter(list(self._actions.values()))

    def begin(self, action: Action, time: float) -> PendingAction:
        """Have one more, for ``time`` seconds."""
        deadline = boottime() + time
        pending = PendingAction(next(self._ids), action, deadline, self._loop.create_future())
        self._actions[pending.action_id] = pending
        self._trace.asked(pending.action_id, action, time)
        if self._expiry is None or deadline < self._expiry_at:
            self._watch_deadlines(deadline, time)
        return pending

    async def answer(self, pending: PendingAction) -> Done:
        """Return its answer, or raise it: see :meth:`agents.dummy.DummyAgent.perform`."""
        try:
            return await pending.reply
        except asyncio.CancelledError:
            self._withdraw(pending.action_id)  # nobody waits for it any more
            raise
        finally:
            self._actions.pop(pending.action_id, None)
            self._trace.answered(pending.action_id, pending.reply)

    def done(self, done: Done, shown: Version) -> None:
        """Take that the leader has done one; its caller hears of it when this window shows that."""
        pending = self._actions.get(done.action_id)
        if pending is None:
            return  # nobody waits for it any more
        if done.version <= shown:
            pending.succeed(done)
        else:
            self._unseen.append((done, pending))

    def refused(self, refused: Refused) -> None:
        """Take that the leader has refused one."""
        if pending := self._actions.get(refused.action_id):
            pending.fail(refusal(refused.code, refused.message, refused.status))

    def show(self, snapshot: Snapshot) -> None:
        """Answer those whose end this state tells, or tells the effect of: the window shows it now."""
        if not self._actions:
            return
        for outcome in snapshot.outcomes:
            if pending := self._actions.get(outcome.action_id):
                pending.end(outcome, snapshot.version)
        waiting, self._unseen = self._unseen, []
        for done, pending in waiting:
            if done.version <= snapshot.version:
                pending.succeed(done)
            else:
                self._unseen.append((done, pending))

    def leader_changed(self, epoch: int) -> None:
        """Give up what was sent to a leader before the one of ``epoch``, whose state did not tell its end."""
        for pending in self:
            if 0 < pending.epoch < epoch:
                pending.fail(OutcomeUnknown("the leader died before it replied; look at the calls"))

    def close(self, error: Exception) -> None:
        """Answer all by ``error``."""
        if self._expiry is not None:
            self._expiry.cancel()
        for pending in self:
            pending.fail(error)

    # -- deadlines ---------------------------------------------------------------------------------------

    def _watch_deadlines(self, at: float, delay: float) -> None:
        """Look for actions whose time is over at ``at``: one timer does for all, and most never need it."""
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry_at = at
        self._expiry = self._loop.call_later(delay, self._check_deadlines)

    def _check_deadlines(self) -> None:
        self._expiry, now = None, boottime()
        for pending in self:
            if pending.deadline <= now:
                self._expire(pending)
        left = [pending.deadline for pending in self if pending.deadline > now]
        if left:
            self._watch_deadlines(min(left), min(left) - now)

    def _expire(self, pending: PendingAction) -> None:
        for done, other in self._unseen:
            if other is pending:
                pending.succeed(done)  # done for sure, and only the state is late
        # Taken back: what has not left by now is not to leave any more.
        if self._withdraw(pending.action_id) or pending.epoch == 0:
            pending.fail(ActionRefused("no_leader", "nobody leads the phone; nothing was done"))
        pending.fail(OutcomeUnknown("the leader did not reply in time; look at the calls"))
