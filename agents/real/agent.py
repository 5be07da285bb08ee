"""The real phone: what the leader runs besides its window. It joins the bus, the SIP line and the phone core.

It lives in the loop of the process' phone thread (:mod:`coordinator.keeper`), so that a window that blocks
never stalls the phone. Whatever it lets out, be it to the service or to the windows, first asks the lease: a
deposed leader says nothing more.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import structlog  # noqa: F401 - loaded with the phone: its first warning must not stop it for 50 ms

from agents.bus.action_server import Peer
from agents.phone import (
    AnswerAction,
    CommandHost,
    DropLine,
    Effect,
    ForgetInstance,
    KeepLine,
    LeaveEstate,
    LeaveProxy,
    SendSip,
    TellWindow,
)
from shared import failpoint
from shared.clock import boottime
from shared.log import log
from shared.messages import (
    Attach,
    Detach,
    Done,
    HostAttach,
    KeysPressed,
    MediaChanged,
    MediaDone,
    Problem,
    QualityChanged,
    RegistrationState,
    Request,
    Resync,
    Snapshot,
    ToLeader,
    Version,
    encode,
)

from .farewell import Farewell
from .line import SipLine
from .obituary import Obituary
from .office import Office, make_core
from .peers import Peers

_T = TypeVar("_T")

#: Seconds that a new leader gives its windows to show its first state, before it turns to the service.
_HEAD_START = 0.004


class RealAgent:
    """Be the phone for one term of office. Starts at once, in the running loop."""

    def __init__(self, office: Office) -> None:
        self._office, self._core = office, make_core(office)
        self._loop = asyncio.get_running_loop()
        self._sequence = 0
        self._published = b""
        self._is_over = self._is_leaving = False
        self._peers = Peers()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._answers: list[TellWindow | AnswerAction] = []  # wait for the state that shows their effect
        self._settling: asyncio.Handle | None = None
        self._is_sending = False  # a SIP message is on its way out of the line's queue
        post = self._post = office.post
        self._server, self._publisher, self._heir = post.server, post.publisher, post.estate
        self._own_publisher = post.own_publisher
        post.occupy(self._received, self._all_received, self._may_act)
        self._estate = office.estate
        self._core.take_changed()
        self._publish()  # before all else: windows wait for it
        self._tell_own()
        self._obituary = Obituary(self._process_died)
        for window in office.seed.windows if office.seed is not None else ():
            self._obituary.watch(window.instance, window.pid)  # it may die before we hear of it
        delay = _HEAD_START if office.seed is not None else 0.0
        self._line = SipLine(office.account, self, self._may_act, trace=office.sip_trace, delay=delay)
        self._farewell = Farewell(office, self._core, self._line, self._input)
        self._heart = asyncio.create_task(self._beat(), name="heartbeat")

    @property
    def estate(self) -> bytes:
        """What a successor was last given to go on with our calls. It holds secrets."""
        return self._estate

    async def leave(self) -> None:
        """End the term politely: let another process take over, with all calls whose sound is not here.

        If none does, because all leave, calls and binding end: the last one out turns off the light.
        """
        self._is_leaving = True
        await self._farewell.say()
        self._settle()
        await self.abandon()

    async def abandon(self) -> None:
        """End the term without a further message: somebody else leads."""
        self._is_over = True
        self._heart.cancel()
        for handle in (self._timer, self._settling):
            if handle is not None:
                handle.cancel()
        try:
            await self._line.close()
        finally:  # a socket that stays open would keep the process from ending
            self._obituary.close()
            self._post.close()

    # -- the term ----------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._office.settings.heartbeat)
            if self._may_act():
                self._publisher.repeat()
                self._heir.repeat()
                self._own_publisher.repeat()

    def _may_act(self) -> bool:
        """Return whether an effect may leave this process: the one gate that all of them pass."""
        if self._is_over:
            return False
        if self._office.may_act():
            return True
        self._is_over = True
        if not self._is_leaving:
            log.warning("leader.deposed", epoch=self._office.epoch)
            self._office.deposed()
        return False

    # -- inputs ------------------------------------------------------------------------------------------

    def line_down(self, problem: Problem, detail: str, retry_in: float | None) -> None:
        """Take from the line that there is no connection to the service."""
        self._input(partial(self._core.disconnected, problem, detail, retry_in=retry_in))

    def line_up(self) -> None:
        """Take from the line that there is one."""
        self._input(self._core.connected)

    def line_is_idle(self) -> bool:
        """Tell the line whether a change of connection disturbs nobody."""
        return self._core.is_idle

    def line_received(self, frame: str) -> None:
        """Take a SIP message from the line."""
        self._input(partial(self._core.received, frame))

    def _received(self, peer: Peer, message: ToLeader) -> None:
        """Take a message from the desk, which tells when it has no more: then it is answered."""
        match message:
            case Request():
                failpoint.asked()
                self._peers.asked(message.instance, peer)
                self._take(partial(self._core.request, message))
            case Attach():
                self._peers.attached(message.window.instance, peer)
                self._obituary.watch(message.window.instance, message.window.pid)
                self._take(partial(self._core.window_heard, message.window))
            case Detach():
                self._take(partial(self._core.window_left, message.instance))
            case HostAttach():
                self._peers.host_attached(message.instance, peer)
                self._take(partial(self._core.host_attached, message.instance))
            case MediaDone():
                self._take(partial(self._core.media_done, message))
            case MediaChanged():
                self._take(partial(self._core.media_changed, message))
            case QualityChanged():
                self._take(partial(self._core.quality_changed, message))
            case KeysPressed():
                self._take(partial(self._core.keys_pressed, message))
            case Resync():
                self._settle()  # a version is one state, whichever way it is sent
                if self._may_act():
                    self._server.send(peer, self._snapshot())

    def _process_died(self, instance: str) -> None:
        log.info("window.died", instance=instance)
        self._input(partial(self._core.window_gone, instance))

    def _forget(self, instance: str) -> None:
        self._obituary.forget(instance)
        self._peers.forget(instance)

    def _input(self, happened: Callable[[float], None]) -> None:
        """Give the core one input and let its effects out; the state follows as soon as no input waits."""
        self._take(happened)
        self._settle_soon()

    def _all_received(self) -> None:
        """Answer what has come, at once; but no action whose SIP message has not left yet."""
        if self._is_sending:
            self._settle_soon()
        else:
            self._settle()

    def _settle_soon(self) -> None:
        if self._settling is None and not self._is_over:
            # The line writes in the next turn of the loop, and the loop hands it to the system at its end.
            turn = self._next_turn if self._is_sending else self._settle
            self._settling = self._loop.call_soon(turn)

    def _next_turn(self) -> None:
        self._settling = self._loop.call_soon(self._settle)

    def _take(self, happened: Callable[[float], None]) -> None:
        if self._is_over:
            return
        now = boottime()
        registration = self._core.registration
        self._try(happened, now)
        self._do(self._try(self._core.effects, now) or [])
        if self._core.registration is not registration and self._core.registration != registration:
            self._registration_changed()

    def _try(self, step: Callable[[float], _T], now: float) -> _T | None:
        try:
            return step(now)
        except Exception:
            log.exception("input.failed")  # of one call, perhaps: the line and all others go on
            return None

    def _registration_changed(self) -> None:
        registration = self._core.registration
        log.info("registration.changed", state=registration.state, detail=registration.detail)
        self._farewell.registration_changed()
        if registration.state is RegistrationState.REGISTERED:
            self._line.settled()

    def _settle(self) -> None:
        """Publish what inputs changed, then answer: a hundred actions that came together need one state."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        self._is_sending = False
        if has_changed := self._core.take_changed():
            self._publish()
        newcomers = self._peers.take_newcomers()
        if newcomers and self._may_act():
            snapshot = self._snapshot()
            for peer in newcomers:
                self._server.send(peer, snapshot)
        answers, self._answers = self._answers, []
        for answer in answers:
            self._reply(answer)
        if has_changed:
            self._tell_own()
        self._set_timer()

    def _set_timer(self) -> None:
        """Have a timer that goes off early enough: one that is too early only looks again."""
        deadline, now = self._core.next_deadline(), boottime()
        if deadline is None or self._is_over:
            return
        if self._timer is not None:
            if now < self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_later(max(deadline - now, 0.0), self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        self._input(self._core.tick)

    # -- effects -----------------------------------------------------------------------------------------

    def _do(self, effects: list[Effect]) -> None:
        """Let out what changes the world; the state that shows it, and then the answers, follow."""
        if any(isinstance(effect, SendSip | LeaveEstate) for effect in effects):
            self._leave_estate()
        for effect in effects:
            match effect:
                case SendSip():
                    self._line.send(effect.text)
                    self._is_sending = True
                case DropLine():
                    self._line.drop(effect.reason)
                case KeepLine():
                    self._line.keep_alive(effect.every)
                case LeaveProxy():
                    self._line.refused(effect.reason, effect.retry_after)
                case CommandHost():
                    self._command(effect)
                case TellWindow() | AnswerAction():
                    self._answers.append(effect)
                case ForgetInstance():
                    self._forget(effect.instance)

    def _publish(self) -> None:
        if self._may_act():
            self._sequence += 1
            self._published = encode(self._snapshot())
            self._publisher.publish(self._published)
            failpoint.reached("published")

    def _tell_own(self) -> None:
        """Tell this process' window, after all others: the interpreter works for one of us at a time."""
        if self._may_act():
            self._own_publisher.publish(self._published)

    def _leave_estate(self) -> None:
        """Put into the candidates' hands what a message that is about to leave would make them miss."""
        estate = self._core.estate()
        if estate != self._estate and self._may_act():
            self._estate = estate
            self._heir.publish(estate)

    def _snapshot(self) -> Snapshot:
        return self._core.snapshot(Version(self._office.epoch, self._sequence))

    def _command(self, effect: CommandHost) -> None:
        host = self._peers.hosts.get(effect.instance)
        if host is not None and self._may_act() and not self._server.send(host, effect.command):
            # Not from here: the core is in the middle of an input.
            self._loop.call_soon(self._input, partial(self._core.window_gone, effect.instance))

    def _reply(self, answer: TellWindow | AnswerAction) -> None:
        peer = self._peers.windows.get(answer.instance)
        if peer is None or not self._may_act():
            return
        if isinstance(answer, TellWindow):
            self._server.send(peer, answer.message)
            return
        version = Version(self._office.epoch, self._sequence)
        done = Done(action_id=answer.action_id, version=version, call_id=answer.call_id, value=answer.value)
        self._server.send(peer, done)
        failpoint.reached("answered")
