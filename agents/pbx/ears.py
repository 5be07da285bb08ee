"""What robots speak and hear with: sound that stays when a call's connection is replaced."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.media.base import SILENCE

if TYPE_CHECKING:
    from agents.media.base import Sink, Source


class Mouth:
    """A source that outlives a media session: the call may go on in another one."""

    def __init__(self, make: Callable[[], "Source"]) -> None:
        self._make = make
        self._source = make()

    def start_over(self) -> None:
        """Begin again."""
        self._source.close()
        self._source = self._make()

    def read(self) -> bytes:
        """Return the next frame."""
        return self._source.read()

    def close(self) -> None:
        """Do nothing; see :meth:`finish`."""

    def finish(self) -> None:
        """Close the file that is played."""
        self._source.close()


class Ear:
    """A sink that outlives a media session, and counts what it heard."""

    def __init__(self, sink: "Sink") -> None:
        self._sink = sink
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
            self._sink.write(frame if self.hears else SILENCE)

    def close(self) -> None:
        """Do nothing; see :meth:`finish`."""

    def finish(self) -> None:
        """Finish the recording; what comes later is not heard."""
        self._finished = True
        self._sink.close()
