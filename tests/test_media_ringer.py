"""agents.media.ringer: a window rings on its own device."""

import threading
from pathlib import Path
from typing import Any

from agents.media.analysis import find_tone, rms_level, tone_level
from agents.media.base import SILENCE, Sink
from agents.media.ringer import RING_HZ, Ringer, RingTone
from shared.errors import MediaError

from .ear_and_mouth import Ear


def test_the_bell_rings_two_seconds_and_is_silent_for_four() -> None:
    bell = RingTone()
    pcm = b"".join(bell.read() or SILENCE for _ in range(450))
    rings = [rms_level(pcm[second * 96000 : (second + 1) * 96000]) > 0.05 for second in range(9)]
    assert rings == [True, True, False, False, False, False, True, True, False]
    assert [round(tone_level(pcm[:96000], hz), 2) for hz in RING_HZ] == [0.1, 0.1]


def test_a_ringer_rings_where_it_is_told_to_until_it_is_stopped(tmp_path: Path) -> None:
    class Bell(Ear):
        def __init__(self) -> None:
            super().__init__()
            self.has_rung, self.has_ended = threading.Event(), threading.Event()

        def write(self, frame: bytes) -> None:
            super().write(frame)
            if len(self.frames) == 10:
                self.has_rung.set()

        def close(self) -> None:
            super().close()
            self.has_ended.set()

    bells: list[Bell] = []

    def make() -> Bell:
        bells.append(Bell())
        return bells[-1]

    ringer = Ringer(make)
    ringer.ring(False)
    ringer.ring(True)
    ringer.ring(True)
    assert _wait_for(bells).has_rung.wait(5)
    ringer.ring(False)
    assert bells[0].has_ended.wait(5)
    assert len(bells) == 1
    assert find_tone(b"".join(bells[0].frames), RING_HZ[0]) is None  # two tones at once are not one


def _wait_for(bells: list[Any]) -> Any:
    for _ in range(500):
        if bells:
            return bells[0]
        threading.Event().wait(0.01)
    raise AssertionError("it never rang")


def test_a_ringer_without_a_device_is_silent_and_harms_nobody() -> None:
    tried = threading.Event()

    def fails() -> Sink:
        tried.set()
        raise MediaError("busy")

    ringer = Ringer(fails)
    ringer.ring(True)
    assert tried.wait(5)
    ringer.ring(False)
