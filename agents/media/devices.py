"""Microphones and loudspeakers through PortAudio (``sounddevice``), imported when the first one is opened.

PortAudio calls us on threads of its own: :mod:`.queues` has what they and the event loop exchange. It learns
what devices there are when it starts, and never again: see :class:`_PortAudio`.
"""

import atexit
import importlib
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Literal

from shared.errors import MediaError
from shared.log import log
from shared.sound import Device

from .base import FRAME_SAMPLES, FRAME_SECONDS, RATE_HZ
from .queues import BLOCKS_PER_FRAME, CaptureQueue, PlaybackQueue

_BLOCK_SECONDS = FRAME_SECONDS / BLOCKS_PER_FRAME
_PORTAUDIO_HINT = (
    "the PortAudio library is missing; install it (Debian and Ubuntu: apt install libportaudio2, "
    "macOS: brew install portaudio), or use a WAV file or silence instead of a sound device"
)
#: How long the end of the program waits for another thread that opens or closes a device, in seconds.
_EXIT_TIME = 2.0
Kind = Literal["microphone", "loudspeaker"]
_CLASSES = {"microphone": "RawInputStream", "loudspeaker": "RawOutputStream"}


class _Stream:
    """A device that is open: ``name`` is part of its name; None: the system's default, whichever it is."""

    def __init__(self, kind: Kind, name: str | None, callback: Any) -> None:
        self.kind, self.name, self.callback = kind, name, callback
        self.raw: Any = None
        self.opening: object = None  # None as well when PortAudio has ended the stream by itself
        self.is_lost = False  # and the log says so

    @property
    def is_alive(self) -> bool:
        """Whether it is open, as far as is known. Asks nobody, so any thread may look."""
        return self.raw is not None and self.opening is not None


