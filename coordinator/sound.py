"""The sound of one window: which devices its calls use, now and when they change; ``phone.sound``.

A media host opens sound on its own thread, the program changes it from the window's. What both touch is
either exchanged in one assignment or guarded by the one lock here, which is never held while a device is
opened.
"""

import asyncio
import contextlib
import ipaddress
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from agents.media.base import MediaSession, Sink, Source, StateCallback, ToneCallback
from agents.media.devices import list_devices, mend_streams, needs_mending
from agents.media.echo import make_canceller
from agents.media.files import NullSink, Silence
from agents.media.handset import Volume
from agents.media.hotplug import HotPlug
from agents.media.loading import preload
from agents.media.opening import Ends, open_ends
from agents.media.options import OpusOptions
from agents.media.recording import WavRecording
from agents.media.ringer import Ringer, RingTone
from agents.media.specs import check_sink, check_source, open_session, parse_sink, parse_source
from agents.media.switch import SwitchSink, SwitchSource
from shared.config import Account, Settings
from shared.errors import MediaError
from shared.log import log
from shared.messages import CallState, Direction
from shared.phone import Phone
from shared.sound import Device, Levels

if TYPE_CHECKING:
    from agents.media.webrtc import WebRtcSession


_LOOK_EVERY = 1.0


class DeviceManager:
    """Which devices a window uses. Subclass it to remember choices, or to choose by rules of your own.

    Args:
        microphone: A source as in :mod:`agents.media.specs`.
        loudspeaker: A sink as in the same.
        ringer: The sink to ring on while an inbound call rings; None: do not ring.
    """

    def __init__(
        self, microphone: str = "default", loudspeaker: str = "default", *, ringer: str | None = None
    ) -> None:
        self._microphone, self._loudspeaker, self._ringer = microphone, loudspeaker, ringer

    def microphone(self) -> str:
        """Return what the next call shall send. Asked when it begins, on another thread than the window's."""
        return self._microphone

    def loudspeaker(self) -> str:
        """Return what the next call shall be heard with; asked as the microphone is."""
        return self._loudspeaker

    def ringer(self) -> str | None:
        """Return what to ring on; None: do not ring."""
        return self._ringer

    def chosen(self, *, microphone: str, loudspeaker: str, ringer: str | None) -> None:
        """Take the user's choice; all three can be used. Called in the window's event loop."""
        self._microphone, self._loudspeaker, self._ringer = microphone, loudspeaker, ringer

    def devices_changed(self, devices: Sequence[Device]) -> None:
        """Hear that a device was plugged in or out, in the window's event loop. By default nothing is done.

        Calls that use the system's default follow it, and those whose device is gone go on with the default.
        """


@dataclass(slots=True, eq=False)
class _Open:
    """The sound of one call."""

    call_id: str
    session: "WebRtcSession"
    source: SwitchSource
    sink: SwitchSink


