"""The phone as a program sees it, the same object in every process of a group.

A verb becomes an action for the leader, and returns when this window already shows its effect; what happens
without being asked comes as an event. Nothing here knows, or needs to know, which process leads.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Literal, Protocol, overload

from .call import Call
from .errors import ActionRefused, CallLost, MediaError
from .log import log
from .messages import (
    Action,
    Dial,
    Done,
    Registration,
    Snapshot,
    Version,
    Window,
)
from .replica import (
    CallAdded,
    CallChanged,
    CallEnded,
    CallMeasured,
    CallPressed,
    Change,
    LeaderChanged,
    RegistrationChanged,
    StalenessChanged,
)
from .services import Services
from .sound import Sound

CallEvent = Literal["inbound_call", "outbound_call", "call_changed", "call_ended", "quality_changed"]
KeyEvent = Literal["key_pressed"]
PhoneEvent = Literal["leader_changed", "registration_changed", "staleness_changed", "snapshot"]
EVENTS = (*CallEvent.__args__, *KeyEvent.__args__, *PhoneEvent.__args__)  # type: ignore[attr-defined]

_REMEMBER_ENDED = 50


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


class Phone(Services):
    """The group's phone. Belongs to the event loop that joined."""

    def __init__(self, agent: Agent, sound: Sound | None = None) -> None:
        self._agent, self._sound = agent, sound
        self._calls: dict[str, Call] = {}
        self._ended: dict[str, Call] = {}  # the last ones: news of an end can be faster than a dial's answer
        self._handlers: dict[str, list[Callable[..., object]]] = {event: [] for event in EVENTS}
        self._waiting: set[asyncio.Future[None]] = set()  # for the next change
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_detached = False

    # -- state -------------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest state of the whole group; None before the first."""
        return self._agent.snapshot

    @property
    def calls(self) -> list[Call]:
        """The calls that are not over, the oldest first."""
        known = tuple(self._calls.values())  # in one step: a blocking face reads it from another thread
        return [call for call in known if not call.state.is_final]

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
    def sound(self) -> Sound:
        """This window's devices, volume, levels, ringing and recordings.

        Raises:
            MediaError: It has none: it joined with ``microphone=None``.
        """
        if self._sound is None:
            raise MediaError("this window has no sound; join with a microphone and a loudspeaker")
        return self._sound

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

        Whoever cancels this waits no more, but a call that has begun goes on: look at :attr:`calls`.

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
        self,
        number: str,
        *,
        caller_id: str = "",
        headers: Sequence[tuple[str, str]] = (),
        transfer_of: str = "",
    ) -> Call:
        """Call ``number`` and return the call as soon as the service has been asked for it.

        ``transfer_of`` is the id of a held call that this one consults about: see :meth:`Call.warm_transfer`.
        """
        action = Dial(target=number, caller_id=caller_id, headers=tuple(headers), transfer_of=transfer_of)
        done = await self.perform(action)
        call = self._calls.get(done.call_id) or self._ended.get(done.call_id)
        if call is None:
            raise CallLost("the leader died as soon as the call began")
        return call

    async def perform(self, action: Action, time: float | None = None) -> Done:
        """Have the leader do ``action``; returns when this window shows its effect.

        ``time`` is how many seconds to wait; None: the setting ``action_time``.
        """
        return await self._agent.perform(action, time)

    # -- events ------------------------------------------------------------------------------------------

    @overload
    def on(self, event: CallEvent, handler: Callable[[Call], object]) -> None: ...
    @overload
    def on(self, event: KeyEvent, handler: Callable[[Call, str], object]) -> None: ...
    @overload
    def on(self, event: PhoneEvent, handler: Callable[[Snapshot], object]) -> None: ...
    def on(self, event: str, handler: Callable[..., object]) -> None:
        """Call ``handler``, a function or coroutine function, at each ``event``.

        Each window sees a call's ``inbound_call`` or ``outbound_call`` and its ``call_ended`` exactly once.
        ``key_pressed`` has the call and the key that its far end pressed, wherever the call has its sound.
        A handler that raises is logged; it stops nobody else.

        Raises:
            ValueError: There is no such event; the text lists them.
        """
        self._require_event(event)
        # A new list: who listens from within an event hears of the next one, not of this.
        self._handlers[event] = [*self._handlers[event], handler]

    def off(self, event: CallEvent | KeyEvent | PhoneEvent, handler: Callable[..., object]) -> None:
        """Call ``handler`` no more at ``event``. Harmless if it is not called anyway.

        Raises:
            ValueError: There is no such event; the text lists them.
        """
        self._require_event(event)
        self._handlers[event] = [known for known in self._handlers[event] if known != handler]

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Yield the state now and whenever it changed, until this window leaves.

        Whoever is slow skips to the newest.
        """
        seen: Version | None = None
        while True:
            snapshot = self.snapshot
            if snapshot is not None and snapshot.version != seen:
                seen = snapshot.version
                yield snapshot
            elif self._is_detached:
                return
            else:
                await self._next_change()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when ``condition`` holds; it is asked again whenever something changed.

        Raises:
            ActionRefused: With ``no_leader`` once this window has left: nothing changes here any more.
        """
        while not condition():
            if self._is_detached:
                raise ActionRefused("no_leader", "this window has left the group, and sees nothing more")
            await self._next_change()

    async def _next_change(self) -> None:
        change = asyncio.get_running_loop().create_future()
        self._waiting.add(change)
        try:
            await change
        finally:
            self._waiting.discard(change)

    def _require_event(self, event: str) -> None:
        if event not in self._handlers:
            raise ValueError(f"no event {event!r}; there are {', '.join(self._handlers)}")

    # -- what the agent reports --------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> None:
        """Take changes of the state. Called by the agent only."""
        for change in changes:
            self._apply(change)
        self._emit("snapshot", self.snapshot)
        self._wake()

    def detached(self) -> None:
        """Take that this is no window any more: nobody waits for what cannot come. For the agent only."""
        self._is_detached = True
        self._wake()

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def _apply(self, change: Change) -> None:
        match change:
            case CallAdded(view):
                call = self._calls[view.call_id] = Call(self, view)
                self._emit(f"{view.direction}_call", call)
            case CallChanged(_, view) if view.call_id in self._calls:
                call = self._calls[view.call_id]
                call.update(view)
                self._emit("call_changed", call)
            case CallMeasured(view):
                measured = self._calls.get(view.call_id) or self._ended.get(view.call_id)
                if measured is not None:
                    measured.update(view)
                    self._emit("quality_changed", measured)
            case CallPressed(view, keys) if view.call_id in self._calls:
                for key in keys:
                    self._emit("key_pressed", self._calls[view.call_id], key)
            case CallEnded(view) if view.call_id in self._calls:
                call = self._ended[view.call_id] = self._calls.pop(view.call_id)
                if len(self._ended) > _REMEMBER_ENDED:
                    del self._ended[next(iter(self._ended))]
                call.update(view)
                self._emit("call_ended", call)
            case LeaderChanged():
                self._emit("leader_changed", self.snapshot)
            case RegistrationChanged():
                self._emit("registration_changed", self.snapshot)
            case StalenessChanged():
                self._emit("staleness_changed", self.snapshot)

    def _emit(self, event: str, *subjects: object) -> None:
        for handler in self._handlers[event]:
            try:
                result = handler(*subjects)
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
        error = None if task.cancelled() else task.exception()
        if error is not None and not (self._is_detached and isinstance(error, ActionRefused)):
            log.error("handler.failed", on=event, exc_info=error)
