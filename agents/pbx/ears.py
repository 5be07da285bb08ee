"""What robots speak and hear with: sound that stays when a call's connection is replaced."""

import array
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.media.analysis import samples_of
from agents.media.base import SILENCE

if TYPE_CHECKING:
    from agents.media.base import Sink, Source


class Mouth:
    """A source that outlives a media session: the call may go on in another one."""

    def __init__(self, make: Callable[[], "Source"]) -> None:
        self._make = make
        self._source = make()
        self.last = b""
        """The newest frame."""

    def start_over(self) -> None:
        """Begin again."""
        self._source.close()
        self._source = self._make()

    def read(self) -> bytes:
        """Return the next frame."""
        self.last = self._source.read()
        return self.last

    def close(self) -> None:
        """Do nothing; see :meth:`finish`."""

    def finish(self) -> None:
        """Close the file that is played."""
        self._source.close()


class Ear:
    """A sink that outlives a media session, and counts what it heard."""

    def __init__(self, sink: "Sink", mouth: Mouth) -> None:
        self._sink, self._mouth = sink, mouth
        self._recorder: Sink | None = None
        self._frames = 0
        self._finished = False
        self.hears = True
        """False on hold: what the holder's end still sends, as the SDKs do, is not passed on."""

    @property
    def seconds(self) -> float:
        """How much it has heard."""
        return self._frames / 50

    def write(self, frame: bytes) -> None:
        """Record a frame."""
        if not self._finished:
            self._frames += 1
            heard = frame if self.hears else SILENCE
            self._sink.write(heard)
            if self._recorder is not None:
                self._recorder.write(mixed(heard, self._mouth.last))

    @property
    def is_recorded(self) -> bool:
        """Whether there is a recording of both ways at present."""
        return self._recorder is not None

    def record(self, sink: "Sink | None") -> None:
        """Have what is heard and what is said written into ``sink``, too; None ends that."""
        recorder, self._recorder = self._recorder, sink
        if recorder is not None:
            recorder.close()

    def close(self) -> None:
        """Do nothing; see :meth:`finish`."""

    def finish(self) -> None:
        """Finish the recording; what comes later is not heard."""
        self._finished = True
        self._sink.close()
        self.record(None)


def mixed(one: bytes, other: bytes) -> bytes:
    """Return the sum of two frames, within the limits; an empty one is silence."""
    if not one or not other:
        return one or other or SILENCE
    pairs = zip(samples_of(one), samples_of(other), strict=False)
    samples = array.array("h", [max(-32768, min(32767, left + right)) for left, right in pairs])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
