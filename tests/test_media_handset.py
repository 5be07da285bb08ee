"""agents.media.handset, switch and recording: what lies between a call and its devices."""

import array
import os
import threading
from collections import deque
from pathlib import Path

import pytest

from agents.media.analysis import tone_level
from agents.media.base import FRAME_BYTES, SILENCE, Sink, Source
from agents.media.files import NullSink, Silence, ToneSource, read_wav
from agents.media.handset import Handset, Volume
from agents.media.recording import WavRecording
from agents.media.switch import SwitchSink, SwitchSource
from agents.media.wav import read_format
from shared.errors import ConfigError, MediaError

from .ear_and_mouth import Ear, Mouth


def step(handset: Handset, heard: bytes = SILENCE) -> bytes:
    said = handset.say()
    handset.hear(heard)
    handset.note()
    return said


def test_volume_makes_both_directions_louder_and_softer_at_once() -> None:
    volume, ear = Volume(), Ear()
    handset = Handset(ToneSource(440), ear, volume=volume)
    assert tone_level(step(handset, ToneSource(1000).read()), 440) == pytest.approx(0.25, abs=0.03)
    volume.microphone, volume.loudspeaker = 0.5, 2.0
    assert tone_level(step(handset, ToneSource(1000).read()), 440) == pytest.approx(0.125, abs=0.02)
    assert [tone_level(frame, 1000) for frame in ear.frames] == pytest.approx([0.25, 0.5], abs=0.01)
    volume.microphone = 0
    assert step(handset) == SILENCE


def test_what_is_too_loud_is_clipped_and_does_not_wrap() -> None:
    volume, ear = Volume(), Ear()
    volume.loudspeaker = 4.0
    Handset(Silence(), ear, volume=volume).hear(array.array("h", [20000, -20000] * 480).tobytes())
    assert set(array.array("h", ear.frames[0])) == {32767, -32768}


@pytest.mark.parametrize("gain", [-0.1, 4.1, float("nan")])
def test_an_impossible_volume_is_refused(gain: float) -> None:
    volume = Volume()
    with pytest.raises(ConfigError, match=r"0 \(silent\) to 4"):
        volume.loudspeaker = gain
    assert volume.loudspeaker == 1.0


def test_levels_are_those_of_what_is_said_and_heard() -> None:
    handset = Handset(ToneSource(440), NullSink())
    assert handset.levels == (0.0, 0.0)
    step(handset, ToneSource(440, level=0.5).read())
    assert handset.levels == pytest.approx((0.177, 0.354), abs=0.03)
    handset.muted = True
    step(handset, SILENCE)
    assert handset.levels == (0.0, 0.0)


def test_a_canceller_learns_what_is_played_and_cleans_what_is_said_before_the_volume() -> None:
    class Canceller:
        def __init__(self) -> None:
            self.learned: list[bytes] = []

        def played(self, frame: bytes) -> None:
            self.learned.append(frame)

        def cancel(self, frame: bytes) -> bytes:
            return bytes(byte ^ 0xFF for byte in frame)

    canceller, ear = Canceller(), Ear()
    handset = Handset(Mouth(0xF0), ear, canceller=canceller)
    assert step(handset, b"\1" * FRAME_BYTES) == b"\x0f" * FRAME_BYTES
    handset.held = True
    assert step(handset, b"\2" * FRAME_BYTES) == SILENCE
    assert canceller.learned == ear.frames == [b"\1" * FRAME_BYTES, SILENCE]


@pytest.mark.parametrize("broken", ["played", "cancel"])
def test_a_canceller_that_fails_is_given_up_and_the_call_goes_on(broken: str) -> None:
    class Canceller:
        def played(self, frame: bytes) -> None:
            if broken == "played":
                raise RuntimeError("no")

        def cancel(self, frame: bytes) -> bytes:
            if broken == "cancel":
                raise RuntimeError("no")
            return SILENCE

    ear = Ear()
    handset = Handset(Mouth(7), ear, canceller=Canceller())
    step(handset, b"\1" * FRAME_BYTES)
    assert step(handset, b"\2" * FRAME_BYTES)[0] == 7
    assert ear.frames[1][0] == 2


