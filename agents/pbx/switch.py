"""What a call needs of the service that it passes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .accounts import NumberPlan
from .ledger import Ledger
from .media.recorder import Recorders
from .pace import Cancel
from .phones import Phone
from .robots import Robots
from .settings import SimulatorSettings

if TYPE_CHECKING:
    from .calls import Call
    from .transfers import Transfers


class Switch(Protocol):
    """The service, as a call uses it."""

    settings: SimulatorSettings
    plan: NumberPlan
    ledger: Ledger
    robots: Robots
    recorders: Recorders
    transfers: "Transfers"

    @property
    def specials(self) -> "tuple[Special, ...]":
        """Those that take some numbers before the number plan does."""

    def later(self, delay: float, action: Callable[[], None]) -> Cancel:
        """Do ``action`` in ``delay`` seconds; the returned function prevents it."""

    def reachable(self, extension: str) -> list[Phone]:
        """Return the phones of an extension that can be called now."""

    def unreachable(self, extension: str) -> set[str]:
        """Return the instance ids that are registered, but whose flow has closed."""

    def call_over(self, call: "Call") -> None:
        """Forget a call."""


class Special(Protocol):
    """Something that some numbers lead to."""

    def begin(self, call: "Call", dialled: str) -> Callable[[], None] | None:
        """Return what to do when the caller has had its 183, if the number or the call is its business."""
