"""[core] The real phone's mind: one leader's term, from its first snapshot to its last.

Inputs are what happened (a request, a SIP frame, a media host's answer, time); :meth:`PhoneCore.effects` says
what to do, and :meth:`PhoneCore.take_changed` whether windows must be told. The SIP user agent is a core of
the same kind and is driven from here. Times are CLOCK_BOOTTIME seconds, so that timers count suspend too.
"""

import contextlib
from collections import deque
from collections.abc import Callable

from agents.sip.agent_channel import AgentCommandDone, AgentMessageReceived
from agents.sip.registration import CloseTransport, KeepAlive, RegistrationChanged
from agents.sip.transaction import Send
from agents.sip.user_agent import Effect as UserAgentEffect
from agents.sip.user_agent import FrameDropped, UserAgent
from shared.config import Account, Settings
from shared.errors import ActionRefused, SipError
from shared.messages import (
    Answer,
    Cause,
    KeysPressed,
    MediaChanged,
    MediaDone,
    MediaState,
    Outcome,
    Problem,
    QualityChanged,
    Refused,
    Registration,
    Request,
    Snapshot,
    Version,
    Window,
)

from .actions import Actions
from .calls import CallRecord, CallTable
from .checks import require_time
from .estate import Estate, encode_estate, inherit
from .outcomes import Outcomes
from .parts import Parts
from .presence import Presence
from .signalling import Signalling
from .term import (
    AnswerAction,
    DropLine,
    Effect,
    ForgetInstance,
    KeepLine,
    LeaveProxy,
    SendSip,
    TellWindow,
    Term,
)

#: Seconds in which a call that answers itself must have its sound, which may still have to be loaded.
_AUTO_ANSWER_TIME = 10.0


