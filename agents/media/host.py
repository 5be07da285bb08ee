"""The sound of this process' calls: media sessions that the leader commands, on a thread of their own.

A call's sound is where the person is, in the window that answered or dialled; the leader owns signalling
only. The thread keeps it flowing while the window's own loop is busy, and while a new leader takes over.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import zmq

from agents.bus import ActionClient
from shared.actor import ActorThread, Inbox, until_cancelled
from shared.errors import MediaError, SharedlineError
from shared.log import log
from shared.messages import (
    MOST_KEYS,
    ApplyAnswer,
    CloseMedia,
    FromLeader,
    HostAttach,
    KeysPressed,
    MakeAnswer,
    MakeOffer,
    MediaChanged,
    MediaCommand,
    MediaDone,
    MediaState,
    PlayDtmf,
    Quality,
    QualityChanged,
    ShapeMedia,
)

from . import base
from .quality import QualityMeter

SessionFactory = Callable[[str, base.StateCallback, base.ToneCallback], Awaitable[base.MediaSession]]
"""Open microphone and loudspeaker for the call of this id; raises :exc:`shared.errors.MediaError`.

It is called in the loop that carries the sound of other calls: what takes its time is awaited.
"""

_SHOWN = {
    "new": MediaState.CONNECTING,
    "connecting": MediaState.CONNECTING,
    "connected": MediaState.CONNECTED,
    "failed": MediaState.FAILED,
    "closed": MediaState.NONE,
}


#: Seconds between two looks at a call's counters, and how many of them pass between two words about it.
_SAMPLE_TIME = 1.0
_SAMPLES_TOLD = 5
#: Seconds between two words about keys, however fast the far end presses them.
_KEYS_TIME = 0.05
#: Seconds that sound which is ending already has to end when its process leaves.
_ENDING_TIME = 2.0


_NO_SOUND = "this call has no sound here"


class MediaHost:
    """Host the sound of calls for whoever leads.

    Args:
        load: Imports what is slow to import and returns the factory; called on the host's own thread.
        beat_every: Seconds between two words to the leader that we are here, whatever the window does.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        instance: str,
        load: Callable[[], SessionFactory],
        *,
        beat_every: float,
    ) -> None:
        self._context, self._instance, self._load = context, instance, load
        self._beat_every = beat_every
        self._beat: asyncio.TimerHandle | None = None
        self._sampling: asyncio.TimerHandle | None = None
        self._epoch = 0
        self._is_closed = False
        self._client: ActionClient | None = None
        self._leader: tuple[int, str] | None = None  # whom to follow once loaded
        self._open: SessionFactory | None = None
        self._calls: dict[str, _Sound] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._thread = ActorThread(f"media-{instance}", self._main)
        self._thread.start()

    @property
    def is_loaded(self) -> bool:
        """Whether what is slow to import is there. May be asked from any thread."""
        return self._open is not None

    def follow(self, epoch: int, endpoint: str) -> None:
        """Take commands from the leader of ``epoch``. May be called from any thread."""
        self._thread.post(self._follow, epoch, endpoint)

    async def close(self) -> None:
        """End all sound and the thread."""
        await self._thread.stop()

    async def _main(self) -> None:
        try:
            # In this thread, but not in its loop's way: nothing else is done here before it is loaded.
            self._open = self._load()
            if self._leader is not None:
                self._follow(*self._leader)
            await until_cancelled()
        finally:
            self._is_closed = True
            for timer in (self._beat, self._sampling):
                if timer is not None:
                    timer.cancel()
            if self._client is not None:
                self._client.close()
            await asyncio.gather(*(sound.close() for sound in self._calls.values()))
            if self._ending:
                await asyncio.wait(self._ending, timeout=_ENDING_TIME)

    def _follow(self, epoch: int, endpoint: str) -> None:
        self._leader = (epoch, endpoint)
        if self._open is None or self._is_closed or epoch <= self._epoch:
            return
        if self._client is not None:
            self._client.close()
        self._epoch = epoch
        self._client = ActionClient(self._context, endpoint, self._commanded)
        self._attach()
        for call_id, sound in self._calls.items():
            self._report(call_id, sound.state)
            self._tell_keys(call_id, sound.keys)

    def _attach(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
        if self._client is not None and not self._is_closed:
            self._client.send(HostAttach(epoch=self._epoch, instance=self._instance))
            self._beat = asyncio.get_running_loop().call_later(self._beat_every, self._attach)

    def _commanded(self, command: FromLeader) -> None:
        if not isinstance(command, MediaCommand) or command.epoch != self._epoch:
            return
        sound = self._calls.get(command.call_id)
        if isinstance(command, CloseMedia):
            if sound is not None:
                self._end_soon(command.call_id, sound)
        elif sound is not None:
            sound.post(command)
        elif isinstance(command, MakeOffer | MakeAnswer):
            self._begin(command.call_id).post(command)
        else:
            # Only what begins a call's sound may open a microphone.
            self._done(command, "", _NO_SOUND)

    def _begin(self, call_id: str) -> "_Sound":
        assert self._open is not None
        sound = _Sound(
            call_id, self._open, self._done, partial(self._report, call_id), partial(self._tell_keys, call_id)
        )
        self._calls[call_id] = sound
        self._sampling = self._sampling or self._sample_later()
        return sound

    def _end_soon(self, call_id: str, sound: "_Sound") -> None:
        del self._calls[call_id]
        ending = asyncio.create_task(self._end(call_id, sound), name=f"ending-{call_id}")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _end(self, call_id: str, sound: "_Sound") -> None:
        await sound.finish()
        quality = sound.meter.newest
        if quality is None:
            return
        self._tell_quality(call_id, quality)
        mean, worst = sound.meter.mean_mos, sound.meter.worst_mos
        log.info(
            "call.quality",
            call_id=call_id,
            mos_mean=None if mean is None else round(mean, 2),
            mos_worst=None if mean is None else round(worst, 2),
            **msgspec.to_builtins(quality),
        )

    def _sample_later(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(_SAMPLE_TIME, self._sample)

    def _sample(self) -> None:
        """Look at every call's counters; now and then tell the leader."""
        for call_id, sound in self._calls.items():
            quality = sound.sample()
            # The first word comes soon; then calls take turns, so that not all are told in one moment.
            if quality is not None and sound.samples % _SAMPLES_TOLD == 2:
                self._tell_quality(call_id, quality)
        self._sampling = self._sample_later() if self._calls else None

    def _tell_quality(self, call_id: str, quality: Quality) -> None:
        if self._client is not None:
            self._client.send(QualityChanged(epoch=self._epoch, call_id=call_id, quality=quality))

    def _done(self, command: MediaCommand, sdp: str, error: str) -> None:
        if self._client is not None and command.epoch == self._epoch:
            self._client.send(
                MediaDone(epoch=command.epoch, command_id=command.command_id, sdp=sdp, error=error)
            )

    def _report(self, call_id: str, state: base.MediaState) -> None:
        if self._client is not None:
            self._client.send(
                MediaChanged(epoch=self._epoch, call_id=call_id, state=_SHOWN[state], instance=self._instance)
            )

    def _tell_keys(self, call_id: str, keys: "_Keys") -> None:
        if self._client is not None and keys.count:
            self._client.send(
                KeysPressed(
                    epoch=self._epoch,
                    call_id=call_id,
                    instance=self._instance,
                    newest=keys.newest,
                    count=keys.count,
                )
            )


class _Keys:
    """What the far end of a call has pressed; told at once, but not more often than the leader can bear."""

    def __init__(self, tell: Callable[["_Keys"], None]) -> None:
        self.newest, self.count = "", 0
        self._tell = tell
        self._told = 0
        self._timer: asyncio.TimerHandle | None = None

    def pressed(self, key: str) -> None:
        """Take a key."""
        self.newest, self.count = (self.newest + key)[-MOST_KEYS:], self.count + 1
        if self._timer is None:
            self._speak()

    def close(self) -> None:
        """Tell what is left to tell."""
        if self._timer is not None:
            self._timer.cancel()
        self._tell_news()

    def _speak(self) -> None:
        is_news = self._tell_news()
        self._timer = asyncio.get_running_loop().call_later(_KEYS_TIME, self._speak) if is_news else None

    def _tell_news(self) -> bool:
        is_news, self._told = self.count > self._told, self.count
        if is_news:
            self._tell(self)
        return is_news


class _Sound:
    """One call's session; commands are done one after the other, keys beside them: those take seconds."""

    def __init__(
        self,
        call_id: str,
        open_session: SessionFactory,
        done: Callable[[MediaCommand, str, str], None],
        report: base.StateCallback,
        tell_keys: Callable[[_Keys], None],
    ) -> None:
        self._open, self._done, self._report = partial(open_session, call_id), done, report
        self.keys = _Keys(tell_keys)
        self._session: base.MediaSession | None = None
        self._inbox: Inbox[MediaCommand] = Inbox(self._handle, name=f"sound-{call_id}")
        self._tones: Inbox[MediaCommand] = Inbox(self._handle, name=f"tones-{call_id}")
        self.state: base.MediaState = "new"
        self.meter, self.samples = QualityMeter(), 0

    def sample(self) -> Quality | None:
        """Measure once more; None as long as nothing was sent or received."""
        if self._session is None:
            return None
        counts = self._session.counts
        if not (counts.sent or counts.received):
            return None
        self.samples += 1
        return self.meter.sample(counts)

    def post(self, command: MediaCommand) -> None:
        """Do ``command`` after those before it; if too many wait already, say so."""
        try:
            (self._tones if isinstance(command, PlayDtmf) else self._inbox).post(command)
        except asyncio.QueueFull:
            self._done(command, "", "too much is asked of this call's sound at once")

    async def finish(self) -> None:
        """End the sound when all commands are done, without what keys are left; measure a last time."""
        await self._inbox.finish()
        self.sample()
        await self._close_session()
        await self._tones.finish()
        self.keys.close()

    async def close(self) -> None:
        """End the sound, whatever is under way."""
        await self._inbox.close()
        await self._tones.close()
        await self._close_session()
        self.keys.close()

    async def _close_session(self) -> None:
        # It knows us, and holds more than a garbage collector can see: it goes with its last mention.
        session, self._session = self._session, None
        if session is not None:
            try:
                await session.close()
            except Exception:
                log.exception("media.close_failed")

    async def _handle(self, command: MediaCommand) -> None:
        try:
            sdp = await self._do(command)
        except SharedlineError as exc:
            log.warning(
                "media.refused", call_id=command.call_id, command=type(command).__name__, error=str(exc)
            )
            self._done(command, "", str(exc))
            return
        except Exception as exc:
            self._done(command, "", f"unexpected {type(exc).__name__}")
            raise
        self._done(command, sdp, "")

    async def _do(self, command: MediaCommand) -> str:
        if isinstance(command, MakeOffer | MakeAnswer) and self._session is None:
            self._session = await self._open(self._changed, self.keys.pressed)
        session = self._session
        if session is None:
            raise MediaError(_NO_SOUND)
        match command:
            case MakeOffer():
                return await session.offer(command.like)
            case MakeAnswer():
                return await session.answer(command.sdp)
            case ApplyAnswer():
                await session.apply(command.sdp)
            case ShapeMedia():
                session.mute(command.muted)
                session.hold(command.held)
            case PlayDtmf():
                await session.dtmf(command.tones)
        return ""

    def _changed(self, state: base.MediaState) -> None:
        self.state = state
        self._report(state)
