"""[core] Who leads the group: the decision, without the I/O. Times are CLOCK_BOOTTIME seconds.

A lease has one holder per epoch (see ``coordinator/lease``). This core is told what the lease's files and
locks show, and says when to try, whom to follow, when to renew and when to step down:

* the holder died or let go: a candidate tries the next epoch, at once if it is the heir; the others let those
  who stand before them in the line of succession go first, each for as long as its ``patience``;
* the holder's deadline passed although it still holds its lock (stopped, hung, suspended): the next epoch is
  tried all the same; the holder notices a successor before its next effect, and steps down;
* a process that does not want to lead (``candidate=False``) only follows, and says so once if nobody leads.
"""

from dataclasses import dataclass
from typing import NamedTuple

#: How long nobody may lead before a process that cannot change it says so: longer than any failover takes.
_LEADERLESS_TIME = 2.0
#: How often such a process looks from then on: it waits for a program that somebody has to start.
_LEADERLESS_LOOK_EVERY = 0.1


#: Seconds between the looks of a process that lets others take over first.
_LOOK_AROUND = 0.02


class Endpoints(NamedTuple):
    """Where the holder of an epoch binds its sockets."""

    state: str  # XPUB: snapshots, for every window
    actions: str  # ROUTER: requests and replies
    estate: str  # XPUB: what a successor needs, for candidates only
    own: str = ""  # XPUB: snapshots for the window in the holder's own process, which is told last


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds an epoch, as its lease says: where to connect, and until when to believe it."""

    epoch: int
    deadline: float
    instance: str
    pid: int
    endpoints: Endpoints


@dataclass(frozen=True, slots=True)
class TryLease:
    """Effect: try to take this epoch; report :meth:`Election.granted`, or what is there now."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Look:
    """Effect: look who holds the newest epoch, and report it."""


@dataclass(frozen=True, slots=True)
class Follow:
    """Effect: connect to this leader, and watch its lock: report :meth:`Election.died` when it opens."""

    holder: Holder


