"""Calls through the service, as a back-to-back user agent: a caller's leg, and one or more of the callee's.

Each leg is a SIP dialog (or a robot) of its own. Sound passes between the ends directly; the service passes
their descriptions on. The callee's phones ring together: the first that answers has the call, the others are
told.

Hold is between a phone and the service: a re-INVITE that keeps its ICE user fragment is answered here, and a
phone at the other end notices nothing. One with a new fragment comes from another process that continues the
call, so it is passed on, and the other end's answer comes back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from agents.sip.message import Request
from agents.sip.ringcentral import AgentMessage
from shared.errors import SipError

from . import infos
from .accounts import NumberPlan
from .dialect import Caller, CallName
from .ledger import Ledger
from .legs import Leg, Place
from .messages import obey
from .pace import Cancel
from .phone_leg import ANSWERED_ELSEWHERE, FLOW_FAILED, PhoneLeg, ring_phone
from .phones import Phone
from .reoffers import answer_for, fragment
from .robots import Robot, Robots
from .settings import SimulatorSettings
from .views import CallView

if TYPE_CHECKING:
    from .bridge import Anchor
    from .transfers import Transfer, Transfers

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Switch(Protocol):
    """The service, as a call uses it."""

    settings: SimulatorSettings
    plan: NumberPlan
    ledger: Ledger
    robots: Robots
    transfers: "Transfers"

    def later(self, delay: float, action: Callable[[], None]) -> Cancel:
        """Do ``action`` in ``delay`` seconds; the returned function prevents it."""

    def reachable(self, extension: str) -> list[Phone]:
        """Return the phones of an extension that can be called now."""

    def unreachable(self, extension: str) -> set[str]:
        """Return the instance ids that are registered, but whose flow has closed."""

    def call_over(self, call: "Call") -> None:
        """Forget a call."""


@dataclass(slots=True)
class _Sound:
    """What an end last said about its sound, and how often we have spoken for it."""

    text: str
    version: int = 0


@dataclass(slots=True, eq=False)
class Call:
    """One call. See :class:`~agents.pbx.legs.Ends` for what its legs tell it."""

    switch: Switch
    call: str
    name: CallName
    caller: Leg
    who: Caller
    callees: list[Leg] = field(default_factory=list)
    far: Leg | None = None
    """The callee's leg that answered."""

    extension: str | None = None
    _offer: str = ""
    _lost: set[str] = field(default_factory=set)
    _status: tuple[int, str] = (480, "")
    _over: bool = False
    transfer: "Transfer | None" = None
    """What is being done about a REFER in it."""

    recordings: int = 0
    """How many times it was recorded."""

    anchors: "dict[str, Anchor]" = field(default_factory=dict)
    """By leg: where the service itself has the other end of its sound, after a transfer of phones."""

    _asking: Callable[[int, str], None] | None = None
    _released: set[str] = field(default_factory=set)
    _sounds: dict[str, _Sound] = field(default_factory=dict)
    _timers: list[Cancel] = field(default_factory=list)

    # -- begin

    def start(self, dialled: str, offer: str) -> None:
        """Call the number ``dialled`` on behalf of the caller's leg."""
        self._offer = offer
        self._adopt(self.caller, offer)
        session_id = self.name.session_id
        self._record("CALL_STARTED", number=dialled, leg=self.caller.name, session_id=session_id)
        self.caller.progress()
        self.route(dialled)

    def route(self, dialled: str) -> None:
        """Ring whoever has the number ``dialled``; refuse the caller if nobody has it."""
        parked = self.switch.transfers.lot.take(dialled)
        if parked is not None:
            self._pick_up(parked)
            return
        route = self.switch.plan.route(dialled)
        if route.kind == "bad" or not self._offer:
            self._refuse(route.status or 488, f"cannot call {dialled}")
        elif route.kind == "robot":
            self.ring_robot(route.number)
        else:
            self._timers.append(self.switch.later(self.switch.settings.ring_time, self._ring_time_over))
            self.extension = route.number
            if self.switch.settings.ring_delay:
                self._timers.append(self.switch.later(self.switch.settings.ring_delay, self._ring_phones))
            else:
                self._ring_phones()

    def phone_reached(self, phone: Phone) -> None:
        """Ring a phone that lost its connection while it rang, or just before, and is back."""
        is_called = self.extension is not None and phone.extension in self.switch.plan.members(self.extension)
        is_ringing = self.far is None and not self._over and is_called
        if is_ringing and phone.instance_id in self._lost:
            self._lost.discard(phone.instance_id)
            self._ring(phone)

    # -- what the legs tell

    def ringing(self, leg: Leg) -> None:
        """The caller knows from the 183 already."""

    def answered(self, leg: Leg, sdp: str) -> None:
        """Connect the first that answers; hang up on a second one."""
        if self._over or self.far is not None or leg not in self.callees:
            leg.end(ANSWERED_ELSEWHERE)
            return
        self.far = leg
        self._sounds[leg.name] = _Sound(sdp)
        instance_id = leg.phone.instance_id if isinstance(leg, PhoneLeg) else None
        self._record("CALL_ANSWERED", leg=leg.name, instance_id=instance_id)
        self._cancel_timers()
        for loser in self.callees:
            if loser is not leg:
                loser.end(ANSWERED_ELSEWHERE)
        self.callees = [leg]
        if isinstance(leg, PhoneLeg):
            leg.confirm()
        self.caller.answer(sdp)

    def refused(self, leg: Leg, status: int, reason: str) -> None:
        """Give up when no phone is left that may answer. A person's refusal (6xx) ends the ringing of all."""
        if leg not in self.callees or self.far is not None:
            return
        self.callees.remove(leg)
        if status == FLOW_FAILED and isinstance(leg, PhoneLeg):
            self._lost.add(leg.phone.instance_id)
        elif status >= self._status[0]:
            self._status = (status, reason)
        if status >= 600 or not (self.callees or self._lost):
            self._refuse(*self._status)

    def reoffered(self, leg: Leg, sdp: str) -> None:
        """Answer a change of direction here; pass a change of place on to the other end."""
        other = self.anchors.get(leg.name) or self.other(leg)
        if other is None or self._asking is not None:
            leg.reanswer(491, "")
            return
        before = self._sounds[leg.name]
        is_same_place = fragment(before.text) == fragment(sdp)
        before.text = sdp
        if is_same_place and isinstance(other, PhoneLeg):
            self._answer_here(leg, other, sdp)
        else:
            self._asking = leg.reanswer
            other.reoffer(sdp)

    def reanswered(self, leg: Place, status: int, sdp: str) -> None:
        """Hand the other end's answer to whoever asked."""
        asking, self._asking = self._asking, None
        if sdp and leg.name in self._sounds:
            self._sounds[leg.name].text = sdp
        if asking is not None:
            asking(status if sdp or status >= 300 else 488, sdp)

    def referred(self, leg: PhoneLeg, request: Request, answer: Callable[[int], None]) -> None:
        """Have the transfer made."""
        self.switch.transfers.referred(self, leg, request, answer)

    def commanded(self, leg: PhoneLeg, message: AgentMessage) -> None:
        """Do what a ringing phone wants."""
        if leg in self.callees and self.far is None:
            obey(self, leg, message)

    def informed(self, leg: PhoneLeg, body: str) -> None:
        """Do what a phone wants in the call, and tell it."""
        answer = infos.obey(self, leg, body)
        if answer is not None:
            leg.inform(answer)

    def ended(self, leg: Leg, reason: str) -> None:
        """End the other end with this one. A caller's end is the call's; a callee's only if it answered."""
        if leg is self.caller or leg is self.far:
            self._finish(reason, by=leg)
        elif leg in self.callees:
            self.refused(leg, 480, reason)

    def hang_up(self, reason: str) -> None:
        """End it from here."""
        self._finish(reason, by=None)

    def view(self) -> CallView:
        """Return what can be seen of it."""
        legs = [self.caller, *self.callees]
        return CallView(
            call=self.call,
            state="answered" if self.far is not None else "ringing",
            session_id=self.name.session_id,
            legs=[leg.view() for leg in legs],
        )

    # -- what a ringing phone may want

    def divert(self, reason: str, *, tell: bool = True) -> None:
        """Take the call from all that ring; the caller waits. ``tell``: SessionClose comes before CANCEL."""
        self._cancel_timers()
        legs, self.callees, self.extension = self.callees, [], None
        self._lost.clear()
        self._record("CALL_DIVERTED", reason=reason)
        for leg in legs:
            if tell and isinstance(leg, PhoneLeg):
                leg.give_up(reason)
            else:
                leg.end(reason)

    def ring_longer(self) -> None:
        """Begin the ring time anew."""
        self._cancel_timers()
        self._timers.append(self.switch.later(self.switch.settings.ring_time, self._ring_time_over))

    def ring_robot(self, number: str, play: Path | None = None) -> Robot:
        """Have a robot answer, a moment later."""
        robot = self.switch.robots.make(number, calls=False, play=play)
        self.callees.append(robot)
        self._adopt(robot, "")
        robot.ring(self._offer)
        return robot

    # -- transfers

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._over

    def other(self, leg: Leg) -> Leg | None:
        """Return who talks with ``leg``; None before the answer, after the end, or if it was transferred."""
        if self.far is None or self._over or self._released:
            return None
        return self.far if leg is self.caller else self.caller

    def party(self, leg: Leg) -> Caller:
        """Return whom others see when ``leg`` calls them."""
        return self.who if leg is self.caller else Caller(leg.number, "")

    def renegotiate(self, leg: Leg, offer: str, done: Callable[[int, str], None]) -> None:
        """Offer one end another place for its sound; ``done`` is told its status and answer."""
        if self._over or self._asking is not None:
            done(491, "")
            return
        self._asking = done
        leg.reoffer(offer)

    def release(self, leg: Leg) -> None:
        """Let an end go, which talks in another call from now on; the rest is to be hung up."""
        self._released.add(leg.name)

    def take_caller(self, leg: Leg, sdp: str) -> None:
        """Put a leg, that is connected already, in the caller's place; ``sdp`` is what it said last."""
        self.caller = leg
        self._adopt(leg, sdp)

    def join(self, far: Leg, sdp: str, far_sdp: str) -> None:
        """Begin as a call of two ends that are connected already; ``sdp`` is what the caller said last."""
        self.far, self.callees = far, [far]
        self._adopt(self.caller, sdp)
        self._adopt(far, far_sdp)
        session_id = self.name.session_id
        self._record("CALL_STARTED", leg=self.caller.name, number=far.number, session_id=session_id)
        self._record("CALL_ANSWERED", leg=far.name)

    # -- the parts

    def _ring_phones(self) -> None:
        if self._over or self.extension is None:
            return
        self._lost |= self.switch.unreachable(self.extension)
        for phone in self.switch.reachable(self.extension):
            self._ring(phone)
        if not self.callees and not self._lost and not self._over:
            self._refuse(480, "nobody is registered")

    def _pick_up(self, parked: Leg) -> None:
        """Connect the caller with somebody whose call this is from now on."""
        self.callees.append(parked)
        self._adopt(parked, "")

        def done(status: int, sdp: str) -> None:
            if status < 300:
                self.answered(parked, sdp)
            else:
                self._refuse(480, "the parked call cannot be connected")

        self.renegotiate(parked, self._offer, done)

    def _ring(self, phone: Phone) -> None:
        try:
            leg = ring_phone(phone, self.name, self.who, self._offer)
        except SipError as exc:
            log.warning("call.not_offered", call=self.call, reason=exc.reason)
            self._refuse(488, exc.reason)
            return
        self.callees.append(leg)
        self._adopt(leg, "")

    def _adopt(self, leg: Leg, sdp: str) -> None:
        self._sounds[leg.name] = _Sound(sdp)
        if isinstance(leg, PhoneLeg):
            leg.call_name = self.call
            leg.ends = self
        elif isinstance(leg, Robot):
            leg.ends = self

    def _ring_time_over(self) -> None:
        if self.far is None:
            self._refuse(480, "nobody answered")

    def _refuse(self, status: int, reason: str) -> None:
        if not self._over:
            self.caller.reject(status, reason)
            self._finish(f"{status} {reason}".strip(), by=self.caller)

    def _finish(self, reason: str, *, by: Leg | None) -> None:
        if self._over:
            return
        self._over = True
        self._cancel_timers()
        self._record("CALL_ENDED", reason=reason, ended_by=by.name if by else None)
        for leg in (self.caller, *self.callees):
            if leg is not by and leg.name not in self._released:
                leg.end(reason)
        for anchor in self.anchors.values():
            anchor.end()
        self.switch.call_over(self)
        if self.transfer is not None:
            self.transfer.call_over(self)

    def _answer_here(self, leg: Leg, other: Leg, sdp: str) -> None:
        sound = self._sounds[other.name]
        try:
            answer = answer_for(sound.text, sdp, sound.version + 1)
        except SipError as exc:
            log.warning("call.reoffer_refused", call=self.call, reason=exc.reason)
            leg.reanswer(488, "")
            return
        sound.version += 1
        leg.reanswer(200, answer)

    def _cancel_timers(self) -> None:
        timers, self._timers = self._timers, []
        for cancel in timers:
            cancel()

    def _record(self, event: str, **facts: Any) -> None:
        self.switch.ledger.record(event, call=self.call, **facts)
