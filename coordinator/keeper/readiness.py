"""What an heir has ready before its leader dies: the sockets of the next epoch, and the phone in memory.

The sockets are bound, so that the windows are connected before it has anything to say. The other windows have
nothing ready, which keeps them small; should they have to lead all the same, it takes them a tenth of a
second longer.
"""

import asyncio
import contextlib
import importlib

import zmq

from agents.bus import Post
from shared.errors import AccountError, GroupError

from .candidacy import Candidacy
from .descriptors import make_room

#: How long a new heir leaves the processors to the new leader, which registers, before it loads the phone.
_LOADING_DELAY = 0.06
#: What leads, and what a window that does not lead can do without.
_PHONE = "agents.real"


class Readiness:
    """What one process has ready. Belongs to the loop of its phone thread."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], candidacy: Candidacy) -> None:
        self._context, self._candidacy = context, candidacy
        self._post: Post | None = None  # the sockets of an epoch that may be ours
        self._waiting: asyncio.TimerHandle | None = None
        self._loading: asyncio.Task[None] | None = None

    def prepare(self, epoch: int, *, is_calm: bool) -> None:
        """Do before a promotion to ``epoch`` what would delay it; at once if no new leader is busy."""
        with contextlib.suppress(GroupError):  # if it matters, it will be said when we try to lead
            self.man_post(epoch)
            self._candidacy.lease.prepare(epoch)
        if self._waiting is None:
            delay = 0.0 if is_calm else _LOADING_DELAY
            self._waiting = asyncio.get_running_loop().call_later(delay, self._load)

    def man_post(self, epoch: int) -> None:
        """Have the sockets of ``epoch`` bound, should it be ours.

        Raises:
            GroupError: They cannot be bound.
        """
        endpoints = self._candidacy.lease.endpoints(epoch)
        if self._post is not None and self._post.endpoints == endpoints:
            return
        self.leave_post()
        try:
            self._post = Post(self._context, endpoints)
        except zmq.ZMQError as exc:
            why = zmq.strerror(exc.errno) if exc.errno else str(exc)
            group = self._candidacy.group
            raise GroupError(f"cannot make the sockets of the group {group!r}: {why}") from exc

    def leave_post(self) -> None:
        """Let go of the sockets, if there are any."""
        if self._post is not None:
            self._post.close()
            self._post = None

    def take_post(self) -> Post:
        """Hand over the sockets: our term begins."""
        post, self._post = self._post, None
        assert post is not None, "nobody takes an epoch without having manned its post"
        return post

    async def end(self) -> None:
        """Have nothing ready any more."""
        self.leave_post()
        if self._waiting is not None:
            self._waiting.cancel()
        if self._loading is not None:
            await self._loading

    def _load(self) -> None:
        self._loading = asyncio.create_task(asyncio.to_thread(_rehearse, self._candidacy), name="prepare")


def load_phone() -> None:
    """Have the phone in memory."""
    importlib.import_module(_PHONE)


def _rehearse(candidacy: Candidacy) -> None:
    """Have the phone in memory, whom to trust, and room for what it opens."""
    from agents.real import rehearse
    from agents.sip.transport import tls_context

    make_room()
    load_phone()
    rehearse(candidacy.account, candidacy.settings)
    with contextlib.suppress(AccountError):  # the line will say it when it matters
        tls_context(candidacy.account)
