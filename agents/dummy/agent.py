"""The dummy phone: what every window is. It shows the leader's state and forwards actions to the leader.

It lives in the window's own event loop. It never knows whether the leader is this very process: the same
sockets are used either way.
"""

import asyncio
from collections.abc import Callable

import zmq

from agents.bus import ActionClient, Subscriber
from shared import ids
from shared.clock import boottime
from shared.config import Settings
from shared.election import Endpoints, Holder
from shared.errors import ActionRefused, MessageError, OutcomeUnknown
from shared.messages import (
    Action,
    Attach,
    Detach,
    Done,
    FromLeader,
    Refused,
    Request,
    Resync,
    Snapshot,
    SnapshotReader,
    Window,
    require_sendable,
)
from shared.replica import Change, Replica
from shared.trace import Trace

from .pending import PendingAction, PendingActions
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
        self._pending = PendingActions(self._trace, self._withdraw)
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
        for pending in self._pending:
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
        try:
            require_sendable(action)
        except MessageError as exc:
            raise ActionRefused("bad_request", f"this cannot be sent: {exc}") from exc
        time = self._settings.action_time if time is None else time
        if self._next is not None:
            self.follow(self._next)
        pending = self._pending.begin(action, time)
        self._send(pending)
        return await self._pending.answer(pending)

    def close(self) -> None:
        """Leave the group politely. Actions under way end in :exc:`OutcomeUnknown`."""
        self._is_closed = True
        if self._client is not None and self._holder is not None:
            self._client.send(Detach(epoch=self._holder.epoch, instance=self._window.instance))
        self._hang_up()
        self._succession.close()
        for timer in (self._staleness, self._following, self._silence):
            if timer is not None:
                timer.cancel()
        self._trace.write("LEFT")
        self._pending.close(OutcomeUnknown("this window left the group before the reply came"))

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
        self._pending.show(snapshot)  # first: what was acknowledged is done, whoever leads now
        if version.epoch > before.epoch:
            self._pending.leader_changed(version.epoch)

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

    def _send(self, pending: PendingAction) -> None:
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
            pending.fail(ActionRefused("too_busy", "too many actions wait for the leader already"))

    def _withdraw(self, action_id: str) -> bool:
        return self._client is not None and self._client.withdraw(action_id)

    def _replied(self, reply: FromLeader) -> None:
        match reply:
            case Snapshot():
                self._arrived(reply)
            case Done():
                self._pending.done(reply, self.replica.version)
            case Refused():
                self._pending.refused(reply)

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