class _PortAudio:
    """What all streams of the process share.

    To see a device that was plugged in, or another default, PortAudio must be ended and started again, and
    that ends all its streams: they are closed before, and opened again afterwards. One lock keeps that whole.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._streams: list[_Stream] = []
        self._sees_the_end = self._is_over = False

    @property
    def is_idle(self) -> bool:
        """Whether no stream is open."""
        return not self._streams

    def devices(self) -> list[Device]:
        """Return what PortAudio knows of; see :meth:`refresh`."""
        with self._lock:
            sounddevice = _load()
            try:
                found = list(sounddevice.query_devices())
            except Exception as exc:
                raise _error("the sound devices cannot be listed", exc) from exc
            default_input, default_output = sounddevice.default.device
            return [
                Device(
                    name=str(item["name"]),
                    inputs=int(item["max_input_channels"]),
                    outputs=int(item["max_output_channels"]),
                    is_default_input=index == default_input,
                    is_default_output=index == default_output,
                )
                for index, item in enumerate(found)
            ]

    def open(self, stream: _Stream) -> None:
        """Open and start a stream of our format; PortAudio converts where the device wants another one."""
        with self._lock:
            self._watch_for_the_end()
            stream.raw = self._start(stream, stream.name)
            self._streams.append(stream)

    def close(self, stream: _Stream) -> None:
        """Stop and release a stream. Takes up to some hundred milliseconds."""
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)
                self._stop(stream)

    def refresh(self) -> None:
        """Learn anew what devices there are. Open streams pause for some ten milliseconds.

        A stream whose device is gone goes on with the default one, and comes back when its device does.
        """
        with self._lock:
            sounddevice = _load()
            for stream in self._streams:
                self._stop(stream)
            try:
                sounddevice._terminate()
                sounddevice._initialize()
            finally:
                for stream in self._streams:
                    stream.raw = self._restart(stream)

    def mend(self) -> None:
        """Open streams anew that ended by themselves: their device is gone, or the sound server has ended.

        That costs those that are well nothing. Only if none is well, devices are looked for anew as well.
        """
        with self._lock:
            for stream in self._streams:
                if not stream.is_alive:
                    self._stop(stream)
                    stream.raw = self._restart(stream)
            if self._streams and not any(stream.is_alive for stream in self._streams):
                self.refresh()

    def end(self) -> None:
        """Close all streams for good: the program ends.

        sounddevice ends PortAudio after this, and that hangs or crashes where a stream of PulseAudio is open.
        """
        if not self._lock.acquire(timeout=_EXIT_TIME):
            # Another thread hangs in PortAudio; whoever asks that to end would hang as well.
            atexit.unregister(_load()._exit_handler)
            return
        try:
            self._is_over = True
            streams, self._streams = self._streams, []
            for stream in streams:
                self._stop(stream)
        finally:
            self._lock.release()

    def _watch_for_the_end(self) -> None:
        if not self._sees_the_end:
            _load()  # before: what is registered later is called earlier
            atexit.register(self.end)
            self._sees_the_end = True

    @property
    def needs_mending(self) -> bool:
        """Whether a stream that should be open is not."""
        return not all(stream.is_alive for stream in list(self._streams))

    def _restart(self, stream: _Stream) -> Any:
        for name in (stream.name, None):
            try:
                raw = self._start(stream, name)
            except MediaError as exc:
                if not stream.is_lost:
                    log.warning("device.lost", kind=stream.kind, device=name, error=str(exc))
            else:
                log.info("device.opened", kind=stream.kind, wanted=stream.name, device=name)
                stream.is_lost = False
                return raw
        stream.is_lost = True
        return None  # silence, until a device appears

    def _ended(self, stream: _Stream, opening: object) -> None:
        """Take that PortAudio has ended a stream. On its thread, which must not wait for us."""
        if stream.opening is opening:
            stream.opening = None
            threading.Thread(target=_mend, name="device-mend", daemon=True).start()

    def _start(self, stream: _Stream, name: str | None) -> Any:
        if self._is_over:
            raise MediaError("the program is ending: no sound device is opened any more")
        sounddevice = _load()
        index = None if name is None else choose(self.devices(), stream.kind, name)
        raw, opening = None, object()
        stream.opening = opening
        try:
            raw = getattr(sounddevice, _CLASSES[stream.kind])(
                device=index,
                samplerate=RATE_HZ,
                blocksize=FRAME_SAMPLES // BLOCKS_PER_FRAME,
                channels=1,
                dtype="int16",
                latency="low",
                callback=stream.callback,
                finished_callback=lambda: self._ended(stream, opening),
            )
            raw.start()
        except Exception as exc:
            stream.opening = None
            if raw is not None:
                raw.close(ignore_errors=True)
            named = f"the {stream.kind} {name!r}" if name else f"the default {stream.kind}"
            raise _error(f"{named} cannot be opened", exc) from exc
        return raw

    def _stop(self, stream: _Stream) -> None:
        raw, stream.raw, stream.opening = stream.raw, None, None
        if raw is not None:
            # Not stop(), which would first play all that waits.
            raw.abort(ignore_errors=True)
            raw.close(ignore_errors=True)


_portaudio = _PortAudio()


def list_devices(*, refresh: Literal["never", "idle", "always"] = "never") -> list[Device]:
    """Return the machine's sound devices as they were when PortAudio last looked.

    Blocks for some ten milliseconds. ``refresh``: have it look again; open streams go on with what is there
    now, and pause meanwhile. With ``idle`` only if there are none.

    Raises:
        MediaError: There is no PortAudio, or it fails.
    """
    if refresh == "always" or (refresh == "idle" and _portaudio.is_idle):
        _look(_portaudio.refresh)
    return _portaudio.devices()


def needs_mending() -> bool:
    """Return whether a stream has no device at present."""
    return _portaudio.needs_mending


def mend_streams() -> None:
    """Give streams a device again that lost theirs, if there is one. Blocks for some ten milliseconds.

    Raises:
        MediaError: PortAudio fails.
    """
    _look(_portaudio.mend)


def _look(for_devices: Callable[[], None]) -> None:
    try:
        for_devices()
    except MediaError:
        raise
    except Exception as exc:
        raise _error("the sound devices cannot be looked for", exc) from exc


def _mend() -> None:
    try:
        mend_streams()
    except MediaError as exc:
        log.warning("devices.unknown", error=str(exc))


def choose(devices: list[Device], kind: Kind, name: str) -> int:
    """Return the index of the device whose name is ``name``, or else of the one that has it in its name.

    Raises:
        MediaError: There is none, or more than one; the text lists them.
    """
    usable = [
        (index, device.name)
        for index, device in enumerate(devices)
        if (device.inputs if kind == "microphone" else device.outputs) > 0
    ]
    for match in (
        [index for index, known in usable if known == name],
        [index for index, known in usable if name.lower() in known.lower()],
    ):
        if len(match) == 1 or (match and len({devices[index].name for index in match}) == 1):
            return match[0]
        if match:
            several = ", ".join(repr(devices[index].name) for index in match)
            raise MediaError(f"{name!r} is not one {kind}, but several: {several}; use more of the name")
    known = ", ".join(sorted({repr(known) for _, known in usable})) or "none at all"
    raise MediaError(f"there is no {kind} {name!r}; there are: {known}")


class DeviceSource:
    """A microphone. ``name``: part of a device's name, or None for the system's default."""

    def __init__(self, name: str | None = None) -> None:
        self._queue = CaptureQueue()
        self._stream = _Stream("microphone", name, self._captured)
        _portaudio.open(self._stream)

    @property
    def latency(self) -> float:
        """Seconds from a sound to its frame being read, as the device tells."""
        return _latency(self._stream) + len(self._queue) * _BLOCK_SECONDS

    def read(self) -> bytes:
        """Return the oldest 20 ms that wait, at most 100 ms old; ``b""`` if the device gave none yet."""
        return self._queue.pull()

    def close(self) -> None:
        """Stop and release the device."""
        _close(self._stream)

    def _captured(self, data: Any, _frames: int, _time: object, _status: object) -> None:
        self._queue.push(bytes(data))


class DeviceSink:
    """A loudspeaker. ``name``: part of a device's name, or None for the system's default."""

    def __init__(self, name: str | None = None) -> None:
        self._queue = PlaybackQueue()
        self._stream = _Stream("loudspeaker", name, self._wanted)
        _portaudio.open(self._stream)

    @property
    def latency(self) -> float:
        """Seconds from a frame being written to its sound, as the device tells."""
        return _latency(self._stream) + len(self._queue) * _BLOCK_SECONDS

    def write(self, frame: bytes) -> None:
        """Play the frame after those that wait; beyond 160 ms the oldest is dropped."""
        self._queue.push(frame)

    def close(self) -> None:
        """Stop and release the device."""
        _close(self._stream)

    def _wanted(self, out: Any, _frames: int, _time: object, _status: object) -> None:
        out[:] = self._queue.pull(len(out))


def _load() -> ModuleType:
    try:
        return importlib.import_module("sounddevice")
    except OSError as exc:
        raise MediaError(_PORTAUDIO_HINT) from exc
    except ImportError as exc:
        raise MediaError("the package sounddevice is missing; install it: pip install sounddevice") from exc


def _latency(stream: _Stream) -> float:
    raw = stream.raw  # None while PortAudio looks for devices
    return float(raw.latency) if raw is not None else 0.0


def _close(stream: _Stream) -> None:
    # Not on the event loop: it takes its time, and so may a refresh that is under way.
    threading.Thread(target=_portaudio.close, args=(stream,), name="device-close", daemon=True).start()


def _error(what: str, exc: Exception) -> MediaError:
    cause = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
    return MediaError(f"{what} ({cause}); plug one in, choose another by name, or use a WAV file or silence")
