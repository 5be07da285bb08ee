"""What a real agent is given at its promotion, and the mind that it makes of it."""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from agents.bus import Post
from agents.phone import Estate, PhoneCore, decode_estate
from agents.sip.trace import SipTrace
from shared.clock import boottime, wall
from shared.config import Account, Settings
from shared.errors import MessageError
from shared.log import log
from shared.messages import Snapshot, Version, Window, encode

#: After so many runs Python has made of a function what it makes of one that runs often.
_REHEARSALS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """All that a real agent is given at its promotion.

    ``post`` becomes the agent's own. ``estate`` is the frame that the leader before left behind, empty if
    there is none. ``may_act`` is asked before each external effect; ``deposed`` is called once, when it first
    says no. ``offer`` lets another process take over, and leaves us in office until one does.
    """

    group: str
    instance: str
    epoch: int
    post: Post
    account: Account
    sip_instance_id: str
    settings: Settings
    seed: Snapshot | None
    estate: bytes = field(repr=False)  # it holds the passwords of the calls' sound
    predecessor_died: bool
    may_act: Callable[[], bool]
    offer: Callable[[], None]
    deposed: Callable[[], None]
    sip_trace: SipTrace | None = None


def make_core(office: Office) -> PhoneCore:
    """Return the phone's mind for this term."""
    return _make(
        group=office.group,
        instance=office.instance,
        epoch=office.epoch,
        account=office.account,
        sip_instance_id=office.sip_instance_id,
        settings=office.settings,
        seed=office.seed,
        estate=_read_estate(office.estate),
        predecessor_died=office.predecessor_died,
    )


def rehearse(account: Account, settings: Settings) -> None:
    """Make a mind and its first state for nobody: what Python runs for the first time takes it long."""
    window = Window(instance="", name="", pid=0)
    seed = Snapshot(version=Version(0, 0), group="", leader="", windows=(window,))
    make = partial(_make, group="", instance="", epoch=0, account=account, sip_instance_id="")
    for _ in range(_REHEARSALS):
        encode(make(settings=settings, seed=seed, estate=None).snapshot(Version(0, 0)))


def _make(**facts: Any) -> PhoneCore:
    now = boottime()
    return PhoneCore(
        **facts,
        new_id=partial(secrets.token_hex, 8),
        now=now,
        wall_offset=wall() - now,
        jitter=lambda longest: random.uniform(longest / 2, longest),
    )


def _read_estate(frame: bytes) -> Estate | None:
    if not frame:
        return None
    try:
        return decode_estate(frame)
    except MessageError as exc:
        log.warning("estate.undecodable", error=str(exc))
        return None
