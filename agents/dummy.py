"""The dummy phone: what every window is. It shows the leader's state and forwards actions to the leader.

It lives in the window's own event loop. It never knows whether the leader is this very process: the same
sockets are used either way.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, repeat

import zmq

from shared import ids
from shared.clock import boottime
from shared.config import Settings
from shared.election import Endpoints, Holder
from shared.errors import ActionRefused, OutcomeUnknown, refusal
from shared.messages import (
    Action,
    Attach,
    Detach,
    Done,
    FromLeader,
    Outcome,
    Refused,
    Request,
    Resync,
    Snapshot,
    SnapshotReader,
    Version,
    Window,
)
from shared.replica import Change, Replica
from shared.trace import Trace

from .bus import ActionClient, Subscriber
from .succession import Succession

#: Seconds that a window waits before it connects to a new leader whose state it has: others still want it.
_CALM = 0.03
#: And the seconds over which the windows spread then, for each of them.
_SPREAD = 0.001
#: Seconds that a new leader has to speak up when the line to the one before broke.
_SILENCE = 0.02


def calm(snapshot: Snapshot) -> float:
    """Return in how many seconds a window should do what can wait after a change of leader.

    The new state is to be everywhere first, and then not all windows are to do it at the same time.
    """
    return _CALM + ids.chance() * _SPREAD * len(snapshot.windows)


@dataclass(slots=True)
class _Pending:
    """An action whose caller waits. ``epoch`` is that of the leader it was sent to; 0: to none yet."""

    action_id: str
    action: Action
    deadline: float
    reply: asyncio.Future[Done] = field(repr=False)
    epoch: int = 0


class DummyAgent:
    """Follow leader after leader; keep the newest state; forward actions, each with exactly one answer.

    Must be made inside the loop that shall own it.

    Args:
        changed: Called with what each new state changed.
        endpoints: Says where an instance would speak from as the leader of an epoch. With it, the window
            listens to the heir before that leads, and needs no other word to follow it.
        lost: Called with the epoch of a leader whose line broke, and after whom nobody spoke up.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        window: Window,
        settings: Settings,
        changed: Callable[[list[Change]], None],
        *,
        trace: Trace | None = None,
        endpoints: Callable[[int, str], Endpoints] | None = None,
        lost: Callable[[int], None] = lambda _epoch: None,
    ) -> None:
        self.replica = Replica(now=boottime(), stale_after=settings.stale_after)
        self._context, self._window, self._settings, self._changed = context, window, settings, changed
        self._reader = SnapshotReader()
        self._trace = trace or Trace(None, window.instance)
        self._loop = asyncio.get_running_loop()
        self._holder: Holder | None = None
        self._is_closed = False
        self._client: ActionClient | None = None
        self._subscriber: Subscriber[Snapshot] | None = None
        self._succession = Succession(endpoints, self._subscribe)
        self._next: Holder | None = None  # the heir, who leads and is still to be followed
        self._following: asyncio.TimerHandle | None = None
        self._lost = lost
        self._silence: asyncio.TimerHandle | None = None
        self._windows: tuple[Window, ...] | None = None  # of the state before
        self._pending: dict[str, _Pending] = {}
        self._ids = map("{}{:x}".format, repeat(ids.new_id(6)), count())
        self._expiry: asyncio.TimerHandle | None = None
        self._expiry_at = 0.0  # not after the first deadline of what is pending
        self._unseen: list[tuple[Version, asyncio.Future[Done], Done]] = []  # done, but not shown here yet
        self._beat_every = settings.presence_time / 4
        self._beat: asyncio.TimerHandle | None = None
        self._staleness: asyncio.TimerHandle | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest state, None before the first."""
        return self.replica.snapshot

    @property
    def is_stale(self) -> bool:
        """Whether the state may be old."""
        return self.replica.is_stale

    @property
    def instance(self) -> str:
        """The id of this process in the group."""
        return self._window.instance

    def follow(self, holder: Holder) -> None:
        """Leave the leader before, if any, and listen to ``holder``; harmless if that is followed already."""
        if self._following is not None:
            self._following.cancel()
        self._following = self._next = None
        if self._is_closed or (self._holder is not None and holder.epoch <= self._holder.epoch):
            return  # somebody took over while this window was leaving, or it spoke to us before
        unsent = self._hang_up()
        self._holder = holder
        self._client = ActionClient(self._context, holder.endpoints.actions, self._replied, self._line_broke)
        self._subscriber = self._succession.subscription(holder)
        self._attach()
        for pending in self._pending.values():
            # Never sent is safe to send elsewhere; sent is for the dead leader's last outcomes to tell.
            if pending.epoch == 0 or pending.action_id in unsent:
                self._send(pending)
        self._look_ahead()

    async def perform(self, action: Action, time: float | None = None) -> Done:
        """Have the leader do ``action``; return once it is done *and* this window shows it.

        Args:
            action: What the user wants.
            time: Seconds to wait; default: the setting ``action_time``.

        Raises:
            ActionRefused: It was not done.
            OutcomeUnknown: It was sent, and nobody can know whether it was done.
        """
        if self._is_closed:
            raise ActionRefused("no_leader", "this window has left the group; nothing was done")
        time = self._settings.action_time if time is None else time
        if self._next is not None:
            self.follow(self._next)
        deadline = boottime() + time
        pending = _Pending(next(self._ids), action, deadline, self._loop.create_future())
        self._pending[pending.action_id] = pending
        self._trace.asked(pending.action_id, action, time)
        if self._expiry is None or deadline < self._expiry_at:
            self._watch_deadlines(deadline, time)
        if self._client is not None:
            self._send(pending)
        try:
            return await pending.reply
        finally:
            self._pending.pop(pending.action_id, None)
            self._trace.answered(pending.action_id, pending.reply)

    def close(self) -> None:
        """Leave the group politely. Actions under way end in :exc:`OutcomeUnknown`."""
        self._is_closed = True
        if self._client is not None and self._holder is not None:
            self._client.send(Detach(epoch=self._holder.epoch, instance=self._window.instance))
        self._hang_up()
        self._succession.close()
        for timer in (self._staleness, self._expiry, self._following, self._silence):
            if timer is not None:
                timer.cancel()
        self._trace.write("LEFT")
        for pending in list(self._pending.values()):
            self._fail(pending, OutcomeUnknown("this window left the group before the reply came"))

    # -- the leader's state, and the next one's ------------------------------------------------------------

    def _subscribe(self, holder: Holder) -> Subscriber[Snapshot]:
        is_own = holder.instance == self._window.instance  # the leader is on another thread of this process
        endpoint = holder.endpoints.own if is_own else holder.endpoints.state
        return Subscriber(self._context, endpoint, self._reader.decode, self._arrived)

    def _line_broke(self) -> None:
        """Take that the leader has closed its end, or died: its heir speaks soon, or something is wrong."""
        if self._holder is not None and self._silence is None:
            self._silence = self._loop.call_later(_SILENCE, self._nobody_spoke, self._holder.epoch)

    def _nobody_spoke(self, epoch: int) -> None:
        self._silence = None
        if self._next is None and self._holder is not None and self._holder.epoch == epoch:
            self._lost(epoch)

    def _heir_leads(self, heir: Holder, snapshot: Snapshot) -> None:
        """Take that the heir speaks as the leader: to follow it can wait, unless somebody waits for it."""
        if self._pending:
            self.follow(heir)  # now: what was never sent to the leader before can be sent to this one
        elif self._next is None:
            self._next = heir
            self._following = self._loop.call_later(calm(snapshot), self.follow, heir)

    def _look_ahead(self) -> None:
        """Listen to the next heir, too."""
        snapshot, holder = self.snapshot, self._holder
        if snapshot is not None and holder is not None and snapshot.version.epoch == holder.epoch:
            self._succession.expect(snapshot)

    def _arrived(self, snapshot: Snapshot) -> None:
        if (heir := self._succession.speaker(snapshot)) is not None:
            self._heir_leads(heir, snapshot)
        before = self.replica.version
        changes = self.replica.apply(snapshot, boottime())
        version = self.replica.version
        if self._staleness is None:
            self._watch_staleness()
        if version == before and not changes:
            return
        if version != before:
            self._trace.snapshot(snapshot)
            if snapshot.windows is not self._windows or version.epoch != before.epoch:
                self._windows = snapshot.windows
                self._look_ahead()
        self._changed(changes)
        if self._unseen:
            self._show(version)  # first: what was acknowledged is done, whoever leads now
        if version.epoch > before.epoch:
            self._ask_outcomes(snapshot)

    def _show(self, version: Version) -> None:
        """Let actions return whose effect this version shows."""
        waiting, self._unseen = self._unseen, []
        for entry in waiting:
            needed, reply, done = entry
            if needed > version:
                self._unseen.append(entry)
            elif not reply.done():
                reply.set_result(done)

    def _ask_outcomes(self, snapshot: Snapshot) -> None:
        """Settle what was sent to a leader that is gone: its last outcomes travel in the new one's state."""
        outcomes = {outcome.action_id: outcome for outcome in snapshot.outcomes}
        for pending in list(self._pending.values()):
            if pending.reply.done() or not 0 < pending.epoch < snapshot.version.epoch:
                continue
            if outcome := outcomes.get(pending.action_id):
                self._settle(pending, outcome, snapshot.version)
            else:
                self._fail(pending, OutcomeUnknown("the leader died before it replied; look at the calls"))

    def _settle(self, pending: _Pending, outcome: Outcome, version: Version) -> None:
        if outcome.refused is not None:
            self._fail(pending, refusal(outcome.refused, outcome.message, outcome.status))
        elif not pending.reply.done():
            done = Done(
                action_id=pending.action_id, version=version, call_id=outcome.call_id, value=outcome.value
            )
            pending.reply.set_result(done)

    def _watch_staleness(self) -> None:
        deadline = self.replica.next_deadline()
        if deadline is None or (self._staleness is not None and not self._staleness.cancelled()):
            return
        self._staleness = self._loop.call_later(max(deadline - boottime(), 0.001), self._check_staleness)

    def _check_staleness(self) -> None:
        self._staleness = None
        if changes := self.replica.tick(boottime()):
            self._changed(changes)
            if self._client is not None and self._holder is not None:
                self._client.send(Resync(epoch=self._holder.epoch, instance=self._window.instance))
        self._watch_staleness()

    # -- actions -----------------------------------------------------------------------------------------

    def _send(self, pending: _Pending) -> None:
        if self._client is None or self._holder is None:
            return
        pending.epoch = self._holder.epoch
        request = Request(
            action_id=pending.action_id,
            instance=self._window.instance,
            epoch=pending.epoch,
            deadline=pending.deadline,
            action=pending.action,
        )
        if not self._client.send(request):
            self._fail(pending, ActionRefused("too_busy", "too many actions wait for the leader already"))

    def _replied(self, reply: FromLeader) -> None:
        match reply:
            case Snapshot():
                self._arrived(reply)
            case Done() if pending := self._pending.get(reply.action_id):
                if reply.version <= self.replica.version:
                    if not pending.reply.done():
                        pending.reply.set_result(reply)
                else:
                    self._unseen.append((reply.version, pending.reply, reply))
            case Refused() if pending := self._pending.get(reply.action_id):
                self._fail(pending, refusal(reply.code, reply.message, reply.status))
            case _:
                pass  # the answer to an action that nobody waits for any more

    def _watch_deadlines(self, at: float, delay: float) -> None:
        """Look for actions whose time is over at ``at``: one timer does for all, and most never need it."""
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry_at = at
        self._expiry = self._loop.call_later(delay, self._check_deadlines)

    def _check_deadlines(self) -> None:
        self._expiry, now = None, boottime()
        for pending in list(self._pending.values()):
            if pending.deadline <= now:
                self._expire(pending)
        left = [pending.deadline for pending in self._pending.values() if pending.deadline > now]
        if left:
            self._watch_deadlines(min(left), min(left) - now)

    def _expire(self, pending: _Pending) -> None:
        for _version, reply, done in self._unseen:
            if reply is pending.reply and not reply.done():
                reply.set_result(done)  # done for sure, and only the state is late
        # Taken back: what has not left by now is not to leave any more.
        is_unsent = self._client is not None and self._client.withdraw(pending.action_id)
        if pending.epoch == 0 or is_unsent:
            self._fail(pending, ActionRefused("no_leader", "nobody leads the phone; nothing was done"))
        self._fail(pending, OutcomeUnknown("the leader did not reply in time; look at the calls"))

    @staticmethod
    def _fail(pending: _Pending, error: Exception) -> None:
        if not pending.reply.done():
            pending.reply.set_exception(error)

    # -- presence ----------------------------------------------------------------------------------------

    def _attach(self) -> None:
        if self._client is not None and self._holder is not None:
            self._client.send(Attach(epoch=self._holder.epoch, window=self._window))
            self._beat = self._loop.call_later(self._beat_every, self._attach)

    def _hang_up(self) -> set[str]:
        """Close the line to the leader; return the ids of actions that never left."""
        if self._beat is not None:
            self._beat.cancel()
        unsent: set[str] = set()
        if self._client is not None:
            unsent = {message.action_id for message in self._client.unsent() if isinstance(message, Request)}
            self._client.close()
        if self._subscriber is not None:
            self._subscriber.close()
        self._client = self._subscriber = self._holder = None
        return unsent
