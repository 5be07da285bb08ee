"""The process' phone thread: it stands for election, and runs the real phone while this process leads.

One loop does both, on purpose: a loop that hangs renews no lease, so it is passed over and fenced off.

The *heir* prepares for its promotion (:mod:`.readiness`). It is also the only one that waits for the
leader's lock: fifty processes that the kernel wakes at once stand in the way of the one that has work to do.
The others hear the new leader's first word; where there is none, their broken line to the old one tells them
to look, each somewhat later than who stands before it.
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import zmq

from coordinator.lease import Vacant
from shared.actor import ActorThread, until_cancelled
from shared.clock import boottime
from shared.election import (
    Effect,
    Election,
    Follow,
    Holder,
    Look,
    Promote,
    Renew,
    StepDown,
    TellLeaderless,
    TryLease,
)
from shared.errors import AccountError, GroupError
from shared.log import log
from shared.messages import RegistrationState, Snapshot

from .bequest import Bequest
from .candidacy import Candidacy
from .readiness import Readiness, load_phone

if TYPE_CHECKING:
    from agents.real import RealAgent

_LEADERLESS = (
    "nobody is the phone: this window may not lead, and no process that may is running; "
    "start one with sound, or with --may-lead (in a program: candidate=True)"
)

#: How long each in the line of succession lets the one before go first, and how long the last of them waits.
_PATIENCE, _MOST_PATIENCE = 0.02, 0.2
#: How long a new leader leaves the processors to the windows that show its first state.
_HEAD_START = 0.004
#: So many of that line keep at hand what the leader would leave behind.
_EXECUTORS = 5
#: How long leaving may take: the farewell, and a service that does not answer to it.
_LEAVING_TIME = 15.0


class Keeper:
    """Stand for election until :meth:`close`."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], candidacy: Candidacy) -> None:
        self._context, self._candidacy, self._lease = context, candidacy, candidacy.lease
        self._agent: RealAgent | None = None
        self._readiness = Readiness(context, candidacy)
        self._bequest = Bequest(context)  # of the leader whom we follow
        self._rank: int | None = None  # how many others would lead before us; None: we would not
        self._watched = 0  # the newest epoch whose lock we wait for
        self._departed: frozenset[str] = frozenset()  # who led, and died; others were passed over, and live
        self._timer: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._complaints: set[str] = set()
        self._thread = ActorThread(
            f"phone-{candidacy.instance}", self._main, is_small=not candidacy.is_candidate
        )
        self._thread.start()

    async def close(self) -> None:
        """Leave politely: end our term if we lead, let go of the lease, and end the thread."""
        await self._thread.stop(_LEAVING_TIME)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        settings = self._candidacy.settings
        self._election = Election(
            now=boottime(), candidate=self._candidacy.is_candidate, lease_time=settings.lease_time
        )
        self._election.patience = _MOST_PATIENCE
        try:
            self._step()
            await until_cancelled()
        finally:
            self._is_closing = True
            self._election.retire()
            if self._agent is not None:
                await self._agent.leave()
            self._bequest.stop()
            await self._readiness.end()
            if self._timer is not None:
                self._timer.cancel()
            await asyncio.gather(*self._ending)
            self._lease.release()

    def standing_changed(self, rank: int | None, epoch: int) -> None:
        """Take from the window how many others would lead before us after ``epoch``; None: we would not.

        May be called from any thread.
        """
        self._thread.post(self._standing_changed, rank, epoch)

    def leader_lost(self, epoch: int) -> None:
        """Take from the window that the leader of ``epoch`` is gone, and nobody spoke up. From any thread."""
        self._thread.post(self._look_soon, epoch)

    def leader_leaving(self, epoch: int) -> None:
        """Take from the window that the leader of ``epoch`` is about to let go. From any thread."""
        self._thread.post(self._leader_leaving, epoch)

    def _leader_leaving(self, epoch: int) -> None:
        self._election.leaving(epoch, boottime())
        self._step()

    def _standing_changed(self, rank: int | None, epoch: int) -> None:
        if self._is_closing:
            return
        self._rank = rank
        self._election.patience = _MOST_PATIENCE if rank is None else min(rank * _PATIENCE, _MOST_PATIENCE)
        if epoch > self._election.epoch:
            self._look_soon(self._election.epoch)
        self._keep_watch()
        self._expect_estate()
        if rank == 0:
            self._prepare(epoch + 1)
        elif not self._election.is_leader:
            self._readiness.leave_post()
            self._lease.withdraw()

    def _look_soon(self, epoch: int) -> None:
        self._election.died(epoch, boottime(), is_late=True)
        self._step()

    def _keep_watch(self) -> None:
        """Be told of the leader's death at once if we are the heir."""
        holder = self._election.holder
        if self._rank == 0 and holder is not None and holder.epoch > self._watched:
            self._watched = holder.epoch
            self._lease.watch(holder.epoch, self._opened)

    def _prepare(self, epoch: int) -> None:
        """Do before our promotion what would delay it."""
        # Not once a term has that epoch: to bind its sockets again would take their place.
        if not self._election.is_leader and epoch > self._election.epoch:
            shown = self._candidacy.seed()
            is_calm = shown is not None and shown.registration.state is RegistrationState.REGISTERED
            self._readiness.prepare(epoch, is_calm=is_calm)

    def _step(self) -> None:
        """Let time pass, then do whatever the election asks for, until it asks for nothing more."""
        if self._is_closing and not self._election.is_leader:
            return
        self._election.tick(boottime())
        try:
            while effects := self._election.effects():
                for effect in effects:
                    self._do(effect)
        except (GroupError, AccountError, OSError) as exc:
            self._complain(exc)
        self._set_timer()

    def _complain(self, exc: Exception) -> None:
        """Say once what is wrong: it is tried again, hundreds of times a second."""
        if self._agent is None:
            self._lease.release()  # of a promotion that failed: another process may be able to lead
        if str(exc) not in self._complaints:
            self._complaints.add(str(exc))
            log.error("group.unusable", error=str(exc))
            self._candidacy.failed(exc)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._election.next_deadline()
        if deadline is not None:
            self._timer = self._loop.call_later(max(deadline - boottime(), 0.0), self._step)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Look():
                self._look()
            case TryLease(epoch):
                self._try(epoch)
            case Follow(holder):
                self._departed = frozenset()
                self._keep_watch()
                self._candidacy.follow(holder)
                self._expect_estate()
            case Promote(epoch):
                self._promote(epoch)
            case Renew(deadline):
                self._renew(deadline)
            case StepDown(epoch):
                self._candidacy.trace.write("STEPPED_DOWN", epoch=epoch)
                self._step_down()
            case TellLeaderless():
                log.warning("group.leaderless", group=self._candidacy.group, detail=_LEADERLESS)

    def _look(self) -> None:
        found = self._lease.look()
        if isinstance(found, Vacant):
            self._departed = found.departed
            self._election.vacant(found.epoch, boottime())
        else:
            self._election.held(found, boottime())

    def _try(self, epoch: int) -> None:
        if self._election.is_leader:
            return  # two looks in a row, and the first of them was enough
        self._readiness.man_post(epoch)  # first: a leader that cannot speak must not take an epoch
        load_phone()  # nor one that would spend its lease on this
        now = boottime()
        deadline = now + self._candidacy.settings.lease_time + self._candidacy.grace()
        if self._lease.try_take(epoch, deadline):
            self._election.granted(epoch, now)
        else:
            self._readiness.leave_post()  # and try_take has withdrawn
            self._look()

    def _opened(self, epoch: int) -> None:
        """Called by the lease on a thread of its own: the holder of ``epoch`` has died or let go."""
        self._thread.post(self._died, epoch)

    def _died(self, epoch: int) -> None:
        holder = self._election.holder
        if holder is not None and epoch == holder.epoch:  # else one before has ended at last: nothing changes
            self._departed = frozenset((holder.instance,))
        self._election.died(epoch, boottime(), is_late=self._rank != 0)
        self._step()

    def _promote(self, epoch: int) -> None:
        if not self._lease.is_held(epoch):
            self._deposed_soon(epoch)  # this process stood still after it had taken the lease
            return
        from agents.real import Office, RealAgent  # a third of a window's memory: see .readiness

        candidacy, post, seed = self._candidacy, self._readiness.take_post(), self._seed()
        office = Office(
            group=candidacy.group,
            instance=candidacy.instance,
            epoch=epoch,
            post=post,
            account=candidacy.account,
            sip_instance_id=candidacy.sip_instance_id,
            settings=candidacy.settings,
            seed=seed,
            estate=self._bequest.estate,
            predecessor_died=seed is not None and seed.leader in self._departed,
            may_act=partial(self._lease.is_held, epoch),
            offer=self._lease.offer,
            deposed=partial(self._deposed_soon, epoch),
            sip_trace=candidacy.sip_trace,
        )
        candidacy.trace.write("PROMOTED", epoch=epoch)
        try:
            self._agent = RealAgent(office)
        except BaseException:
            post.close()
            raise
        log.info("leader.promoted", epoch=epoch, instance=candidacy.instance)
        # Its own window follows like any other.
        candidacy.follow(Holder(epoch, float("inf"), candidacy.instance, 0, post.endpoints))
        self._loop.call_later(_HEAD_START, self._settle_in)

    def _seed(self) -> Snapshot | None:
        """Return the state to begin with, without those who led and died before they could be missed."""
        seed = self._candidacy.seed()
        if seed is None or self._departed <= {seed.leader}:
            return seed
        gone = self._departed - {seed.leader}
        windows = tuple(window for window in seed.windows if window.instance not in gone)
        return msgspec.structs.replace(seed, windows=windows)

    def _settle_in(self) -> None:
        """Do what could wait until the windows have our first state."""
        self._lease.settle_in()
        if self._election.is_leader:
            self._bequest.stop()

    def _expect_estate(self) -> None:
        """Keep at hand what the leader would leave behind, if we may well be its successor."""
        holder = self._election.holder
        is_executor = self._candidacy.is_candidate and (self._rank or 0) < _EXECUTORS  # or may be: a newcomer
        if not is_executor:
            self._bequest.renounce()
        elif holder is not None and not self._is_closing:
            self._bequest.expect(holder.endpoints.estate)

    def _renew(self, deadline: float) -> None:
        if self._lease.is_held(self._election.epoch):
            self._lease.renew(deadline + self._candidacy.grace())
        else:
            self._deposed(self._election.epoch)

    def _deposed_soon(self, epoch: int) -> None:
        # Not from here: the agent is in the middle of an input.
        self._loop.call_soon(self._deposed, epoch)

    def _deposed(self, epoch: int) -> None:
        """Step down from ``epoch``, unless that has happened: by now we may lead another one."""
        if self._election.epoch == epoch:
            self._election.lost()
            self._step()

    def _step_down(self) -> None:
        self._lease.release()
        if self._is_closing:
            return  # the agent is leaving already
        agent, self._agent = self._agent, None
        if agent is not None:
            self._bequest.estate = agent.estate  # newer than what it was given
            task = asyncio.create_task(agent.abandon(), name="abandon")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
