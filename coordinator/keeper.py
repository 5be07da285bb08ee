"""The process' phone thread: it stands for election, and runs the real phone while this process leads.

One loop does both, on purpose: a loop that hangs renews no lease, so it is passed over and fenced off.

The *heir* prepares for its promotion: it imports the real phone, reads whom to trust, and binds the sockets
of the next epoch, so that the windows are connected before it has anything to say. The other windows do not,
which keeps them small; should they have to lead all the same, it takes them a tenth of a second longer.
"""

import asyncio
import contextlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import zmq

from agents.bus import Post, Subscriber
from shared.actor import ActorThread, until_cancelled
from shared.clock import boottime
from shared.config import Account, Settings
from shared.election import (
    Effect,
    Election,
    Endpoints,
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
from shared.messages import Snapshot
from shared.trace import Trace

from .lease import Lease, Vacant

if TYPE_CHECKING:
    from agents.real import RealAgent
    from agents.sip.trace import SipTrace


_LEADERLESS = (
    "nobody is the phone: this window may not lead, and no process that may is running; "
    "start one with sound, or with --may-lead (in a program: candidate=True)"
)

#: How long the others let the heir go first. It needs less; and they hear of it without looking.
_PATIENCE = 0.02
#: How long whatever can wait does so after a change of leader: the state is to be everywhere first.
_CALM = 0.03
#: What leads, and what a window that does not lead can do without.
_PHONE = "agents.real"
#: How long leaving may take: the farewell, and a service that does not answer to it.
_LEAVING_TIME = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidacy:
    """What a process brings to the election, and whom it tells (on the phone thread).

    ``grace`` says how many seconds longer than usual a lease of ours is to hold, at this moment.
    """

    group: str
    instance: str
    account: Account
    sip_instance_id: str
    settings: Settings
    lease: Lease
    is_candidate: bool
    grace: Callable[[], float]
    seed: Callable[[], Snapshot | None]
    follow: Callable[[Holder], None]
    failed: Callable[[Exception], None]
    trace: Trace
    sip_trace: "SipTrace | None" = None


class Keeper:
    """Stand for election until :meth:`close`."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], candidacy: Candidacy) -> None:
        self._context, self._candidacy, self._lease = context, candidacy, candidacy.lease
        self._agent: RealAgent | None = None
        self._post: Post | None = None  # the sockets of an epoch that may be ours
        self._heirloom: Subscriber[bytes] | None = None
        self._estate = b""  # what the leader whom we follow would leave behind
        self._is_heir = self._is_prepared = False
        self._predecessor_died = False  # or it was passed over, and its process lives
        self._timer: asyncio.TimerHandle | None = None
        self._preparing: asyncio.TimerHandle | None = None
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
        try:
            self._step()
            await until_cancelled()
        finally:
            self._is_closing = True
            self._election.retire()
            if self._agent is not None:
                await self._agent.leave()
            self._stop_expecting()
            self._leave_post()
            for timer in (self._timer, self._preparing):
                if timer is not None:
                    timer.cancel()
            await asyncio.gather(*self._ending)
            self._lease.release()

    def heir_changed(self, heir: str, epoch: int) -> None:
        """Take from the window who shall lead after ``epoch``. May be called from any thread."""
        self._thread.post(self._heir_changed, heir == self._candidacy.instance, epoch)

    def _heir_changed(self, is_heir: bool, epoch: int) -> None:
        if self._is_closing:
            return
        self._is_heir = is_heir
        if self._preparing is not None:
            self._preparing.cancel()
        self._preparing = self._loop.call_later(_CALM, self._prepare, epoch + 1) if is_heir else None
        if not is_heir:
            self._leave_post()

    def _prepare(self, epoch: int) -> None:
        """Do before our promotion what would delay it."""
        if self._election.is_leader or epoch <= self._election.epoch:
            return  # too late: to bind the sockets of a term that has begun would take their place
        with contextlib.suppress(GroupError):  # if it matters, it will be said when we try to lead
            self._man_post(epoch)
        if not self._is_prepared:
            self._is_prepared = True
            task = asyncio.create_task(asyncio.to_thread(_load, self._candidacy.account), name="prepare")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

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
                self._predecessor_died = False
                self._lease.watch(holder.epoch, self._opened, self._patience)
                self._candidacy.follow(holder)
                self._expect_estate(holder.endpoints)
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
            if found.epoch == self._election.epoch:
                self._predecessor_died = True  # our own look was faster than the lock that we wait for
            self._election.vacant(found.epoch, boottime())
        else:
            self._election.held(found, boottime())

    def _try(self, epoch: int) -> None:
        if self._election.is_leader:
            return  # two looks in a row, and the first of them was enough
        self._man_post(epoch)  # first: a leader that cannot speak must not take an epoch
        importlib.import_module(_PHONE)  # nor one that would spend its lease on this
        now = boottime()
        deadline = now + self._candidacy.settings.lease_time + self._candidacy.grace()
        if self._lease.try_take(epoch, deadline):
            self._election.granted(epoch, now)
        else:
            self._leave_post()
            self._look()

    def _opened(self, epoch: int) -> None:
        """Called by the lease on a thread of its own: the holder of ``epoch`` has died or let go."""
        self._thread.post(self._died, epoch)

    def _patience(self) -> float:
        return 0.0 if self._is_heir else _PATIENCE

    def _died(self, epoch: int) -> None:
        if epoch == self._election.epoch:  # else one before has ended at last, and nothing changes
            self._predecessor_died = True
        self._election.died(epoch, boottime(), is_late=not self._is_heir)
        self._step()

    def _promote(self, epoch: int) -> None:
        if not self._lease.is_held():
            self._deposed_soon(epoch)  # this process stood still after it had taken the lease
            return
        from agents.office import Office  # a third of a window's memory: see the module's docstring
        from agents.real import RealAgent

        candidacy, post = self._candidacy, self._post
        assert post is not None
        office = Office(
            group=candidacy.group,
            instance=candidacy.instance,
            epoch=epoch,
            post=post,
            account=candidacy.account,
            sip_instance_id=candidacy.sip_instance_id,
            settings=candidacy.settings,
            seed=candidacy.seed(),
            estate=self._estate,
            predecessor_died=self._predecessor_died,
            may_act=self._lease.is_held,
            offer=self._lease.offer,
            deposed=partial(self._deposed_soon, epoch),
            sip_trace=candidacy.sip_trace,
        )
        self._stop_expecting()
        candidacy.trace.write("PROMOTED", epoch=epoch)
        self._post = None
        try:
            self._agent = RealAgent(office)
        except BaseException:
            post.close()
            raise
        log.info("leader.promoted", epoch=epoch, instance=candidacy.instance)
        # Its own window follows like any other.
        candidacy.follow(Holder(epoch, float("inf"), candidacy.instance, 0, post.endpoints))
        self._loop.call_soon(self._lease.settle_in)

    def _man_post(self, epoch: int) -> None:
        """Have the sockets of ``epoch`` bound, should it be ours.

        Raises:
            GroupError: They cannot be bound.
        """
        endpoints = self._lease.endpoints(epoch)
        if self._post is not None and self._post.endpoints == endpoints:
            return
        self._leave_post()
        try:
            self._post = Post(self._context, endpoints)
        except zmq.ZMQError as exc:
            why = zmq.strerror(exc.errno) if exc.errno else str(exc)
            group = self._candidacy.group
            raise GroupError(f"cannot make the sockets of the group {group!r}: {why}") from exc

    def _leave_post(self) -> None:
        if self._post is not None:
            self._post.close()
            self._post = None

    def _expect_estate(self, endpoints: Endpoints) -> None:
        """Keep at hand what the leader would leave behind, if we may be its successor."""
        self._stop_expecting()
        if self._candidacy.is_candidate and not self._is_closing:
            self._heirloom = Subscriber(self._context, endpoints.estate, bytes, self._inherit)

    def _stop_expecting(self) -> None:
        if self._heirloom is not None:
            self._heirloom.close()
            self._heirloom = None

    def _inherit(self, estate: bytes) -> None:
        self._estate = estate

    def _renew(self, deadline: float) -> None:
        if self._lease.is_held():
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
            self._estate = agent.estate  # newer than what it was given
            task = asyncio.create_task(agent.abandon(), name="abandon")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


def _load(account: Account) -> None:
    """Have the phone in memory, and whom to trust."""
    from agents.sip.transport import tls_context

    importlib.import_module(_PHONE)
    with contextlib.suppress(AccountError):  # the line will say it when it matters
        tls_context(account)
