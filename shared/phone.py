"""The phone as a program sees it, the same object in every process of a group.

A verb becomes an action for the leader, and returns when this window already shows its effect; what happens
without being asked comes as an event. Nothing here knows, or needs to know, which process leads.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Literal, Protocol, overload

import structlog

from .errors import CallFailed, CallLost
from .messages import (
    Action,
    Answer,
    CallState,
    Cause,
    Decline,
    Dial,
    Direction,
    Done,
    Hangup,
    Hold,
    MediaState,
    Mute,
    Registration,
    SendDtmf,
    Snapshot,
    Unhold,
    Unmute,
    Version,
    Window,
)
from .messages import (
    Call as CallView,
)
from .replica import (
    CallAdded,
    CallChanged,
    CallEnded,
    Change,
    LeaderChanged,
    RegistrationChanged,
    StalenessChanged,
)

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

CallEvent = Literal["inbound_call", "outbound_call", "call_changed", "call_ended"]
PhoneEvent = Literal["leader_changed", "registration_changed", "staleness_changed", "snapshot"]
EVENTS = (*CallEvent.__args__, *PhoneEvent.__args__)  # type: ignore[attr-defined]


class Agent(Protocol):
    """What a phone needs of the process it is in."""

    async def perform(self, action: Action, time: float | None = None) -> Done:
        """Have the leader do ``action``; see :class:`agents.dummy.DummyAgent`."""

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest state, None before the first."""

    @property
    def is_stale(self) -> bool:
        """Whether the state may be old."""

    @property
    def instance(self) -> str:
        """The id of this process in the group."""


class Call:
    """One call. Its attributes are those of :class:`shared.messages.Call`, always the newest known.

    All verbs raise :exc:`ActionRefused` when nothing was done, and :exc:`OutcomeUnknown` when nobody can
    know.
    """

    def __init__(self, phone: "Phone", view: CallView) -> None:
        self._phone, self._view = phone, view

    def __repr__(self) -> str:
        return f"<Call {self.call_id} {self.direction} {self.state} {self.remote_number}>"

    @property
    def view(self) -> CallView:
        """All that is known of the call, as an immutable value."""
        return self._view

    @property
    def call_id(self) -> str:
        """The group's own id of the call."""
        return self._view.call_id

    @property
    def direction(self) -> Direction:
        """Who began it."""
        return self._view.direction

    @property
    def state(self) -> CallState:
        """Where it is in its life."""
        return self._view.state

    @property
    def remote_number(self) -> str:
        """The far end's number."""
        return self._view.remote_number

    @property
    def remote_name(self) -> str:
        """The far end's name, if the service tells it."""
        return self._view.remote_name

    @property
    def held(self) -> bool:
        """Whether we hold it."""
        return self._view.held

    @property
    def muted(self) -> bool:
        """Whether our microphone is off."""
        return self._view.muted

    @property
    def media(self) -> MediaState:
        """Whether sound is connected."""
        return self._view.media

    @property
    def is_here(self) -> bool:
        """Whether this very process has the call's sound."""
        return self._view.media_host == self._phone.instance

    @property
    def cause(self) -> Cause | None:
        """Why it is over, None while it is not."""
        return self._view.cause

    async def answer(self) -> None:
        """Answer it here: this window's microphone and loudspeaker are used."""
        await self._phone.perform(Answer(call_id=self.call_id))

    async def decline(self) -> None:
        """Refuse it while it rings."""
        await self._phone.perform(Decline(call_id=self.call_id))

    async def hangup(self) -> None:
        """End it, in whatever state it is."""
        await self._phone.perform(Hangup(call_id=self.call_id))

    async def hold(self) -> None:
        """Put it on hold."""
        await self._phone.perform(Hold(call_id=self.call_id))

    async def unhold(self) -> None:
        """Take it off hold."""
        await self._phone.perform(Unhold(call_id=self.call_id))

    async def mute(self) -> None:
        """Send silence instead of the microphone."""
        await self._phone.perform(Mute(call_id=self.call_id))

    async def unmute(self) -> None:
        """Send the microphone again."""
        await self._phone.perform(Unmute(call_id=self.call_id))

    async def send_dtmf(self, tones: str) -> None:
        """Send ``tones``, 1 to 32 of ``0-9*#A-D``."""
        await self._phone.perform(SendDtmf(call_id=self.call_id, tones=tones))

    async def answered(self) -> None:
        """Return when it is answered.

        Raises:
            CallFailed: The far end refused, or did not answer; has its SIP status.
            CallLost: A process that it needs has died.
        """
        await self._phone.until(lambda: self.state not in (CallState.INIT, CallState.RINGING))
        if self.state is not CallState.ANSWERED and self._view.answered_at is None:
            raise self._failure()

    async def ended(self) -> Cause:
        """Return when it is over, and why."""
        await self._phone.until(lambda: self.state.is_final)
        return self._view.cause or Cause.LOST

    def _failure(self) -> CallFailed | CallLost:
        if self.cause is Cause.LOST:
            return CallLost(self._view.reason or "the call was lost")
        reason = self._view.reason or (self.cause or "failed").replace("_", " ")
        return CallFailed(self._view.status, reason)

    def _update(self, view: CallView) -> None:
        self._view = view


