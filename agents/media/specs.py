"""Sound named in a few characters, as on a command line, and whole sessions made from such names.

============================  ===============================================================
source                        is
============================  ===============================================================
``wav:FILE``, ``loop:FILE``   a WAV file, once or again and again
``tone:HZ``                   a sine tone
``silence``                   nothing
``device``, ``device:NAME``   the default microphone, or the one whose name contains NAME
``default``                   the default microphone if there is one, else silence and a notice
============================  ===============================================================

A sink is ``wav:FILE`` (record), ``none``, ``device``, ``device:NAME`` or ``default``.
"""

import asyncio
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from shared.errors import ConfigError, MediaError
from shared.log import log

from .base import Sink, SinkFactory, Source, SourceFactory, StateCallback, ToneCallback
from .files import NullSink, Silence, ToneSource, WavSink, WavSource
from .loading import preload

if TYPE_CHECKING:
    from .devices import DeviceSink, DeviceSource
    from .handset import Canceller, Volume
    from .options import OpusOptions
    from .webrtc import WebRtcSession


SOUNDS = Path(__file__).parent / "sounds"
GREETING = SOUNDS / "greeting.wav"
GREETING_TONES_HZ = (941.0, 1336.0)
FAREWELL = SOUNDS / "farewell.wav"
FAREWELL_TONES_HZ = (697.0, 1477.0)

_SOURCES = "wav:FILE, loop:FILE, tone:HZ, silence, device, device:NAME or default"
_SINKS = "wav:FILE, none, device, device:NAME or default"


def parse_source(spec: str) -> SourceFactory:
    """Return what opens the source; raise :exc:`ConfigError` for an unknown name. Opens nothing."""
    kind, _, rest = spec.partition(":")
    match kind, rest:
        case ("wav", path) if path:
            return partial(WavSource, path)
        case ("loop", path) if path:
            return partial(WavSource, path, loop=True)
        case ("tone", hz) if _is_number(hz):
            return partial(ToneSource, float(hz))
        case ("silence", ""):
            return Silence
        case ("device", name):
            return partial(_device_source, name or None)
        case ("default", ""):
            return _default_source
    raise ConfigError(f"{spec!r} is no sound source; use {_SOURCES}")


def parse_sink(spec: str) -> SinkFactory:
    """Return what opens the sink; raise :exc:`ConfigError` for an unknown name. Opens nothing."""
    kind, _, rest = spec.partition(":")
    match kind, rest:
        case ("wav", path) if path:
            return partial(WavSink, path)
        case ("none", ""):
            return NullSink
        case ("device", name):
            return partial(_device_sink, name or None)
        case ("default", ""):
            return _default_sink
    raise ConfigError(f"{spec!r} is no place for sound to go to; use {_SINKS}")


def check_source(spec: str) -> SourceFactory:
    """Return what opens the source, which is there and can be read at this moment.

    Raises:
        ConfigError: The spec is not understood.
        MediaError: There is no such device, with a list of those that there are, or no such file.
    """
    make = parse_source(spec)
    kind, _, rest = spec.partition(":")
    if kind in ("wav", "loop"):
        make().close()
    elif kind == "device" and rest:
        _check_device("microphone", rest)
    return make


def check_sink(spec: str) -> SinkFactory:
    """Return what opens the sink, which is there and can be written at this moment; else see check_source."""
    make = parse_sink(spec)
    kind, _, rest = spec.partition(":")
    if kind == "wav":
        _check_recordable(Path(rest))
    elif kind == "device" and rest:
        _check_device("loudspeaker", rest)
    return make


def _check_device(kind: Literal["microphone", "loudspeaker"], name: str) -> None:
    from .devices import choose, list_devices

    choose(list_devices(), kind, name)


def _check_recordable(path: Path) -> None:
    # Looked at only: opening it would empty a recording that is there, before there is a call.
    folder = path.absolute().parent
    if not folder.is_dir():
        raise MediaError(f"cannot record to {path}: there is no folder {folder}; make it first")
    if path.is_dir():
        raise MediaError(f"cannot record to {path}: it is a folder; name a file in it")
    target = path if path.exists() else folder
    if not os.access(target, os.W_OK):
        raise MediaError(f"cannot record to {path}: {target} may not be written by this user")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What to use when the user says nothing; ``notice`` is a line to show, None with devices."""

    source: str
    sink: str
    notice: str | None


def default_specs() -> Defaults:
    """Return the machine's devices where there are some, else silence; loads PortAudio. Never raises."""
    from .devices import list_devices

    try:
        devices = list_devices()
    except MediaError as exc:
        return Defaults("silence", "none", f"no sound: {exc}")
    source = "device" if any(device.inputs for device in devices) else "silence"
    sink = "device" if any(device.outputs for device in devices) else "none"
    missing = [name for name, spec in (("microphone", source), ("loudspeaker", sink)) if spec != "device"]
    notice = (
        f"no {' and no '.join(missing)} found: silence instead; name a WAV file to say or record something"
    )
    return Defaults(source, sink, notice if missing else None)


def open_session(
    source: str | Source,
    sink: str | Sink,
    *,
    addresses: Sequence[str] | None = None,
    stun_servers: Sequence[str] = (),
    on_state: StateCallback | None = None,
    on_tone: ToneCallback | None = None,
    volume: "Volume | None" = None,
    canceller: "Canceller | None" = None,
    opus: "OpusOptions | None" = None,
) -> "WebRtcSession":
    """Open ``source`` and ``sink`` and return a WebRTC session that owns them.

    Must be called where an event loop runs. The first call imports aiortc: see :func:`.loading.preload`.

    Args:
        source: A source as in this module's table, or one that is open already.
        sink: A sink as in this module's table, or one that is open already.
        addresses: Local addresses for media; None: all of the machine's.
        stun_servers: ``host:port`` of servers that tell our public address.
        on_state: Called with every new state of the connection.
        on_tone: Called with every key that the far end presses.
        volume: How loud to say and to play; may change at any time.
        canceller: Takes the loudspeaker's sound out of the microphone's.
        opus: How to speak Opus.

    Raises:
        ConfigError: A spec is not understood.
        MediaError: A device or a file cannot be opened.
    """
    asyncio.get_running_loop()
    make_source = parse_source(source) if isinstance(source, str) else lambda: source
    make_sink = parse_sink(sink) if isinstance(sink, str) else lambda: sink
    preload()
    from .webrtc import WebRtcSession

    opened = make_source()
    try:
        target = make_sink()
    except BaseException:
        opened.close()
        raise
    return WebRtcSession(
        opened,
        target,
        addresses=addresses,
        stun_servers=stun_servers,
        on_state=on_state,
        on_tone=on_tone,
        volume=volume,
        canceller=canceller,
        opus=opus,
    )


def _default_source() -> Source:
    found = default_specs()
    _tell(found.notice)
    try:
        return parse_source(found.source)()
    except MediaError as exc:
        _tell(f"no sound is sent: {exc}")
        return Silence()


def _default_sink() -> Sink:
    found = default_specs()
    _tell(found.notice)
    try:
        return parse_sink(found.sink)()
    except MediaError as exc:
        _tell(f"no sound is heard: {exc}")
        return NullSink()


@functools.cache
def _tell(notice: str | None) -> None:
    """Log a notice, once in a process however many calls there are."""
    if notice is not None:
        log.warning("sound.missing", notice=notice)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit() and text.isascii()


def _device_source(name: str | None) -> "DeviceSource":
    from .devices import DeviceSource

    return DeviceSource(name)


def _device_sink(name: str | None) -> "DeviceSink":
    from .devices import DeviceSink

    return DeviceSink(name)
