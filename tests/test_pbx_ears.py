import array

from agents.media.base import FRAME_BYTES, SILENCE
from agents.pbx.ears import Ear, Mouth, mixed


class Recording:
    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed = False

    def read(self) -> bytes:
        return frame_of(1000)

    def write(self, frame: bytes) -> None:
        self.frames.append(frame)

    def close(self) -> None:
        self.closed = True


def frame_of(value: int) -> bytes:
    return array.array("h", [value] * (FRAME_BYTES // 2)).tobytes()


def test_mixing_adds_and_stays_within_the_limits() -> None:
    assert mixed(frame_of(1000), frame_of(-300)) == frame_of(700)
    assert mixed(frame_of(30000), frame_of(30000)) == frame_of(32767)
    assert mixed(frame_of(-30000), frame_of(-30000)) == frame_of(-32768)
    assert mixed(b"", frame_of(5)) == frame_of(5)
    assert mixed(b"", b"") == SILENCE


def test_a_recording_has_what_is_said_and_what_is_heard_while_it_runs() -> None:
    own, both = Recording(), Recording()
    mouth = Mouth(Recording)
    ear = Ear(own, mouth)
    ear.record(both)
    mouth.read()
    ear.write(frame_of(20))
    ear.hears = False
    ear.write(frame_of(20))
    ear.record(None)
    ear.write(frame_of(20))

    assert own.frames == [frame_of(20), SILENCE, SILENCE]
    assert both.frames == [frame_of(1020), frame_of(1000)]
    assert both.closed
    assert not own.closed


def test_the_end_of_the_call_is_that_of_its_recording() -> None:
    both = Recording()
    ear = Ear(Recording(), Mouth(Recording))
    ear.record(both)
    ear.finish()
    assert both.closed
    assert not ear.is_recorded