# -- changing devices ------------------------------------------------------------------------------------


def test_the_old_microphone_is_heard_until_the_new_one_has_something_to_say() -> None:
    old, new = Mouth(1), Mouth(2, after=3)
    switch = SwitchSource(old)
    switch.use(new)
    assert [switch.read()[0] for _ in range(6)] == [1, 1, 1, 2, 2, 2]
    assert old.is_closed
    switch.close()
    assert new.is_closed


def test_a_microphone_that_never_says_anything_is_taken_in_the_end() -> None:
    old = Mouth(1)
    switch = SwitchSource(old)
    switch.use(Silence())
    frames = [switch.read() for _ in range(30)]
    assert frames[-1] == b""
    assert old.is_closed


def test_the_old_loudspeaker_plays_what_it_has_before_it_is_closed() -> None:
    old, new = Ear(), Ear()
    switch = SwitchSink(old)
    switch.write(b"1")
    switch.use(new)
    switch.write(b"2")
    assert (old.frames, new.frames, old.is_closed) == ([b"1"], [b"2"], False)
    for _ in range(20):
        switch.write(b"3")
    assert old.is_closed
    switch.close()
    assert new.is_closed


def test_of_two_changes_in_one_moment_the_last_one_counts_and_nothing_stays_open() -> None:
    mouths: list[Source] = [Mouth(1), Mouth(2), Mouth(3)]
    ears: list[Sink] = [Ear(), Ear(), Ear()]
    source, sink = SwitchSource(mouths[0]), SwitchSink(ears[0])
    for mouth, ear in zip(mouths[1:], ears[1:], strict=True):
        source.use(mouth)
        sink.use(ear)
    assert source.read()[0] == 3
    sink.write(SILENCE)
    assert source.inside is mouths[2]
    assert sink.inside is ears[2]
    source.close()
    sink.close()
    assert [end.is_closed for end in (*mouths, *ears)] == [True] * 6  # type: ignore[attr-defined]


def test_a_microphone_that_is_chosen_while_another_one_is_taken_is_not_lost() -> None:
    mouths = [Mouth(1), Mouth(2), Mouth(3)]
    switch = SwitchSource(mouths[0])

    class Hasty(Mouth):
        """The user, on another thread, chooses again at the very moment that this one is read."""

        def read(self) -> bytes:
            switch.use(mouths[2])
            return super().read()

    switch.use(hasty := Hasty(2))
    switch.read()
    assert switch.read()[0] == 3
    switch.close()
    assert [mouths[0].is_closed, hasty.is_closed, mouths[2].is_closed] == [True] * 3


def test_a_device_that_comes_when_the_call_is_over_is_closed() -> None:
    source, sink, mouth, ear = SwitchSource(Silence()), SwitchSink(NullSink()), Mouth(1), Ear()
    ended: list[bool] = []
    source.on_close = lambda: ended.append(True)
    source.close()
    source.close()
    sink.close()
    source.use(mouth)
    sink.use(ear)
    assert (mouth.is_closed, ear.is_closed, ended) == (True, True, [True])


# -- recording -------------------------------------------------------------------------------------------


def sides(path: Path) -> tuple[bytes, bytes]:
    data = path.read_bytes()[44:]
    samples = array.array("h", data)
    return samples[0::2].tobytes(), samples[1::2].tobytes()


