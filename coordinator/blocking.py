"""The same phone for programs without an event loop: scripts, Tk, threads.

    with join_blocking("front-desk", account="account.json") as phone:
        call = phone.call("16506668888")
        call.hold()

The line runs in an event loop on a thread of its own. Each verb waits for that of :class:`shared.phone.Phone`
or :class:`shared.call.Call`, takes the same arguments and raises the same errors, from whichever thread it is
called. Handlers run one after the other on one more thread, so that they may call verbs, too.
"""

import asyncio
import functools
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from shared.actor import new_event_loop
from shared.call import Call, Consultation
from shared.call_facts import CallFacts
from shared.conference import Conference, ConferenceService
from shared.errors import ActionRefused, OutcomeUnknown
from shared.log import log
from shared.messages import Call as CallView
from shared.messages import Registration, Snapshot, Version, Window
from shared.phone import CallEvent, KeyEvent, Phone, PhoneEvent
from shared.sound import Levels, Loudness, Recording, Sound

from .node import join

P = ParamSpec("P")
R = TypeVar("R")


class _LineThread:
    """An event loop on a thread of its own, and a second thread for handlers."""

    def __init__(self) -> None:
        self._loop = new_event_loop()
        self._may_end = asyncio.Event()
        self._entry, self._is_closed = threading.Lock(), False  # nothing enters once it is closed
        self._waiting: set[Future[Any]] = set()
        self._handlers = ThreadPoolExecutor(1, "sharedline-handlers")
        self._thread = threading.Thread(target=self._serve, name="sharedline", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Return what ``coroutine`` returns in the line's loop; an interrupted wait cancels it there."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("a verb cannot wait inside the condition of until(): look at the state only")
        with self._entry:
            if self._is_closed:
                coroutine.close()
                raise ActionRefused("no_leader", "this window has left the group; nothing was done")
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            self._waiting.add(future)
        try:
            return future.result()
        except CancelledError as exc:
            raise OutcomeUnknown("this window left the group before the reply came") from exc
        except BaseException:
            future.cancel()
            raise
        finally:
            self._waiting.discard(future)

    def handle(self, event: str, handler: Callable[..., object], subjects: Sequence[object]) -> None:
        """Call ``handler(*subjects)`` after all handlers before it."""
        with self._entry:
            if not self._is_closed:
                self._handlers.submit(self._call, event, handler, subjects)

    def close(self) -> None:
        """End both threads; whoever still waits is told that nobody can know. What was begun cleans up."""
        with self._entry:
            self._is_closed = True
        self._handlers.shutdown(wait=False, cancel_futures=True)
        for future in tuple(self._waiting):
            future.cancel()
        self._loop.call_soon_threadsafe(self._may_end.set)
        self._thread.join()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_closed())

    async def _until_closed(self) -> None:
        await self._may_end.wait()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            if not task.cancelling():  # else it cleans up already, and is not to be disturbed
                task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    @staticmethod
    def _call(event: str, handler: Callable[..., object], subjects: Sequence[object]) -> None:
        try:
            handler(*subjects)
        except Exception:
            log.exception("handler.failed", on=event)


