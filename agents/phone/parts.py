"""[core] The parts of one term of office, one for each kind of thing that can be done to calls."""

from shared.config import Settings

from .anchors import Anchors
from .auto_answer import AutoAnswer
from .changes import Changes
from .dialling import Dialling
from .hosts import MediaHosts
from .in_call import InCall
from .ringing import Ringing
from .term import Term
from .tones import Tones
from .transfers import Transfers


class Parts:
    """The parts; ``instance`` is the process that leads."""

    def __init__(self, term: Term, instance: str, settings: Settings) -> None:
        self.term = term
        self.hosts = MediaHosts(term)
        self.dialling = Dialling(term, self.hosts)
        self.transfers = Transfers(term)
        self.ringing = Ringing(term)
        self.in_call = InCall(term)
        self.changes = Changes(term, self.hosts)
        self.anchors = Anchors(term, self.changes, is_on=settings.move_sound)
        self.tones = Tones(term, self.hosts)
        self.auto_answer = AutoAnswer(term, instance, is_on=settings.auto_answer)

    def tick(self, now: float) -> None:
        """Let time pass."""
        self.hosts.tick(now)
        self.anchors.tick(now)
        self.ringing.tick(now)
        self.in_call.tick(now)

    def next_deadline(self) -> float | None:
        """Return when the first of them wants to know the time, or None."""
        deadlines = (
            self.hosts.next_deadline(),
            self.anchors.next_deadline(),
            self.transfers.next_deadline(),
            self.ringing.next_deadline(),
            self.in_call.next_deadline(),
            self.auto_answer.next_deadline(),
        )
        return min((deadline for deadline in deadlines if deadline is not None), default=None)
