"""What makes a process a member of its group: a window's agent that follows, and a candidacy that may lead.

Each is told what the other learns: the window whom to follow, the candidacy where its window stands, and when
that has lost its leader. The tests' simulation has its members from here, too.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import zmq

from agents.dummy import DummyAgent
from shared.config import Account, Settings
from shared.election import Holder
from shared.messages import Window
from shared.phone import Phone
from shared.replica import Change
from shared.trace import Trace

from .keeper import Candidacy, Keeper, Standing
from .lease import Lease

if TYPE_CHECKING:
    from agents.sip.trace import SipTrace

    from .sound import WindowSound


class Membership:
    """One member: ``phone`` is what its program gets. Made inside the running loop of its window.

    ``followed`` and ``failed`` are called on the phone thread; ``grace`` is :class:`Candidacy`'s.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        window: Window,
        lease: Lease,
        *,
        group: str,
        account: Account,
        sip_instance_id: str,
        settings: Settings,
        trace: Trace,
        grace: Callable[[], float],
        followed: Callable[[Holder], None],
        failed: Callable[[Exception], None],
        sound: "WindowSound | None" = None,
        sip_trace: "SipTrace | None" = None,
    ) -> None:
        self._loop, self._followed = asyncio.get_running_loop(), followed
        self._agent = DummyAgent(
            context,
            window,
            settings,
            self._changed,
            trace=trace,
            endpoints=lease.endpoints,
            lost=self._leader_lost,
        )
        self._standing = Standing(window.instance, self._standing_changed, self._leader_leaving)
        self.phone = Phone(self._agent, sound)
        candidacy = Candidacy(
            group=group,
            instance=window.instance,
            account=account,
            sip_instance_id=sip_instance_id,
            settings=settings,
            lease=lease,
            is_candidate=window.candidate,
            grace=grace,
            seed=lambda: self._agent.snapshot,
            follow=self._follow,
            failed=failed,
            trace=trace,
            sip_trace=sip_trace,
        )
        self._keeper = Keeper(context, candidacy)

    def close(self) -> None:
        """Be a window no more."""
        self._agent.close()
        self._standing.close()
        self.phone.detached()

    async def left(self) -> None:
        """Give up the lease, or the wait for it; after :meth:`close`."""
        await self._keeper.close()

    def _changed(self, changes: list[Change]) -> None:
        self.phone.apply(changes)
        snapshot = self._agent.snapshot
        if snapshot is not None:
            self._standing.shown(snapshot)

    def _standing_changed(self, rank: int | None, epoch: int) -> None:
        self._keeper.standing_changed(rank, epoch)

    def _leader_lost(self, epoch: int) -> None:
        self._keeper.leader_lost(epoch)

    def _leader_leaving(self, epoch: int) -> None:
        self._keeper.leader_leaving(epoch)

    def _follow(self, holder: Holder) -> None:
        self._loop.call_soon_threadsafe(self._agent.follow, holder)
        self._followed(holder)
