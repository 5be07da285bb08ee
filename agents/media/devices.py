"""Microphones and loudspeakers through PortAudio (``sounddevice``), imported when the first one is opened.

PortAudio calls us on threads of its own. They and the event loop meet in a ``deque``, whose ends are safe to
use from both sides without a lock: nobody ever waits. The two clocks differ a little, so the deque is
bounded: old sound is dropped, and silence fills what is missing.
"""

import importlib
import threading
from collections import deque
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import structlog

from shared.errors import MediaError

from .base import FRAME_SAMPLES, RATE_HZ, SILENCE

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

CAPTURE_FRAMES = 5
PLAYBACK_FRAMES = 8
_PREFILL_FRAMES = 2
_PORTAUDIO_HINT = (
    "the PortAudio library is missing; install it (Debian and Ubuntu: apt install libportaudio2, "
    "macOS: brew install portaudio), or use a WAV file or silence instead of a sound device"
)


@dataclass(frozen=True, slots=True)
class Device:
    """One sound device as PortAudio names it; ``is_default``: it is what ``device`` without a name opens."""

    name: str
    inputs: int
    outputs: int
    is_default_input: bool
    is_default_output: bool


def list_devices() -> list[Device]:
    """Return the machine's sound devices; raise :exc:`MediaError` if there is no PortAudio."""
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


class DeviceSource:
    """A microphone. ``name``: part of a device's name, or None for the system's default."""

    def __init__(self, name: str | None = None) -> None:
        self._frames: deque[bytes] = deque(maxlen=CAPTURE_FRAMES)
        self._stream = _open("RawInputStream", name, self._captured)

    def read(self) -> bytes:
        """Return the oldest 20 ms that wait, at most 100 ms old; ``b""`` if the device gave none yet."""
        try:
            return self._frames.popleft()
        except IndexError:
            return b""

    def close(self) -> None:
        """Stop and release the device."""
        _close(self._stream)

    def _captured(self, data: Any, _frames: int, _time: object, _status: object) -> None:
        self._frames.append(bytes(data))


class DeviceSink:
    """A loudspeaker. ``name``: part of a device's name, or None for the system's default."""

    def __init__(self, name: str | None = None) -> None:
        self._frames: deque[bytes] = deque(maxlen=PLAYBACK_FRAMES)
        self._playing = False
        self._stream = _open("RawOutputStream", name, self._wanted)

    def write(self, frame: bytes) -> None:
        """Play the frame after those that wait; beyond 160 ms the oldest is dropped."""
        self._frames.append(frame)

    def close(self) -> None:
        """Stop and release the device."""
        _close(self._stream)

    def _wanted(self, out: Any, _frames: int, _time: object, _status: object) -> None:
        # After running dry, two frames are awaited, or every small delay would be heard as a click.
        if not self._playing and len(self._frames) >= _PREFILL_FRAMES:
            self._playing = True
        try:
            out[:] = self._frames.popleft() if self._playing else SILENCE
        except IndexError:
            self._playing = False
            out[:] = SILENCE


def _load() -> ModuleType:
    try:
        return importlib.import_module("sounddevice")
    except OSError as exc:
        raise MediaError(_PORTAUDIO_HINT) from exc
    except ImportError as exc:
        raise MediaError("the package sounddevice is missing; install it: pip install sounddevice") from exc


def _open(kind: str, name: str | None, callback: Any) -> Any:
    """Open and start a stream of our format; PortAudio converts where the device wants another one."""
    sounddevice = _load()
    what = "microphone" if kind == "RawInputStream" else "loudspeaker"
    stream = None
    try:
        stream = getattr(sounddevice, kind)(
            device=name,
            samplerate=RATE_HZ,
            blocksize=FRAME_SAMPLES,
            channels=1,
            dtype="int16",
            latency="low",
            callback=callback,
        )
        stream.start()
    except Exception as exc:
        if stream is not None:
            stream.close(ignore_errors=True)
        named = f"the {what} {name!r}" if name else f"the default {what}"
        raise _error(f"{named} cannot be opened", exc) from exc
    return stream


def _close(stream: Any) -> None:
    # Stopping waits for PortAudio's thread, up to some hundred milliseconds: not on the event loop.
    threading.Thread(target=stream.close, kwargs={"ignore_errors": True}, name="device-close").start()


def _error(what: str, exc: Exception) -> MediaError:
    cause = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
    return MediaError(f"{what} ({cause}); plug one in, choose another by name, or use a WAV file or silence")