class WindowSound:
    """See :class:`shared.sound.Sound`.

    Raises:
        ConfigError: What the manager names is not understood.
        MediaError: It cannot be used: no such device or file.
    """

    def __init__(self, account: Account, settings: Settings, manager: DeviceManager) -> None:
        self._settings, self._manager = settings, manager
        self._addresses, self._stun_servers = _addresses(account), account.stun_servers
        self._open: list[_Open] = []
        self._lock, self._generation = threading.Lock(), 0
        self._hot_plug, self._ringer = HotPlug(), _make_ringer(manager.ringer())
        self._looking: asyncio.Task[None] | None = None
        self._phone: Phone | None = None  # whose calls ring
        self._volume = Volume()
        check_source(manager.microphone())  # better now than when the first call is answered
        check_sink(manager.loudspeaker())

    # -- what programs use -------------------------------------------------------------------------------

    @property
    def microphone(self) -> str:
        """What the next call will send."""
        return self._manager.microphone()

    @property
    def loudspeaker(self) -> str:
        """What the next call will be heard with."""
        return self._manager.loudspeaker()

    @property
    def volume(self) -> Volume:
        """How loud calls are here."""
        return self._volume

    @property
    def level(self) -> Levels:
        """How loud the calls here are at this moment."""
        levels = [each.session.handset.levels for each in list(self._open)]
        return Levels(
            max((said for said, _ in levels), default=0.0), max((h for _, h in levels), default=0.0)
        )

    async def devices(self) -> list[Device]:
        """Return the devices that there are at this moment."""
        return await asyncio.to_thread(list_devices, refresh="idle")

    async def use(self, *, microphone: str | None = None, loudspeaker: str | None = None) -> None:
        """Change devices, also in the middle of calls."""
        done = await asyncio.to_thread(self._use, microphone, loudspeaker, [])
        self._manager.chosen(
            microphone=microphone or self.microphone,
            loudspeaker=loudspeaker or self.loudspeaker,
            ringer=self._manager.ringer(),
        )
        with self._lock:
            self._generation += 1
        # Calls that began meanwhile may have asked the manager before it knew.
        await asyncio.to_thread(self._use, microphone, loudspeaker, done)

    async def ring_on(self, loudspeaker: str | None) -> None:
        """Ring on this device while an inbound call rings; None: never."""
        if loudspeaker is not None:
            await asyncio.to_thread(check_sink, loudspeaker)
        if self._ringer is not None:
            self._ringer.ring(False)
        self._ringer = _make_ringer(loudspeaker)
        if self._phone is not None:
            self._ring(self._phone)  # it may be ringing at this moment
        self._manager.chosen(microphone=self.microphone, loudspeaker=self.loudspeaker, ringer=loudspeaker)

    def record(
        self,
        call_id: str,
        path: str | os.PathLike[str],
        *,
        stereo: bool = True,
        longest: float = 4 * 3600.0,
        on_end: Callable[[], object] | None = None,
    ) -> "CallRecording":
        """Record a call that has its sound here."""
        found = next((each for each in list(self._open) if each.call_id == call_id), None)
        if found is None:
            raise MediaError(f"the sound of call {call_id!r} is not in this window; record it where it is")
        if found.session.handset.is_recorded:
            raise MediaError(f"call {call_id!r} is being recorded already; stop that first")
        recording = WavRecording(path, stereo=stereo, longest=longest, on_end=on_end)
        found.session.record(recording)
        return CallRecording(recording, found.session)

    # -- what the node uses ------------------------------------------------------------------------------

    def load(self) -> Callable[[str, StateCallback, ToneCallback], Awaitable[MediaSession]]:
        """Import what sound needs, on the media host's thread; return what opens it for a call."""
        preload()  # aiortc: most of a window's memory and start-up
        return self._open_session

    def start(self, phone: Phone) -> None:
        """Ring when ``phone`` rings, and look for devices that come and go, in the running event loop."""
        self._phone = phone
        for event in ("inbound_call", "call_changed", "call_ended"):
            phone.on(event, lambda _call: self._ring(phone))
        self._looking = asyncio.create_task(self._look(), name="hot-plug")

    def close(self) -> None:
        """Stop ringing and looking. Calls end with their media host."""
        if self._looking is not None:
            self._looking.cancel()
        self._phone = None
        if self._ringer is not None:
            self._ringer.ring(False)

    # -- inside ------------------------------------------------------------------------------------------

    async def _open_session(
        self, call_id: str, on_state: StateCallback, on_tone: ToneCallback
    ) -> MediaSession:
        generation, manager = self._generation, self._manager
        ends = await open_ends(parse_source(manager.microphone()), parse_sink(manager.loudspeaker()))
        with contextlib.ExitStack() as until_whole:  # what fails must not leave a microphone open
            until_whole.callback(ends.close)
            opened = _Open(call_id, self._make_session(ends, on_state, on_tone), ends.source, ends.sink)
            ends.source.on_close = partial(self._forget, opened)
            with self._lock:
                self._open.append(opened)
                is_old = generation != self._generation
            if is_old:  # changed while we opened the old ones
                ends.source.use(parse_source(manager.microphone())())
                ends.sink.use(parse_sink(manager.loudspeaker())())
            until_whole.pop_all()
        return opened.session

    def _make_session(self, ends: Ends, on_state: StateCallback, on_tone: ToneCallback) -> "WebRtcSession":
        canceller = None
        if self._settings.echo_cancellation:
            canceller = make_canceller(lambda: _delay(ends.source, ends.sink))
        return open_session(
            ends.source,
            ends.sink,
            addresses=self._addresses,
            stun_servers=self._stun_servers,
            on_state=on_state,
            on_tone=on_tone,
            volume=self._volume,
            canceller=canceller,
            opus=OpusOptions(self._settings.opus_bit_rate, dtx=self._settings.opus_dtx),
        )

    def _forget(self, opened: _Open) -> None:
        with self._lock:
            if opened in self._open:
                self._open.remove(opened)

    def _use(self, microphone: str | None, loudspeaker: str | None, done: list[_Open]) -> list[_Open]:
        """Change all calls but those ``done``, and return them.

        All that is new is opened before anything changes, so that a mistake costs no call its sound.
        """
        make_source = None if microphone is None else check_source(microphone)
        make_sink = None if loudspeaker is None else check_sink(loudspeaker)
        calls = [call for call in list(self._open) if call not in done]
        sources: list[Source] = []
        sinks: list[Sink] = []
        try:
            for _ in calls:
                if make_source is not None:
                    sources.append(make_source())
                if make_sink is not None:
                    sinks.append(make_sink())
        except BaseException:
            for source in sources:
                source.close()
            for sink in sinks:
                sink.close()
            raise
        for call, source in zip(calls, sources, strict=False):
            call.source.use(source)
        for call, sink in zip(calls, sinks, strict=False):
            call.sink.use(sink)
        return calls

    def _ring(self, phone: Phone) -> None:
        if self._ringer is not None:
            self._ringer.ring(
                any(
                    call.state is CallState.RINGING and call.direction is Direction.INBOUND
                    for call in phone.calls
                )
            )

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                if not self._uses_devices():
                    continue
                if self._hot_plug.has_changed():
                    self._manager.devices_changed(await asyncio.to_thread(self._follow_devices))
                elif needs_mending():  # the first try, at once, found no device
                    await asyncio.to_thread(mend_streams)
            except MediaError as exc:
                log.warning("devices.unknown", error=str(exc))
            except Exception:  # the manager is the program's: what it raises must not end our looking
                log.exception("devices.manager_failed")

    def _uses_devices(self) -> bool:
        named = (self.microphone, self.loudspeaker, self._manager.ringer() or "")
        return any(spec.startswith(("device", "default")) for spec in named)

    def _follow_devices(self) -> list[Device]:
        found = list_devices(refresh="always")
        log.info("devices.changed", devices=[device.name for device in found])
        for call in list(self._open):
            # "default" began as silence where there was no device; now there may be one.
            if self.microphone == "default" and isinstance(call.source.inside, Silence):
                call.source.use(parse_source("default")())
            if self.loudspeaker == "default" and isinstance(call.sink.inside, NullSink):
                call.sink.use(parse_sink("default")())
        return found


