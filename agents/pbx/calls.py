"""Calls through the service, as a back-to-back user agent: a caller's leg, and one or more of the callee's.

Each leg is a SIP dialog, a robot or a part of the service. Its sound ends at the service, in the room of its
call (:mod:`.media`); with ``direct_media``, that of two phones passes it by. The callee's phones ring
together: the first that answers has the call, the others are told.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agents.sip.message import Request
from agents.sip.ringcentral import AgentMessage

from . import infos
from .conversation import Conversation
from .legs import Leg
from .media.recorder import Recording
from .media.tones import ringback
from .messages import DECLINED, obey, take_message, tell_all_taken
from .pace import Cancel
from .phone_leg import ANSWERED_ELSEWHERE, FLOW_FAILED, PhoneLeg
from .phones import Phone
from .robots import Robot
from .views import CallView

if TYPE_CHECKING:
    from .transfers import Transfer


@dataclass(slots=True, eq=False)
class Call(Conversation):
    """One call. See :class:`~agents.pbx.legs.Ends` for what its legs tell it."""

    extension: str | None = None
    """Whose phones ring."""

    _lost: set[str] = field(default_factory=set)
    _status: tuple[int, str] = (480, "")
    transfer: "Transfer | None" = None
    """What is being done about a REFER in it."""

    recordings: int = 0
    """How many times it was recorded."""

    recording: Recording | None = None
    """The one that is being made."""

    _is_caller_answered: bool = False
    _followers: dict[Callable[[], None], None] = field(default_factory=dict)
    _timers: list[Cancel] = field(default_factory=list)

    # -- begin

    def start(self, dialled: str) -> None:
        """Call the number ``dialled`` on behalf of the caller's leg."""
        self._adopt(self.caller)
        session_id = self.name.session_id
        self._record("CALL_STARTED", number=dialled, leg=self.caller.name, session_id=session_id)
        if isinstance(self.caller, PhoneLeg) and self.switch.settings.direct_media and self.caller.offered:
            self.caller.sound_there()
        self.seats.room.alone = ringback()
        special = self._special(dialled)
        self.caller.progress(lambda: self.route(dialled, special))
        self.seat(self.caller)

    def route(self, dialled: str, special: Callable[[], None] | None = None) -> None:
        """Ring whoever has the number ``dialled``; refuse the caller if nobody has it."""
        if self._over:
            return
        if (special := special or self._special(dialled)) is not None:
            special()
            return
        route = self.switch.plan.route(dialled)
        if route.kind == "bad":
            self.refuse(route.status, f"cannot call {dialled}")
            return
        if self.switch.settings.answer_at_once and self.caller.party is not None:
            self._answer_caller()
        if route.kind == "robot":
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

    def answered(self, leg: Leg) -> None:
        """Connect the first that answers; hang up on a second one."""
        if self._over or self.far is not None or leg not in self.callees:
            leg.end(ANSWERED_ELSEWHERE)
            return
        self.far = leg
        instance_id = leg.phone.instance_id if isinstance(leg, PhoneLeg) else None
        self._record("CALL_ANSWERED", leg=leg.name, instance_id=instance_id)
        self._cancel_timers()
        rung, self.callees = self.callees, [leg]
        for loser in rung:
            if loser is not leg:
                loser.end(ANSWERED_ELSEWHERE)
        if isinstance(leg, PhoneLeg):
            leg.confirm()
        tell_all_taken(self, [one.phone for one in rung if isinstance(one, PhoneLeg)])
        self._connect(leg)

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
            self.refuse(*self._status)

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

    def ring_robot(self, number: str, play: Path | None = None, *, longest: float | None = None) -> Robot:
        """Have a robot answer, a moment later."""
        robot = self.switch.robots.make(number, calls=False, play=play, longest=longest)
        self.ring(robot)
        return robot

    def ring(self, leg: Leg) -> None:
        """Call one more end."""
        self.callees.append(leg)
        self._adopt(leg)
        leg.ring()

    # -- transfers

    def when_over(self, then: Callable[[], None]) -> Cancel:
        """Do ``then`` when it has ended; the returned function prevents it."""
        self._followers[then] = None
        return lambda: self._followers.pop(then, None)

    def join(self, far: Leg) -> None:
        """Begin as a call of two ends that are connected already."""
        self.far, self.callees, self._is_caller_answered = far, [far], True
        for leg in (self.caller, far):
            self._adopt(leg)
        self.seat(self.caller, far)
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
            self.refuse(480, "nobody is registered")

    def accept(self, leg: Leg) -> None:
        """Connect the caller with an end that is connected already."""
        self.callees.append(leg)
        self._adopt(leg)
        self.answered(leg)

    def _special(self, dialled: str) -> Callable[[], None] | None:
        begun = (special.begin(self, dialled) for special in self.switch.specials)
        return next((then for then in begun if then is not None), None)

    def _ring(self, phone: Phone) -> None:
        leg = PhoneLeg(phone, self.name, is_caller=False)
        leg.who = self.who
        if isinstance(self.caller, PhoneLeg) and self.caller.is_direct:
            leg.sound_there(self.caller)
        self.ring(leg)

    def _connect(self, far: Leg) -> None:
        if isinstance(self.caller, PhoneLeg) and not self.caller.joined(far):
            self.caller.sound_here()
        self.seats.room.alone = None
        self.seat(self.caller, far)
        self._answer_caller()

    def _answer_caller(self) -> None:
        if not self._is_caller_answered:
            self._is_caller_answered = True
            self.caller.answer()

    def _adopt(self, leg: Leg) -> None:
        leg.ends = self
        if isinstance(leg, PhoneLeg):
            leg.call_name = self.call

    def _ring_time_over(self) -> None:
        if self.far is None and self.switch.settings.mailbox and (extension := self.extension):
            self.divert("nobody answered")
            take_message(self, extension)
        elif self.far is None:
            self.refuse(480, "nobody answered")

    def refuse(self, status: int, reason: str) -> None:
        """Tell the caller that nobody will answer."""
        if self._over:
            return
        if self._is_caller_answered:  # before the callee was: it hears what has come of it
            self.divert(reason, tell=False)
            self.ring_robot("unanswered", DECLINED).hangs_up = True
            return
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
        if self.recording is not None:
            self.recording.stop()
        self.seats.clear()
        followers, self._followers = self._followers, {}
        for then in followers:
            then()
        self.switch.call_over(self)
        if self.transfer is not None:
            self.transfer.call_over(self)

    def _cancel_timers(self) -> None:
        timers, self._timers = self._timers, []
        for cancel in timers:
            cancel()
