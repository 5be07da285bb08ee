"""What a process brings to its group's election."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coordinator.lease import Lease
from shared.config import Account, Settings
from shared.election import Holder
from shared.messages import Snapshot
from shared.trace import Trace

if TYPE_CHECKING:
    from agents.sip.trace import SipTrace


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidacy:
    """Who stands for election, with what, and whom it tells (on the phone thread).

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