class PhoneCore:
    """The state of the group while one process leads it.

    Args:
        group, instance: The group's name and the process that leads.
        sip_instance_id: RFC 5626 instance id that the registration carries, the same for every leader.
        seed: The last snapshot of the leader before, if this process saw one: what its windows show now.
        estate: What that leader left behind, to go on with its calls.
        predecessor_died: Whether its process is dead, and not only passed over because it was too slow.
        new_id: Makes ids that nobody can guess.
        wall_offset: Unix time minus ``now``, for times that people see.
        jitter: Makes a pause shorter, by chance: not all phones shall come back in step.
    """

    def __init__(
        self,
        *,
        group: str,
        instance: str,
        epoch: int,
        account: Account,
        sip_instance_id: str,
        settings: Settings,
        seed: Snapshot | None,
        new_id: Callable[[], str],
        now: float,
        wall_offset: float,
        jitter: Callable[[float], float] = lambda longest: longest,
        estate: Estate | None = None,
        predecessor_died: bool = True,
    ) -> None:
        self._group, self._instance, self._number = group, instance, account.username
        user_agent = UserAgent(account, instance_id=sip_instance_id, new_id=new_id, now=now, jitter=jitter)
        dead = seed.leader if seed and predecessor_died else ""
        windows = tuple(window for window in seed.windows if window.instance != dead) if seed else ()
        self._term = Term(
            epoch=epoch,
            user_agent=user_agent,
            calls=CallTable(keep_ended=settings.ended_calls_time),
            presence=Presence(windows, now=now, presence_time=settings.presence_time),
            outcomes=Outcomes(seed.outcomes if seed else (), now=now),
            new_id=new_id,
            wall_offset=wall_offset,
        )
        self._untaken: deque[UserAgentEffect] = deque()
        self._parts = Parts(self._term, instance, settings)
        self._actions = Actions(self._parts)
        self._signalling = Signalling(self._parts)
        self._inherited = inherit(self._term, seed, estate, now) if seed else []
        for record in self._inherited:
            if not self._term.presence.is_here(record.view.media_host):
                self._parts.anchors.orphaned(record, now)
            elif not record.is_orphan:
                # What the leader before told the host and could not show any more is taken back.
                self._parts.changes.shape(record, held=record.view.held, now=now)

    def snapshot(self, version: Version) -> Snapshot:
        """Return the whole state as windows may see it."""
        term = self._term
        return Snapshot(
            version=version,
            group=self._group,
            leader=self._instance,
            number=self._number,
            registration=term.registration,
            windows=term.presence.windows(),
            calls=term.calls.views(),
            outcomes=term.outcomes.recent(),
        )

    # -- windows -----------------------------------------------------------------------------------------

    def request(self, request: Request, now: float) -> None:
        """Do an action, unless it was done before, is for another leader, or nobody waits for it any more."""
        term = self._term
        if earlier := term.outcomes.find(request.action_id):
            self._repeat(request, earlier)
            return
        if not term.outcomes.begin(request.action_id, now):
            return  # the same action twice while it is under way: one answer is enough
        try:
            if request.epoch != term.epoch:
                raise ActionRefused("stale_epoch", f"meant for epoch {request.epoch}; this is {term.epoch}")
            require_time(request, now)
            self._actions.begin(request, now)
        except ActionRefused as exc:
            term.refuse(request, exc, now)
        except SipError as exc:
            term.refuse(request, ActionRefused("bad_request", f"this cannot be sent: {exc.reason}"), now)

    def window_heard(self, window: Window, now: float) -> None:
        """Note that a window is here."""
        if not self._term.presence.has_room(window.instance):
            self._term.effects.append(ForgetInstance(window.instance))
        elif self._term.presence.heard(window, now):
            self._term.has_changed = True

    def window_gone(self, instance: str, now: float) -> None:
        """Note that a process has died: calls whose sound it hosted are moved to another, or lost with it."""
        if self._term.presence.gone(instance):
            self._term.has_changed = True
        self._term.effects.append(ForgetInstance(instance))
        self._parts.hosts.gone(instance, now)
        for record in self._term.calls.live():
            if record.view.media_host == instance:
                self._parts.anchors.orphaned(record, now)

    def window_left(self, instance: str, now: float) -> None:
        """Note that a window was closed: the calls that were taken there end with it."""
        self.hang_up(now, hosted_by=instance)
        self.window_gone(instance, now)

    def other_windows(self) -> int:
        """Return how many windows the group has besides the leader's own."""
        return self._term.presence.others(self._instance)

    # -- media hosts -------------------------------------------------------------------------------------

    def host_attached(self, instance: str, now: float) -> None:
        """Note that a media host takes commands; free the sound of calls that ended before it came."""
        if not self._term.presence.has_room(instance):
            self._term.effects.append(ForgetInstance(instance))
            return
        if not self._term.presence.host_attached(instance, now):
            return
        self._term.has_changed = True
        self._parts.hosts.attached(instance)
        self._parts.anchors.host_attached(now)
        for record in self._term.calls:
            if record.view.state.is_final and record.view.media_host == instance:
                self._term.close_media(record)

    def media_done(self, message: MediaDone, now: float) -> None:
        """Take a media host's answer to a command."""
        self._parts.hosts.done(message, now)

    def media_changed(self, message: MediaChanged, _now: float) -> None:
        """Note what a media host says of a call's connectivity."""
        self._parts.hosts.changed(message)

    def quality_changed(self, message: QualityChanged, _now: float) -> None:
        """Note how well a call is heard."""
        self._parts.hosts.measured(message)

    def keys_pressed(self, message: KeysPressed, _now: float) -> None:
        """Note which keys a media host hears the far end press."""
        self._parts.tones.heard(message)

    # -- the phone service -------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """Register: the connection to the service is up."""
        self._term.user_agent.connected(now)

    def disconnected(
        self, problem: Problem, detail: str, now: float, *, retry_in: float | None = None
    ) -> None:
        """Note that there is no connection to the service. Calls stay: their sound has its own way.

        ``retry_in`` is when the next attempt will be made, in seconds.
        """
        self._term.user_agent.disconnected(now)
        self._run_user_agent(now)
        known = {record.call_id for record in self._inherited}
        answered = (record for record in self._term.calls.live() if record.view.answered_at is not None)
        self._inherited += [record for record in answered if record.call_id not in known]
        self._signalling.disconnected(problem, detail, retry_in, now)

    @property
    def is_idle(self) -> bool:
        """Whether there is no call."""
        return not self._term.calls.live()

    def received(self, frame: str, now: float) -> None:
        """Take a SIP message from the service."""
        self._term.user_agent.receive(frame, now)

    def hang_up(self, now: float, *, hosted_by: str | None = None) -> None:
        """End every call, or those whose sound is at one instance: nobody could go on with them."""
        for record in self._term.calls.live():
            if hosted_by in (None, record.view.media_host):
                self._term.end_here(record, Cause.HUNG_UP_HERE, now)

    def unregister(self, now: float) -> None:
        """Remove the binding: the last window leaves."""
        self._term.user_agent.unregister(now)

    @property
    def registration(self) -> Registration:
        """Where the registration is."""
        return self._term.registration

    # -- time and effects --------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Let time pass. Harmless to call early or twice."""
        for instance in self._term.presence.silent(now):
            self.window_gone(instance, now)
        self._parts.tick(now)
        for record, cause in self._parts.transfers.tick(now):
            self._term.end_here(record, cause, now)
        for record, instance in self._parts.auto_answer.due(now):
            self._answer_for(instance, record, now)
        if self._term.calls.expire(now):
            self._term.has_changed = True
        self._term.user_agent.tick(now)

    def next_deadline(self) -> float | None:
        """Return when to call :meth:`tick`, or None while there is no timer."""
        term = self._term
        deadlines = (
            term.presence.next_deadline(),
            self._parts.next_deadline(),
            term.calls.next_deadline(),
            term.user_agent.next_deadline(),
        )
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def effects(self, now: float) -> list[Effect]:
        """Drain what the shell must do, in order. Call after every input."""
        self._run_user_agent(now)
        self._parts.dialling.settle(now)
        effects, self._term.effects = self._term.effects, []
        return effects

    def estate(self) -> bytes:
        """Return the frame that a successor needs to go on with the calls. It holds secrets."""
        return encode_estate(self._term)

    def take_changed(self) -> bool:
        """Return whether the snapshot changed since the last call of this method."""
        changed, self._term.has_changed = self._term.has_changed, False
        return changed

    # -- inside ------------------------------------------------------------------------------------------

    def _run_user_agent(self, now: float) -> None:
        while True:
            self._untaken.extend(self._term.user_agent.effects())
            if not self._untaken:
                return
            self._take(self._untaken.popleft(), now)  # if this one fails, the others still have their turn

    def _take(self, effect: UserAgentEffect, now: float) -> None:
        match effect:
            case Send():
                self._term.effects.append(SendSip(effect.text, effect.method))
            case CloseTransport():
                self._term.effects.append(DropLine(effect.reason))
            case KeepAlive():
                self._term.effects.append(KeepLine(effect.every))
            case RegistrationChanged():
                self._signalling.registration_changed(effect, now)
                if effect.state == "registered":
                    self._go_on(now)
                elif effect.state == "failed" and 500 <= (effect.status or 0) < 600:
                    reason = f"the registrar says {effect.status} {effect.reason}"
                    self._term.effects.append(LeaveProxy(reason, effect.retry_after))
            case FrameDropped():
                pass  # counted and logged by the shell
            case AgentMessageReceived():
                self._parts.ringing.messaged(effect.message, now)
            case AgentCommandDone():
                self._parts.ringing.told(effect, now)
            case _:
                self._signalling.session_changed(effect, now)

    def _answer_for(self, instance: str, record: CallRecord, now: float) -> None:
        """Answer a call that nobody asked for, as if the window ``instance`` had."""
        term, action = self._term, Answer(call_id=record.call_id)
        request = Request(
            action_id=term.new_id(),
            instance=instance,
            epoch=term.epoch,
            deadline=now + _AUTO_ANSWER_TIME,
            action=action,
        )
        with contextlib.suppress(ActionRefused):  # somebody answers or declines it at this moment
            self._actions.begin(request, now)

    def _repeat(self, request: Request, earlier: Outcome) -> None:
        if earlier.refused is None:
            self._term.effects.append(
                AnswerAction(request.instance, request.action_id, earlier.call_id, earlier.value)
            )
            return
        refused = Refused(
            action_id=request.action_id, code=earlier.refused, message=earlier.message, status=earlier.status
        )
        self._term.effects.append(TellWindow(request.instance, refused))

    def _go_on(self, now: float) -> None:
        """Tell the far end of each call that was left to us where we are now.

        So after a lost connection, too: the service sends what it has for us where it heard of us last. It is
        a re-INVITE with the same sound: what is held stays held.
        """
        records, self._inherited = self._inherited, []
        for record in records:
            if record.view.state.is_final:
                continue  # the user agent says so to the far end
            is_silent = record.is_orphan or not record.remote_sdp or record.view.media is MediaState.FAILED
            with contextlib.suppress(ActionRefused):  # it is being changed
                if is_silent:
                    self._parts.changes.replace(record, now)
                elif record.changing is None and not record.is_renewing:
                    self._parts.changes.repeat(record, now)