@dataclass(frozen=True, slots=True)
class Promote:
    """Effect: start the real phone; all that it sends carries ``epoch``."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Renew:
    """Effect: write this deadline into our lease."""

    deadline: float


@dataclass(frozen=True, slots=True)
class StepDown:
    """Effect: stop the real phone of ``epoch`` without a further message: somebody else leads."""

    epoch: int


@dataclass(frozen=True, slots=True)
class TellLeaderless:
    """Effect: tell the user that nobody leads, and that nothing here will change that."""


Effect = TryLease | Look | Follow | Promote | Renew | StepDown | TellLeaderless


class Election:
    """One process's view of who leads.

    Args:
        candidate: Whether this process is willing to lead.
        lease_time: How long a lease holds without renewal; it is renewed three times as often.
        look_every: How often a process looks again while nobody leads, or the leader's deadline has passed.
    """

    def __init__(
        self, *, now: float, candidate: bool = True, lease_time: float = 0.5, look_every: float = 0.005
    ) -> None:
        self.is_leader = False
        self.epoch = 0  # highest granted or seen; never goes down
        self.holder: Holder | None = None
        self.patience = 0.0  # seconds that others have to take over before us
        self._candidate, self._lease_time, self._look_every = candidate, lease_time, look_every
        self._deadline: float | None = now
        self._leaving = 0  # the epoch whose holder is about to let go
        self._is_deposed = False  # and has not heard of whoever came after us
        self._leaderless_since: float | None = None
        self._has_told = False
        self._effects: list[Effect] = [Look()]

    def vacant(self, epoch: int, now: float) -> None:
        """Record that nobody holds a lease; ``epoch`` is the newest one ever taken (0: none)."""
        self._saw(epoch)
        if self.is_leader:
            self._step_down()
        # Whoever led before, and slept, knows less of the term in between than all others: they go first.
        is_news = self.holder is not None or self._is_deposed
        self.holder, self._is_deposed = None, False
        if is_news and self.patience > 0.0:
            self._deadline = now + self.patience
        else:
            self._try_next(now)

    def held(self, holder: Holder, now: float) -> None:
        """Record that ``holder`` holds the newest epoch; seen again, that its deadline moved."""
        if holder.epoch < self.epoch:
            return
        if self.is_leader and holder.epoch > self.epoch:
            self._step_down()
        if self.is_leader:
            return
        is_news = self.holder is None or self.holder.epoch != holder.epoch
        self._saw(holder.epoch)
        self.holder, self._is_deposed = holder, False
        if is_news:
            self._effects.append(Follow(holder))
        takeover_at = holder.deadline + self.patience
        if takeover_at <= now:
            self._try_next(now)
            return
        self._leaderless_since, self._has_told = None, False
        # Those who go first are followed as soon as they lead, so they are looked for while we wait.
        looks_again_at = min(now + _LOOK_AROUND, takeover_at)
        is_over_soon = holder.deadline <= now or holder.epoch == self._leaving
        self._deadline = looks_again_at if is_over_soon else holder.deadline

    def died(self, epoch: int, now: float, *, is_late: bool = False) -> None:
        """Record that the lock of ``epoch`` opened: its holder died or let go.

        ``is_late``: another process may have taken over since, or the news is not sure. Then :meth:`tick`
        looks first.
        """
        if epoch != self.epoch or self.is_leader:
            return
        if is_late:
            self._deadline = now
        else:
            self.vacant(epoch, now)

    def leaving(self, epoch: int, now: float) -> None:
        """Record that the holder of ``epoch`` is about to let go: look around until it has.

        The heir is told when that happens; should it sleep, another one takes over.
        """
        if epoch == self.epoch and self._candidate and not self.is_leader:
            self._leaving, self._deadline = epoch, now

    def granted(self, epoch: int, now: float) -> None:
        """Record that the lease of ``epoch`` is ours."""
        if epoch <= self.epoch:
            raise ValueError(f"lease epoch {epoch} is not above {self.epoch}")
        self.is_leader, self.epoch, self.holder = True, epoch, None
        self._deadline = now + self._lease_time / 3
        self._effects.append(Promote(epoch))

    def lost(self) -> None:
        """Record that our lease has a successor or is gone."""
        if self.is_leader:
            self._step_down()
            self._effects.append(Look())

    def retire(self) -> None:
        """Record that this process is leaving: it takes no further epoch, whoever lets go of one."""
        self._candidate = False

    def tick(self, now: float) -> None:
        """Let time pass. Harmless to call early or twice."""
        if self._deadline is None or now < self._deadline:
            return
        if self.is_leader:
            self._deadline = now + self._lease_time / 3
            self._effects.append(Renew(now + self._lease_time))
        else:
            # Also when the holder's deadline passed: it was renewed since we read it, unless it hangs.
            self._deadline = now + self._look_every
            self._effects.append(Look())

    def next_deadline(self) -> float | None:
        """Return when to call :meth:`tick`, or None while there is no timer."""
        return self._deadline

    def effects(self) -> list[Effect]:
        """Drain what the shell must do, in order. Call after every input."""
        effects, self._effects = self._effects, []
        return effects

    def _saw(self, epoch: int) -> None:
        self.epoch = max(self.epoch, epoch)

    def _try_next(self, now: float) -> None:
        self._deadline = now + self._look_every
        if self._candidate:
            self._effects.append(TryLease(self.epoch + 1))
        else:
            self._go_without(now)

    def _go_without(self, now: float) -> None:
        if self._leaderless_since is None:
            self._leaderless_since = now
        if now - self._leaderless_since < _LEADERLESS_TIME:
            return
        self._deadline = now + _LEADERLESS_LOOK_EVERY
        if not self._has_told:
            self._has_told = True
            self._effects.append(TellLeaderless())

    def _step_down(self) -> None:
        self.is_leader, self._is_deposed = False, True
        self._effects.append(StepDown(self.epoch))