class Phone:
    """The group's phone. Belongs to the event loop that joined."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._calls: dict[str, Call] = {}
        self._handlers: dict[str, list[Callable[..., object]]] = {event: [] for event in EVENTS}
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- state -------------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest state of the whole group; None before the first."""
        return self._agent.snapshot

    @property
    def calls(self) -> list[Call]:
        """The calls that are not over, the oldest first."""
        return [call for call in self._calls.values() if not call.state.is_final]

    @property
    def windows(self) -> Sequence[Window]:
        """The processes of the group."""
        return self.snapshot.windows if self.snapshot else ()

    @property
    def registration(self) -> Registration:
        """Where the group's registration is."""
        return self.snapshot.registration if self.snapshot else Registration()

    @property
    def version(self) -> Version:
        """The version of the state shown."""
        return self.snapshot.version if self.snapshot else Version(0, 0)

    @property
    def instance(self) -> str:
        """The id of this process in the group."""
        return self._agent.instance

    @property
    def role(self) -> Literal["real", "dummy"]:
        """Whether this process is the real phone at present. For display only."""
        return "real" if self.snapshot and self.snapshot.leader == self.instance else "dummy"

    @property
    def is_stale(self) -> bool:
        """Whether the state may be old, because no leader was heard. For display only."""
        return self._agent.is_stale

    # -- verbs -------------------------------------------------------------------------------------------

    async def call(
        self, number: str, *, caller_id: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> Call:
        """Call ``number`` and return the call once it is answered; :meth:`dial` does not wait.

        Raises:
            CallFailed: The far end refused, or did not answer.
            CallLost: A process that the call needs has died meanwhile.
            ActionRefused: No call was made, for example because the phone is not registered.
            OutcomeUnknown: Nobody can know whether one was made: look at :attr:`calls`.
        """
        call = await self.dial(number, caller_id=caller_id, headers=headers)
        await call.answered()
        return call

    async def dial(
        self, number: str, *, caller_id: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> Call:
        """Call ``number`` and return the call as soon as the service has been asked for it."""
        action = Dial(target=number, caller_id=caller_id, headers=tuple(headers))
        done = await self.perform(action)
        if done.call_id not in self._calls:
            raise CallLost("the leader died as soon as the call began")
        return self._calls[done.call_id]

    async def perform(self, action: Action) -> Done:
        """Have the leader do ``action``; returns when this window shows its effect."""
        return await self._agent.perform(action)

    # -- events ------------------------------------------------------------------------------------------

    @overload
    def on(self, event: CallEvent, handler: Callable[[Call], object]) -> None: ...
    @overload
    def on(self, event: PhoneEvent, handler: Callable[[Snapshot], object]) -> None: ...
    def on(self, event: str, handler: Callable[..., object]) -> None:
        """Call ``handler``, a function or coroutine function, at each ``event``.

        Each window sees a call's ``inbound_call`` or ``outbound_call`` and its ``call_ended`` exactly once.
        A handler that raises is logged; it stops nobody else.

        Raises:
            ValueError: There is no such event; the text lists them.
        """
        if event not in self._handlers:
            raise ValueError(f"no event {event!r}; there are {', '.join(self._handlers)}")
        self._handlers[event].append(handler)

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Yield the state now and whenever it changed; whoever is slow skips to the newest."""
        seen: Version | None = None
        while True:
            snapshot = self.snapshot
            if snapshot is not None and snapshot.version != seen:
                seen = snapshot.version
                yield snapshot
            else:
                await self._changed.wait()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when ``condition`` holds; it is asked again whenever something changed."""
        while not condition():
            await self._changed.wait()

    # -- what the agent reports --------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> None:
        """Take changes of the state. Called by the agent only."""
        for change in changes:
            self._apply(change)
        self._emit("snapshot", self.snapshot)
        # Whoever waits now is woken; whoever waits from now on waits for the next change.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _apply(self, change: Change) -> None:
        match change:
            case CallAdded(view):
                call = self._calls[view.call_id] = Call(self, view)
                self._emit(f"{view.direction}_call", call)
            case CallChanged(_, view) if view.call_id in self._calls:
                call = self._calls[view.call_id]
                call._update(view)
                self._emit("call_changed", call)
            case CallEnded(view) if view.call_id in self._calls:
                call = self._calls.pop(view.call_id)
                call._update(view)
                self._emit("call_ended", call)
            case LeaderChanged():
                self._emit("leader_changed", self.snapshot)
            case RegistrationChanged():
                self._emit("registration_changed", self.snapshot)
            case StalenessChanged():
                self._emit("staleness_changed", self.snapshot)

    def _emit(self, event: str, subject: object) -> None:
        for handler in self._handlers[event]:
            try:
                result = handler(subject)
            except Exception:
                log.exception("handler.failed", on=event)
                continue
            if inspect.iscoroutine(result):
                self._run(event, result)

    def _run(self, event: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._finished(event, task))

    def _finished(self, event: str, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("handler.failed", on=event, exc_info=error)