def test_a_recording_has_us_on_the_left_and_the_far_end_on_the_right_without_a_gap(tmp_path: Path) -> None:
    handset, far = Handset(ToneSource(440), NullSink()), ToneSource(1000)
    recording = WavRecording(tmp_path / "call.wav")
    handset.record(recording)
    said = [step(handset, far.read()) for _ in range(130)]
    handset.record(None)
    assert recording.wait(5)

    left, right = sides(tmp_path / "call.wav")
    assert left == b"".join(said)
    assert tone_level(right, 1000) == pytest.approx(0.25, abs=0.01)
    assert recording.seconds == pytest.approx(2.6)
    assert recording.problem == ""
    with (tmp_path / "call.wav").open("rb") as file:
        assert read_format(file, tmp_path).channels == 2
    assert (tmp_path / "call.wav").stat().st_mode & 0o077 == 0


def test_a_mixed_recording_has_both_in_one(tmp_path: Path) -> None:
    recording = WavRecording(tmp_path / "call.wav", stereo=False)
    ours, theirs = ToneSource(440), ToneSource(1000)
    for _ in range(50):
        recording.write(ours.read(), theirs.read())
    recording.close()
    assert recording.wait(5)
    heard = read_wav(tmp_path / "call.wav")
    assert len(heard) == 50 * FRAME_BYTES
    assert tone_level(heard, 440) == pytest.approx(0.25, abs=0.01)
    assert tone_level(heard, 1000) == pytest.approx(0.25, abs=0.01)


def test_a_recording_keeps_its_place_in_time_when_the_process_stood_still(tmp_path: Path) -> None:
    handset = Handset(Mouth(1), NullSink())
    recording = WavRecording(tmp_path / "call.wav")
    handset.record(recording)
    step(handset)
    handset.skip(50)
    step(handset)
    handset.close()
    assert recording.wait(5)
    assert recording.seconds == pytest.approx(1.04)


def test_a_recording_that_begins_as_the_call_ends_is_whole(tmp_path: Path) -> None:
    handset = Handset(Silence(), NullSink())
    handset.close()
    handset.record(recording := WavRecording(tmp_path / "call.wav"))
    assert recording.wait(5)


def test_a_recording_that_another_thread_begins_at_any_moment_does_not_end_the_call(tmp_path: Path) -> None:
    class Nosy(deque[bytes]):
        """Lets the other thread in where this one has just looked."""

        def __bool__(self) -> bool:
            is_there = len(self) > 0
            handset.record(second)
            return is_there

    first, second = WavRecording(tmp_path / "1.wav"), WavRecording(tmp_path / "2.wav")
    handset = Handset(Silence(), NullSink())
    handset.record(first)
    handset._unrecorded = Nosy()
    step(handset)
    step(handset)
    handset.close()
    assert first.wait(5)
    assert second.wait(5)


def test_a_recording_ends_at_its_longest_time_and_says_so(tmp_path: Path) -> None:
    ended = threading.Event()
    recording = WavRecording(tmp_path / "call.wav", longest=0.5, on_end=ended.set)
    for _ in range(60):
        recording.write(SILENCE, SILENCE)
    assert ended.wait(5)
    assert recording.seconds == pytest.approx(0.5)
    assert recording.problem == "its longest time is reached"


def test_a_disk_that_is_too_slow_ends_a_recording_whole_up_to_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    write = os.pwrite

    def slow(fd: int, data: bytes, at: int) -> int:
        assert go_on.wait(10)
        return write(fd, data, at)

    recording = WavRecording(tmp_path / "call.wav")
    monkeypatch.setattr(os, "pwrite", slow)
    for _ in range(700):
        recording.write(SILENCE, SILENCE)
    go_on.set()
    assert recording.wait(5)
    assert recording.problem == "the disk is too slow"
    assert recording.seconds == pytest.approx(10.0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' /dev/full")
def test_a_full_disk_ends_the_recording_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "call.wav").symlink_to("/dev/full")
    ended = threading.Event()
    recording = WavRecording(tmp_path / "call.wav", on_end=ended.set)
    assert ended.wait(5)
    assert "No space left" in recording.problem


def test_a_recording_that_cannot_be_made_is_refused_with_the_cause(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="No such file or directory"):
        WavRecording(tmp_path / "no" / "call.wav")
