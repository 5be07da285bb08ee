import array
from itertools import count

from agents.media.base import FRAME_BYTES, SILENCE
from agents.pbx.ears import Mouth
from agents.pbx.media.mixing import mix


class Counting:
    """Says 1000, 1001 and so on."""

    made = 0

    def __init__(self) -> None:
        Counting.made += 1
        self._values = count(1000)
        self.closed = False

    def read(self) -> bytes:
        return frame_of(next(self._values))

    def close(self) -> None:
        self.closed = True


def frame_of(value: int) -> bytes:
    return array.array("h", [value] * (FRAME_BYTES // 2)).tobytes()


def test_mixing_adds_and_stays_within_the_limits() -> None:
    assert mix([frame_of(1000), frame_of(-300)]) == frame_of(700)
    assert mix([frame_of(30000), frame_of(30000)]) == frame_of(32767)
    assert mix([frame_of(-30000), frame_of(-30000)]) == frame_of(-32768)
    assert mix([frame_of(1), frame_of(2), frame_of(3)]) == frame_of(6)


def test_what_is_silent_or_no_frame_adds_nothing() -> None:
    assert mix([b"", frame_of(5), SILENCE]) == frame_of(5)
    assert mix([]) == mix([b"", SILENCE]) == mix([frame_of(5)[:-2]]) == SILENCE


def test_a_mouth_says_the_same_to_all_who_hear_it_at_one_tick_and_goes_on_at_the_next() -> None:
    mouth = Mouth(Counting)
    assert [mouth.frame(tick) for tick in (7, 7, 8)] == [frame_of(1000), frame_of(1000), frame_of(1001)]
    mouth.start_over()
    assert mouth.frame(9) == frame_of(1000)
