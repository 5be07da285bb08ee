"""What robots speak and hear with, at the board of the service."""

from collections.abc import Callable

from agents.media.base import Sink, Source

from .media.board import Board
from .media.mixing import mix
from .media.voices import Voice


class Mouth:
    """A source that can begin again, and that all who hear it share."""

    def __init__(self, make: Callable[[], Source]) -> None:
        self._make = make
        self._source = make()
        self._frame, self._framed_at = b"", -1

    def start_over(self) -> None:
        """Begin again."""
        self._source.close()
        self._source = self._make()

    def frame(self, tick: int) -> bytes:
        """Return the frame of a tick. It goes on only as long as somebody hears it."""
        if tick != self._framed_at:
            self._frame, self._framed_at = self._source.read(), tick
        return self._frame

    def close(self) -> None:
        """Close the file that is played."""
        self._source.close()


class Head:
    """A robot's mouth and ears: a party of a room.

    Args:
        board: Whose clock it follows.
        make: Opens what it says.
        sink: Where what it hears goes.
        pressed: Told the keys that others press.
    """

    def __init__(
        self, board: Board, make: Callable[[], Source], sink: Sink, pressed: Callable[[str], None]
    ) -> None:
        self._board, self._sink, self._pressed = board, sink, pressed
        self.mouth = Mouth(make)
        self._hears: tuple[Voice, ...] = ()
        self._frames = 0

    @property
    def seconds(self) -> float:
        """How much it has heard."""
        return self._frames / 50

    def listen(self) -> None:
        """Hear, and write it down, from now on; harmless twice."""
        self._board.add(self)

    def hear(self, voices: tuple[Voice, ...]) -> None:
        """Hear these from now on."""
        self._hears = voices

    def press(self, key: str, by: Voice) -> None:
        """Take a key."""
        self._pressed(key)

    def frame(self, tick: int) -> bytes:
        """Return what it says."""
        return self.mouth.frame(tick)

    def step(self, tick: int) -> None:
        """Write down what it hears at this tick; silence, too: the recording keeps its place in time."""
        self._frames += 1
        self._sink.write(mix(voice.frame(tick) for voice in self._hears))

    def close(self) -> None:
        """Fall silent and finish the recording; harmless twice."""
        self._board.remove(self)
        self._hears = ()
        self.mouth.close()
        self._sink.close()
