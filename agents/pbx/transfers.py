"""Transfers: what a phone's REFER makes of its call (RFC 3515, RFC 3891, RFC 5589).

One task a transfer, in lock step with the phone that asked: each request waits for the answer of the one
before. *Blind*: 202, NOTIFY 100, the target is called on the far end's behalf, NOTIFY with its final answer,
and if that was 2xx, BYE. *Warm* (with ``Replaces``): 202, NOTIFY 100, the two far ends are connected, BYE on
the consultation, NOTIFY 200, BYE on the original. Whatever fails leaves the calls as they were.

The sound of those who are to talk ends at the service, so that it is enough to let them into the same room.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from agents.sip.message import Request
from agents.sip.refer import ReferTo
from agents.sip.statuses import REASONS
from shared.errors import CallFailed, SharedlineError, SipError
from shared.log import log

from .calls import Call
from .dialect import CallName
from .legs import Leg
from .parking import PRIVATE, Lot, Parked
from .phone_leg import PhoneLeg
from .robots import Robot
from .seats import anchor
from .standin import StandIn

if TYPE_CHECKING:
    from .service import Simulator


def verdict(request: Request, *, has_far_end: bool, is_busy: bool) -> int:
    """Return the status that a REFER is answered with: 202 if it is taken.

    ``has_far_end``: the call is answered, and its far end is there to be transferred. ``is_busy``: another
    transfer of it is under way. A REFER in a call that rings is taken and has no effect, as at the real
    service.
    """
    values = request.headers.get_all("Refer-To")
    if len(values) != 1:
        return 400
    try:
        ReferTo.parse(values[0])
    except SipError:
        return 400
    return 491 if is_busy and has_far_end else 202


class Transfers:
    """All transfers that are under way."""

    def __init__(self, service: "Simulator") -> None:
        self._service = service
        self.lot = Lot(service.settings.park_first, service.settings.park_places)
        self._tasks: set[asyncio.Task[None]] = set()

    def referred(self, call: Call, leg: PhoneLeg, request: Request, answer: Callable[[int], None]) -> None:
        """Take a REFER of ``leg``, which is an end of ``call``."""
        far = call.beyond(leg)
        status = verdict(request, has_far_end=far is not None, is_busy=call.transfer is not None)
        answer(status)
        facts = {"call": call.call, "leg": leg.name, "call_id": leg.sip_call_id, **leg.phone.facts()}
        if status != 202 or far is None:
            reason = "the call is not answered" if status == 202 else "the REFER cannot be followed"
            self._service.record("TRANSFER_FAILED", status=status, reason=reason, **facts)
            return
        refer = ReferTo.parse(str(request.headers.get("Refer-To")))
        facts["number"] = refer.target
        self._service.record("TRANSFER_ACCEPTED", **facts)
        transfer = Transfer(self._service, self, call, leg, far, refer, facts)
        call.transfer = transfer
        transfer.task = self.spawn(transfer.run())

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do ``work``; what goes wrong with it is logged."""

        async def guard() -> None:
            try:
                await work
            except SharedlineError as exc:
                log.warning("transfer.failed", reason=str(exc))
            except Exception:
                log.exception("transfer.crashed")

        task = asyncio.create_task(guard(), name="transfer")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def flip(self, call: Call, leg: PhoneLeg, far: Leg, target: str) -> None:
        """Have ``target`` talk with ``far`` when it answers; the phone of ``leg`` hangs up by itself."""
        facts = {"call": call.call, "leg": leg.name, "call_id": leg.sip_call_id, **leg.phone.facts()}
        facts["number"] = target
        flip = Flip(self._service, self, call, leg, far, ReferTo(target), facts)
        call.transfer = flip
        flip.task = self.spawn(flip.run())

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, as :meth:`spawn` does."""
        self.spawn(work)

    def begin(self, call: Call, dialled: str) -> Callable[[], None] | None:
        """Let the caller pick up who is parked where it has dialled to."""
        if dialled not in self.lot:
            return None
        return lambda: self.start(self._pick_up(call, dialled))

    async def _pick_up(self, call: Call, dialled: str) -> None:
        parked = self.lot.take(dialled)
        if parked is None:
            call.refuse(480, "somebody else was faster")
            return
        leg = parked.leg
        try:
            await anchor(leg)
        except SharedlineError:
            leg.end("it cannot be connected")
            call.refuse(480, "the parked call cannot be connected")
            return
        if call.is_over:
            leg.end("who picked it up has gone")
        elif parked.is_over:
            call.refuse(480, "who was parked has hung up")
        else:
            call.accept(leg)

    def park(self, call: Call, leg: Leg, place: str) -> None:
        """Move an end of a call to a place that is free, where it hears music."""
        call.release(leg)
        parked = self.lot.park(leg, place)
        self._service.record("PARKED", call=call.call, leg=leg.name, number=place)
        if isinstance(leg, PhoneLeg) and leg.party is None:
            self.spawn(_play(leg, parked))

    async def close(self) -> None:
        """Give up what is under way, and wait until its sound is closed."""
        self.lot.close()
        for task in self._tasks:  # each may wait for a phone that does not answer
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def dialog(self, legs: Iterable[PhoneLeg], refer: ReferTo) -> PhoneLeg | None:
        """Return the one of ``legs`` that a REFER's Replaces means."""
        named = refer.replaced
        if named is None:
            return None
        found = (leg for leg in legs if leg.is_dialog(named.call_id, named.to_tag, named.from_tag))
        return next(found, None)


