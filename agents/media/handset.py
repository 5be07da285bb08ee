"""What lies between a call and its source and sink: mute and hold, volume and level, echo, a recording."""

from collections import deque
from typing import Protocol

from shared.errors import ConfigError
from shared.log import log

from .analysis import rms_level
from .base import FRAME_BYTES, SILENCE, Sink, Source
from .files import NullSink, Silence
from .pcm import scaled

_LOUDEST = 4.0
#: A recording keeps its place in time over a standstill of at most 5 s; a longer one is cut.
_MAX_SKIPPED_FRAMES = 250
_MAX_UNRECORDED = 3


class Volume:
    """How loud a window's calls are: 1 as they come, 0 silent. May be changed at any time, in any thread."""

    def __init__(self) -> None:
        self._microphone = self._loudspeaker = 1.0

    @property
    def microphone(self) -> float:
        """What the far end hears, 0 to 4 times as loud as it comes."""
        return self._microphone

    @microphone.setter
    def microphone(self, gain: float) -> None:
        self._microphone = _checked(gain)

    @property
    def loudspeaker(self) -> float:
        """What is heard here, 0 to 4 times as loud as it comes."""
        return self._loudspeaker

    @loudspeaker.setter
    def loudspeaker(self, gain: float) -> None:
        self._loudspeaker = _checked(gain)


def _checked(gain: float) -> float:
    if not 0 <= gain <= _LOUDEST:
        raise ConfigError(f"the volume {gain} is not one of 0 (silent) to {_LOUDEST:g}; 1 is as it comes")
    return float(gain)


class Canceller(Protocol):
    """Takes out of what the microphone hears what the loudspeaker played."""

    def played(self, frame: bytes) -> None:
        """Learn what the loudspeaker is given."""

    def cancel(self, frame: bytes) -> bytes:
        """Return the microphone's frame without the echo."""


class Recorder(Protocol):
    """Takes both sides of a call, frame by frame."""

    @property
    def has_ended(self) -> bool:
        """Whether it takes no more: it may end by itself."""

    def write(self, said: bytes, heard: bytes) -> None:
        """Take 20 ms of each."""

    def close(self) -> None:
        """Finish the file."""


class Handset:
    """One call's microphone and loudspeaker. Whatever fails here is logged, and does not end the call."""

    def __init__(
        self,
        source: Source,
        sink: Sink,
        *,
        volume: Volume | None = None,
        canceller: Canceller | None = None,
    ) -> None:
        self._source, self._sink = source, sink
        self._volume, self._canceller = volume or Volume(), canceller
        self._recorder: Recorder | None = None
        self._unrecorded: deque[bytes] = deque(maxlen=_MAX_UNRECORDED)
        self._said = self._heard = SILENCE
        self._is_closed = False
        self.muted = self.held = False

    @property
    def levels(self) -> tuple[float, float]:
        """How loud the newest 20 ms are that we say and hear, 0 to 1 of full scale."""
        return rms_level(self._said), rms_level(self._heard)

    @property
    def is_recorded(self) -> bool:
        """Whether a recording is being made."""
        recorder = self._recorder
        return recorder is not None and not recorder.has_ended

    def record(self, recorder: Recorder | None) -> None:
        """Write both sides into ``recorder`` from now on; None ends that. The one before is finished.

        Any thread may ask for it, also when the call ends at this moment: then ``recorder`` is finished, too.
        """
        # Another one, as the old one may be in use at this moment.
        self._unrecorded = deque(maxlen=_MAX_UNRECORDED)
        before, self._recorder = self._recorder, recorder
        if before is not None:
            before.close()
        if recorder is not None and self._is_closed:
            recorder.close()

    def stop_recording(self, recorder: Recorder) -> None:
        """Give ``recorder`` nothing more, if it is the one that records."""
        if self._recorder is recorder:
            self._recorder = None

    def say(self) -> bytes:
        """Return the frame to send; called every 20 ms."""
        frame = self._read()
        # Before the volume, which may change at any time.
        frame = self._without_echo(frame) if len(frame) == FRAME_BYTES else SILENCE
        self._said = SILENCE if self.muted or self.held else scaled(frame, self._volume.microphone)
        return self._said

    def hear(self, frame: bytes) -> None:
        """Play the far end's frame; called every 20 ms in the long run, not always evenly."""
        self._heard = SILENCE if self.held else frame
        loud = scaled(self._heard, self._volume.loudspeaker)
        self._learn_echo(loud)
        self._write(loud)
        if self._recorder is not None:
            self._unrecorded.append(self._heard)

    def note(self) -> None:
        """Record what was said last, and what was heard; called every 20 ms, after :meth:`say`."""
        recorder = self._recorder  # it may be exchanged by another thread at any time
        if recorder is not None:
            unrecorded = self._unrecorded
            recorder.write(self._said, unrecorded.popleft() if unrecorded else SILENCE)

    def skip(self, frames: int) -> None:
        """Let time pass in which nothing was said or heard, because the process stood still."""
        recorder = self._recorder
        if recorder is not None:
            for _ in range(min(frames, _MAX_SKIPPED_FRAMES)):
                recorder.write(SILENCE, SILENCE)

    def close(self) -> None:
        """Close source and sink, finish a recording."""
        self._is_closed = True
        self.record(None)
        self._source.close()
        self._sink.close()

    def _read(self) -> bytes:
        try:
            return self._source.read()
        except Exception as exc:  # a device's or a user's code: it may fail, the call may not
            log.error("media.source_failed", error=str(exc) or type(exc).__name__)
            self._source.close()
            self._source = Silence()
            return b""

    def _without_echo(self, frame: bytes) -> bytes:
        if self._canceller is None:
            return frame
        try:
            return self._canceller.cancel(frame)
        except Exception as exc:
            self._give_up_canceller(exc)
            return frame

    def _learn_echo(self, frame: bytes) -> None:
        if self._canceller is not None:
            try:
                self._canceller.played(frame)
            except Exception as exc:
                self._give_up_canceller(exc)

    def _give_up_canceller(self, exc: Exception) -> None:
        log.error("media.canceller_failed", error=str(exc) or type(exc).__name__)
        self._canceller = None

    def _write(self, frame: bytes) -> None:
        try:
            self._sink.write(frame)
        except Exception as exc:
            log.error("media.sink_failed", error=str(exc) or type(exc).__name__)
            self._sink.close()
            self._sink = NullSink()
