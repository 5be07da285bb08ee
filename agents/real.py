"""The real phone: what the leader runs besides its window. It joins the bus, the SIP line and the phone core.

It lives in the loop of the process' phone thread (:mod:`coordinator.keeper`), so that a window that blocks
never stalls the phone. Whatever it lets out, be it to the service or to the windows, first asks the lease: a
deposed leader says nothing more.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog
import zmq

from shared import failpoint
from shared.clock import boottime, wall
from shared.config import Account, Settings
from shared.election import Endpoints
from shared.errors import MessageError
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

from .bus import ActionServer, Publisher
from .bus.action_server import Peer
from .line import SipLine
from .obituary import Obituary
from .phone import (
    AnswerAction,
    CommandHost,
    DropLine,
    Effect,
    Estate,
    ForgetInstance,
    KeepLine,
    LeaveProxy,
    PhoneCore,
    SendSip,
    TellWindow,
    decode_estate,
)
from .sip.trace import SipTrace

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

#: How long a leader that leaves waits for the service to confirm that its binding is gone.
_FAREWELL_TIME = 2.0
#: How long it waits for another window to take over, which takes some milliseconds if one will.
_SUCCESSION_TIME = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """All that a real agent is given at its promotion.

    ``estate`` is the frame that the leader before left behind, empty if there is none. ``may_act`` is asked
    before each external effect; ``deposed`` is called once, when it first says no. ``offer`` lets another
    process take over, and leaves us in office until one does.
    """

    group: str
    instance: str
    epoch: int
    endpoints: Endpoints
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


class RealAgent:
    """Be the phone for one term of office. Starts at once, in the running loop.

    Raises:
        zmq.ZMQError: If the office's endpoints cannot be bound.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], office: Office) -> None:
        self._office = office
        self._loop = asyncio.get_running_loop()
        self._sequence = 0
        self._is_over = self._is_leaving = False
        self._registration_changed = asyncio.Event()
        self._peers: dict[str, Peer] = {}  # windows by instance
        self._hosts: dict[str, Peer] = {}  # media hosts by instance
        self._timer: asyncio.TimerHandle | None = None
        self._answers: list[TellWindow | AnswerAction] = []  # wait for the state that shows their effect
        self._newcomers: list[Peer] = []  # windows that are to be told the state, whatever XPUB does
        self._settling: asyncio.Handle | None = None
        self._core = _make_core(office)
        with contextlib.ExitStack() as bound:  # all three or none
            self._server = ActionServer(context, office.endpoints.actions, self._received)
            bound.callback(self._server.close)
            self._publisher = Publisher(context, office.endpoints.state, self._may_act)
            bound.callback(self._publisher.close)
            self._heir = Publisher(context, office.endpoints.estate, self._may_act)
            bound.pop_all()
        self._estate = office.estate
        self._obituary = Obituary(self._process_died)
        for window in office.seed.windows if office.seed is not None else ():
            self._obituary.watch(window.instance, window.pid)  # it may die before we hear of it
        self._publish()
        self._line = SipLine(office.account, self, self._may_act, trace=office.sip_trace)
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
        await self._say_goodbye()
        await self.abandon()

    async def abandon(self) -> None:
        """End the term without a further message: somebody else leads."""
        self._is_over = True
        self._heart.cancel()
        for handle in (self._timer, self._settling):
            if handle is not None:
                handle.cancel()
        await self._line.close()
        self._obituary.close()
        self._publisher.close()
        self._heir.close()
        self._server.close()

    # -- the term ----------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._office.settings.heartbeat)
            if self._may_act():
                self._publisher.repeat()
                self._heir.repeat()

    async def _say_goodbye(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_TIME):
                self._input(partial(self._core.hang_up, hosted_by=self._office.instance))
                await self._line.flush()
                if await self._is_succeeded():
                    return
                self._input(self._core.hang_up)
                if self._is_registered():
                    await self._unregister()
                await self._line.flush()

    async def _is_succeeded(self) -> bool:
        """Offer the lease; return whether somebody took it: the other windows may be leaving, too."""
        if self._core.other_windows() == 0:
            return False
        self._office.offer()
        deadline = self._loop.time() + _SUCCESSION_TIME
        while self._office.may_act():
            if self._loop.time() >= deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def _unregister(self) -> None:
        self._input(self._core.unregister)
        while self._is_registered():
            self._registration_changed.clear()
            await self._registration_changed.wait()
        self._settle()

    def _is_registered(self) -> bool:
        return self._core.registration.state is RegistrationState.REGISTERED

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
        match message:
            case Request():
                failpoint.asked()
                self._peers[message.instance] = peer
                self._input(partial(self._core.request, message))
            case Attach():
                if self._peers.get(message.window.instance) != peer:
                    self._newcomers.append(peer)
                self._peers[message.window.instance] = peer
                self._obituary.watch(message.window.instance, message.window.pid)
                self._input(partial(self._core.window_heard, message.window))
            case Detach():
                self._input(partial(self._core.window_left, message.instance))
            case HostAttach():
                self._hosts[message.instance] = peer
                self._input(partial(self._core.host_attached, message.instance))
            case MediaDone():
                self._input(partial(self._core.media_done, message))
            case MediaChanged():
                self._input(partial(self._core.media_changed, message))
            case QualityChanged():
                self._input(partial(self._core.quality_changed, message))
            case KeysPressed():
                self._input(partial(self._core.keys_pressed, message))
            case Resync():
                self._settle()  # a version is one state, whichever way it is sent
                if self._may_act():
                    self._server.send(peer, self._snapshot())

    def _process_died(self, instance: str) -> None:
        log.info("window.died", instance=instance)
        self._input(partial(self._core.window_gone, instance))

    def _forget(self, instance: str) -> None:
        self._obituary.forget(instance)
        self._peers.pop(instance, None)
        self._hosts.pop(instance, None)

    def _input(self, happened: Callable[[float], None]) -> None:
        """Give the core one input and let its effects out; the state follows as soon as no input waits."""
        if self._is_over:
            return
        now = boottime()
        registration = self._core.registration
        try:
            happened(now)
        except Exception:
            log.exception("input.failed")  # of one call, perhaps: the line and all others go on
        self._do(self._core.effects(now))
        if self._settling is None:
            self._settling = self._loop.call_soon(self._settle)
        if self._core.registration != registration:
            registration = self._core.registration
            log.info("registration.changed", state=registration.state, detail=registration.detail)
            self._registration_changed.set()
            if registration.state is RegistrationState.REGISTERED:
                self._line.settled()

    def _settle(self) -> None:
        """Publish what inputs changed, then answer: a hundred actions that came together need one state."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        if self._core.take_changed():
            self._publish()
        newcomers, self._newcomers = self._newcomers, []
        if newcomers and self._may_act():
            snapshot = self._snapshot()
            for peer in newcomers:
                self._server.send(peer, snapshot)
        answers, self._answers = self._answers, []
        for answer in answers:
            self._reply(answer)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._core.next_deadline()
        if deadline is not None and not self._is_over:
            delay = max(deadline - boottime(), 0.0)
            self._timer = self._loop.call_later(delay, self._input, self._core.tick)

    # -- effects -----------------------------------------------------------------------------------------

    def _do(self, effects: list[Effect]) -> None:
        """Let out what changes the world; the state that shows it, and then the answers, follow."""
        if any(isinstance(effect, SendSip) for effect in effects):
            self._leave_estate()
        for effect in effects:
            match effect:
                case SendSip():
                    self._line.send(effect.text)
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
            self._publisher.publish(encode(self._snapshot()))
            failpoint.reached("published")

    def _leave_estate(self) -> None:
        """Put into the candidates' hands what a message that is about to leave would make them miss."""
        estate = self._core.estate()
        if estate != self._estate and self._may_act():
            self._estate = estate
            self._heir.publish(estate)

    def _snapshot(self) -> Snapshot:
        return self._core.snapshot(Version(self._office.epoch, self._sequence))

    def _command(self, effect: CommandHost) -> None:
        host = self._hosts.get(effect.instance)
        if host is not None and self._may_act() and not self._server.send(host, effect.command):
            # Not from here: the core is in the middle of an input.
            self._loop.call_soon(self._input, partial(self._core.window_gone, effect.instance))

    def _reply(self, answer: TellWindow | AnswerAction) -> None:
        peer = self._peers.get(answer.instance)
        if peer is None or not self._may_act():
            return
        if isinstance(answer, TellWindow):
            self._server.send(peer, answer.message)
            return
        version = Version(self._office.epoch, self._sequence)
        done = Done(action_id=answer.action_id, version=version, call_id=answer.call_id, value=answer.value)
        self._server.send(peer, done)
        failpoint.reached("answered")


def _make_core(office: Office) -> PhoneCore:
    now = boottime()
    return PhoneCore(
        group=office.group,
        instance=office.instance,
        epoch=office.epoch,
        account=office.account,
        sip_instance_id=office.sip_instance_id,
        settings=office.settings,
        seed=office.seed,
        estate=_read_estate(office.estate),
        predecessor_died=office.predecessor_died,
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