class Transfer:
    """One transfer: ``leg`` of ``call`` has asked that ``far`` goes elsewhere."""

    def __init__(
        self,
        service: "Simulator",
        transfers: Transfers,
        call: Call,
        leg: PhoneLeg,
        far: Leg,
        refer: ReferTo,
        facts: dict[str, Any],
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self._service, self._transfers = service, transfers
        self._call, self._leg, self._far, self._refer = call, leg, far, refer
        self._facts = facts
        self._ended: Call | None = None

    async def run(self) -> None:
        """Make it, or tell the phone why not."""
        try:
            await self._notify(100, "Trying")
            if self._refer.target.startswith(PRIVATE):
                await self._park()
            elif self._refer.replaced is None:
                await self._blind()
            else:
                await self._warm()
        except CallFailed as exc:
            await self._give_up(exc.status, exc.reason)
        except SharedlineError as exc:
            await self._give_up(500, str(exc))
        except asyncio.CancelledError:
            if self._ended is None:
                raise
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            await self._give_up(480, f"call {self._ended.call} has ended")

    def call_over(self, call: Call) -> None:
        """Take that one of its calls has ended: it comes to nothing."""
        self._ended = call
        if self.task is not None:
            self.task.cancel()

    async def _park(self) -> None:
        """Put the far end into a private place, from where whoever knows its name picks it up."""
        call, target = self._call, self._refer.target
        if not self._transfers.lot.is_free(target):
            raise CallFailed(486, "Busy Here")
        call.transfer = None
        self._transfers.park(call, self._far, target)
        self._service.record("TRANSFERRED", **self._facts)
        await self._notify(200, "OK")
        call.hang_up("parked")

    # -- blind

    async def _blind(self) -> None:
        call, far = self._call, self._far
        await call.anchor()
        stand_in = StandIn(far)
        name = CallName(self._service.new_id())
        new = self._service.place(stand_in, self._refer.target, call.party(far), name)
        self._facts["other_call"] = new.call
        try:
            await stand_in.answered()
            if new.far is None or new.is_over:
                raise CallFailed(480, "the target has hung up")
        except BaseException:
            new.hang_up("transfer failed")
            raise
        call.transfer = None
        call.release(far)
        new.take_caller(far)
        await self._done(far, new.far)

    # -- warm

    async def _warm(self) -> None:
        call, far = self._call, self._far
        leg, consultation, target = self._consultation()
        self._facts |= {"other_call": consultation.call, "other_call_id": leg.sip_call_id}
        consultation.transfer = self
        await call.anchor()
        await consultation.anchor()
        call.transfer = consultation.transfer = None
        call.release(far)
        consultation.release(target)
        new = self._service.make_call(far, call.party(far), CallName(self._service.new_id()))
        new.join(target)
        self._facts["other_call"] = new.call
        consultation.hang_up("transferred")
        await _told(leg.when_over)
        await self._done(far, target)

    def _consultation(self) -> tuple[PhoneLeg, Call, Leg]:
        """Return the transferor's leg in the other call, that call, and whom it consults."""
        leg = self._transfers.dialog(self._service.legs_of(self._leg.phone.extension), self._refer)
        call = leg.ends if leg is not None else None
        target = call.beyond(leg) if isinstance(call, Call) and leg is not None else None
        if leg is None or not isinstance(call, Call) or target is None or call is self._call:
            raise CallFailed(481, "Call/Transaction Does Not Exist")
        if call.transfer is not None:
            raise CallFailed(491, "Request Pending")
        return leg, call, target

    # -- the parts

    def _introduce(self, far: Leg, target: Leg) -> None:
        for leg, other in ((far, target), (target, far)):
            if isinstance(leg, PhoneLeg):
                leg.introduce(other.number)
            elif isinstance(leg, Robot):
                leg.greet()

    async def _done(self, far: Leg, target: Leg) -> None:
        """Tell the transferor, hang up on it, and tell the two whom they talk with."""
        self._service.record("TRANSFERRED", **self._facts)
        self._introduce(far, target)
        await self._notify(200, "OK")
        self._call.hang_up("transferred")

    async def _give_up(self, status: int, reason: str) -> None:
        for call in (self._call, *self._service.live_calls()):
            if call.transfer is self:
                call.transfer = None
        self._service.record("TRANSFER_FAILED", status=status, reason=reason, **self._facts)
        await self._notify(status, _phrase(status))

    async def _notify(self, status: int, reason: str) -> None:
        await _told(lambda then: self._leg.notify(status, reason, then))


class Flip(Transfer):
    """A blind transfer that the phone asked for by INFO: it is told nothing, and its call stays."""

    async def _notify(self, status: int, reason: str) -> None: ...

    async def _done(self, far: Leg, target: Leg) -> None:
        self._service.record("TRANSFERRED", **self._facts)
        self._introduce(far, target)


async def _play(leg: PhoneLeg, parked: Parked) -> None:
    await leg.anchor()
    parked.seat()


async def _told(ask: Callable[[Callable[[], None]], None]) -> None:
    """Return when what was given to ``ask`` is called."""
    told = asyncio.Event()
    ask(told.set)
    await told.wait()


def _phrase(status: int) -> str:
    return REASONS.get(status, "Failed")