def _blocking(
    verb: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Any, P], R]:
    """Return ``verb`` of what a face stands for, as a method of the face that waits."""

    @functools.wraps(verb)
    def wait(face: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        # By name: what is declared may be a protocol, and what is there its implementation.
        return face._line.run(getattr(face._subject, verb.__name__)(*args, **kwargs))  # type: ignore[no-any-return]

    return wait


class BlockingCall(CallFacts):
    """A :class:`shared.call.Call` whose verbs wait."""

    def __init__(self, line: _LineThread, call: Call) -> None:
        self._line, self._subject = line, call

    @property
    def _view(self) -> CallView:  # type: ignore[override]  # always the newest, as the other thread has it
        return self._subject.view

    @property
    def is_here(self) -> bool:
        """Whether this very process has the call's sound."""
        return self._subject.is_here

    answer = _blocking(Call.answer)
    decline = _blocking(Call.decline)
    to_voicemail = _blocking(Call.to_voicemail)
    forward = _blocking(Call.forward)
    start_reply = _blocking(Call.start_reply)
    reply = _blocking(Call.reply)
    hangup = _blocking(Call.hangup)
    hold = _blocking(Call.hold)
    unhold = _blocking(Call.unhold)
    mute = _blocking(Call.mute)
    unmute = _blocking(Call.unmute)
    transfer = _blocking(Call.transfer)
    send_dtmf = _blocking(Call.send_dtmf)
    start_recording = _blocking(Call.start_recording)
    stop_recording = _blocking(Call.stop_recording)
    flip = _blocking(Call.flip)
    park = _blocking(Call.park)
    re_invite = _blocking(Call.re_invite)
    answered = _blocking(Call.answered)
    connected = _blocking(Call.connected)
    ended = _blocking(Call.ended)

    def warm_transfer(self, target: "str | BlockingCall", *, caller_id: str = "") -> "BlockingConsultation":
        """Wait for :meth:`shared.call.Call.warm_transfer`."""
        whom = target._subject if isinstance(target, BlockingCall) else target
        return BlockingConsultation(
            self._line, self._line.run(self._subject.warm_transfer(whom, caller_id=caller_id))
        )


class BlockingConsultation:
    """A :class:`shared.call.Consultation` whose verbs wait."""

    def __init__(self, line: _LineThread, consultation: Consultation) -> None:
        self._line, self._subject = line, consultation
        self.original = BlockingCall(line, consultation.original)
        self.call = BlockingCall(line, consultation.call)

    complete = _blocking(Consultation.complete)
    cancel = _blocking(Consultation.cancel)


class BlockingConference:
    """A :class:`shared.conference.Conference` whose verbs wait."""

    def __init__(self, line: _LineThread, conference: Conference) -> None:
        self._line, self._subject = line, conference
        self.session_id, self.call = conference.session_id, BlockingCall(line, conference.call)

    def merge(self, call: BlockingCall) -> None:
        """Wait for :meth:`shared.conference.Conference.merge`."""
        self._line.run(self._subject.merge(call._subject))

    def invite(self, number: str) -> BlockingCall:
        """Wait for :meth:`shared.conference.Conference.invite`."""
        return BlockingCall(self._line, self._line.run(self._subject.invite(number)))


def _blocking_call(
    verb: Callable[Concatenate[Any, P], Coroutine[Any, Any, Call]],
) -> Callable[Concatenate[Any, P], BlockingCall]:
    """Return the same for a ``verb`` that begins a call."""

    @functools.wraps(verb)
    def wait(face: Any, /, *args: P.args, **kwargs: P.kwargs) -> BlockingCall:
        return BlockingCall(face._line, face._line.run(verb(face._subject, *args, **kwargs)))

    return wait


class BlockingRecording:
    """A :class:`shared.sound.Recording` whose end is waited for."""

    def __init__(self, line: _LineThread, recording: Recording) -> None:
        self._line, self._subject = line, recording

    @property
    def path(self) -> str:
        """The file."""
        return self._subject.path

    @property
    def seconds(self) -> float:
        """How much is in it."""
        return self._subject.seconds

    @property
    def problem(self) -> str:
        """Why it ended before its time; "" if it did not."""
        return self._subject.problem

    stop = _blocking(Recording.stop)


class BlockingSound:
    """A :class:`shared.sound.Sound` whose verbs wait."""

    def __init__(self, line: _LineThread, sound: Sound) -> None:
        self._line, self._subject = line, sound

    @property
    def microphone(self) -> str:
        """What the next call will send."""
        return self._subject.microphone

    @property
    def loudspeaker(self) -> str:
        """What the next call will be heard with."""
        return self._subject.loudspeaker

    @property
    def volume(self) -> Loudness:
        """How loud calls are here; set its ``microphone`` and ``loudspeaker``."""
        return self._subject.volume

    @property
    def level(self) -> Levels:
        """How loud the calls here are at this moment; all zero without one."""
        return self._subject.level

    devices = _blocking(Sound.devices)
    use = _blocking(Sound.use)
    ring_on = _blocking(Sound.ring_on)

    def record(
        self, call_id: str, path: str | os.PathLike[str], *, stereo: bool = True, longest: float = 4 * 3600.0
    ) -> BlockingRecording:
        """Record a call that has its sound here: see :meth:`shared.sound.Sound.record`."""
        recording = self._subject.record(call_id, path, stereo=stereo, longest=longest)
        return BlockingRecording(self._line, recording)


class BlockingPhone:
    """A :class:`shared.phone.Phone` whose verbs wait. May be used from any thread."""

    def __init__(self, line: _LineThread, phone: Phone) -> None:
        self._line, self._subject = line, phone

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest state of the whole group; None before the first."""
        return self._subject.snapshot

    @property
    def calls(self) -> list[BlockingCall]:
        """The calls that are not over, the oldest first."""
        return [BlockingCall(self._line, call) for call in self._subject.calls]

    @property
    def windows(self) -> Sequence[Window]:
        """The processes of the group."""
        return self._subject.windows

    @property
    def registration(self) -> Registration:
        """Where the group's registration is."""
        return self._subject.registration

    @property
    def version(self) -> Version:
        """The version of the state shown."""
        return self._subject.version

    @property
    def instance(self) -> str:
        """The id of this process in the group."""
        return self._subject.instance

    @property
    def sound(self) -> BlockingSound:
        """This window's devices, volume, levels, ringing and recordings; see :class:`shared.sound.Sound`."""
        return BlockingSound(self._line, self._subject.sound)

    @property
    def role(self) -> Literal["real", "dummy"]:
        """Whether this process is the real phone at present. For display only."""
        return self._subject.role

    @property
    def is_stale(self) -> bool:
        """Whether the state may be old, because no leader was heard. For display only."""
        return self._subject.is_stale

    call = _blocking_call(Phone.call)
    dial = _blocking_call(Phone.dial)
    retrieve = _blocking_call(Phone.retrieve)
    retrieve_private = _blocking_call(Phone.retrieve_private)
    switch_here = _blocking_call(Phone.switch_here)
    monitor = _blocking_call(Phone.monitor)
    whisper = _blocking_call(Phone.whisper)
    barge = _blocking_call(Phone.barge)
    take_over = _blocking_call(Phone.take_over)
    perform = _blocking(Phone.perform)

    def conference(self, service: ConferenceService) -> BlockingConference:
        """Wait for :meth:`shared.phone.Phone.conference`; ``service`` is used in the line's thread."""
        return BlockingConference(self._line, self._line.run(self._subject.conference(service)))

    def until(self, condition: Callable[[], bool], time: float | None = None) -> None:
        """Return when ``condition`` holds; it is asked in the line's thread, so it must not wait.

        Raises:
            TimeoutError: It did not within ``time`` seconds.
        """
        self._line.run(asyncio.wait_for(self._subject.until(condition), time))

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield the state now and whenever it changed; whoever is slow skips to the newest."""
        states = self._subject.snapshots()
        while True:
            yield self._line.run(_next(states))

    @overload
    def on(self, event: CallEvent, handler: Callable[[BlockingCall], object]) -> None: ...
    @overload
    def on(self, event: KeyEvent, handler: Callable[[BlockingCall, str], object]) -> None: ...
    @overload
    def on(self, event: PhoneEvent, handler: Callable[[Snapshot], object]) -> None: ...
    def on(self, event: str, handler: Callable[..., object]) -> None:
        """Call ``handler`` at each ``event``, on the handlers' thread; see :meth:`shared.phone.Phone.on`.

        A toolkit that belongs to its own thread is told from there by its own means, as Tk by ``after``.
        """

        def pass_on(*subjects: object) -> None:
            faces = [BlockingCall(self._line, one) if isinstance(one, Call) else one for one in subjects]
            self._line.handle(event, handler, faces)

        self._line.run(self._listen(event, pass_on))

    async def _listen(self, event: Any, handler: Callable[..., None]) -> None:
        self._subject.on(event, handler)


async def _next(states: AsyncIterator[Snapshot]) -> Snapshot:
    return await anext(states)


@contextmanager
def _enter(joining: AbstractAsyncContextManager[Phone]) -> Iterator[BlockingPhone]:
    line = _LineThread()
    try:
        phone = line.run(joining.__aenter__())
        try:
            yield BlockingPhone(line, phone)
        finally:
            line.run(joining.__aexit__(None, None, None))
    finally:
        line.close()


def _with_arguments_of(
    join: Callable[P, AbstractAsyncContextManager[Phone]],
) -> Callable[P, AbstractContextManager[BlockingPhone]]:
    def join_blocking(*args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[BlockingPhone]:
        """Join a group as :func:`join` does, from a program without an event loop.

        Takes the same arguments, and raises the same errors in the ``with`` statement.
        """
        return _enter(join(*args, **kwargs))

    return join_blocking


join_blocking = _with_arguments_of(join)