class CallRecording:
    """See :class:`shared.sound.Recording`."""

    def __init__(self, recording: WavRecording, session: "WebRtcSession") -> None:
        self._recording, self._session = recording, session

    @property
    def path(self) -> str:
        """The file."""
        return self._recording.path

    @property
    def seconds(self) -> float:
        """How much is in it."""
        return self._recording.seconds

    @property
    def problem(self) -> str:
        """Why it ended before its time; "" if it did not."""
        return self._recording.problem

    async def stop(self) -> None:
        """End it; return when the file is whole."""
        self._session.handset.stop_recording(self._recording)
        self._recording.close()
        await asyncio.to_thread(self._recording.wait)


def _make_ringer(loudspeaker: str | None) -> Ringer | None:
    return None if loudspeaker is None else Ringer(check_sink(loudspeaker), RingTone)


def _delay(source: SwitchSource, sink: SwitchSink) -> float:
    """Return how long it is from a frame that is played to its echo, as far as the devices tell."""
    return sum(float(getattr(end.inside, "latency", 0.0)) for end in (source, sink))


def _addresses(account: Account) -> tuple[str, ...] | None:
    """Keep sound on loopback if the service is there, so that it works on a machine without any network."""
    host = account.outbound_proxy.rpartition(":")[0].strip("[]")
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    return ("127.0.0.1",) if is_loopback else None
