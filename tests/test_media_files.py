"""agents.media.files and wav: sound without hardware."""

import array
import errno
import itertools
import math
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic

import pytest

from agents.media.analysis import find_tone, rms_level, tone_level
from agents.media.base import FRAME_BYTES, RATE_HZ
from agents.media.files import NullSink, Silence, ToneSource, WavFile, WavSink, WavSource, read_wav
from agents.media.wav import write_header
from shared.errors import MediaError


def write_wav(
    path: Path, *, rate_hz: int, channels: int, bits: int, seconds: float = 0.5, code: int = 1
) -> Path:
    """Write 440 Hz at half scale, the plainest way there is."""
    values = [math.sin(2 * math.pi * 440 * i / rate_hz) / 2 for i in range(int(rate_hz * seconds))]
    full = {8: 127, 16: 32767, 24: 8388607, 32: 2**31 - 1}[bits]

    def encode(value: float) -> bytes:
        if code == 3:
            return struct.pack("<f", value)
        if bits == 8:
            return bytes([round(value * full) + 128])
        return round(value * full).to_bytes(bits // 8, "little", signed=True)

    data = b"".join(encode(value) * channels for value in values)
    fmt = struct.pack(
        "<HHIIHH", code, channels, rate_hz, rate_hz * channels * bits // 8, channels * bits // 8, bits
    )
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"LIST\x03\0\0\0abc\0" + b"data"
    path.write_bytes(
        b"RIFF" + struct.pack("<I", len(data) + 100) + body + struct.pack("<I", len(data)) + data
    )
    return path


def read_all(source: WavSource) -> bytes:
    frames = []
    while not source.ended:
        frames.append(source.read())
    source.close()
    return b"".join(frames)


@pytest.mark.parametrize(
    ("rate_hz", "channels", "bits", "code"),
    [
        (48000, 1, 16, 1),
        (8000, 1, 8, 1),
        (16000, 1, 16, 1),
        (22050, 1, 32, 3),
        (44100, 2, 16, 1),
        (44100, 2, 24, 1),
        (96000, 2, 32, 1),
    ],
)
def test_a_wav_of_any_kind_becomes_48_khz_mono_at_the_same_pitch_level_and_length(
    tmp_path: Path, rate_hz: int, channels: int, bits: int, code: int
) -> None:
    path = write_wav(tmp_path / "in.wav", rate_hz=rate_hz, channels=channels, bits=bits, code=code)

    pcm = read_wav(path)
    assert len(pcm) == pytest.approx(RATE_HZ * 2 * 0.5, abs=2 * FRAME_BYTES)
    assert tone_level(pcm[9600:38400], 440) == pytest.approx(0.5, abs=0.02)


def test_frames_are_whole_and_the_last_one_is_filled_with_silence(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "in.wav", rate_hz=48000, channels=1, bits=16, seconds=0.05)

    ended: list[bool] = []
    source = WavSource(path, on_end=lambda: ended.append(True))
    frames = [source.read() for _ in range(5)]
    assert [len(frame) for frame in frames] == [FRAME_BYTES, FRAME_BYTES, FRAME_BYTES, 0, 0]
    assert frames[2][FRAME_BYTES // 2 :] == bytes(FRAME_BYTES // 2)
    assert (source.ended, ended) == (True, [True])
    source.close()


@pytest.mark.parametrize("rate_hz", [48000, 16000])
def test_a_loop_begins_again_and_never_ends(tmp_path: Path, rate_hz: int) -> None:
    path = write_wav(tmp_path / "in.wav", rate_hz=rate_hz, channels=1, bits=16, seconds=0.1)

    source = WavSource(path, loop=True)
    pcm = b"".join(source.read() for _ in range(50))
    assert len(pcm) == 50 * FRAME_BYTES
    assert tone_level(pcm, 440) > 0.4
    assert not source.ended
    source.close()


def test_what_is_no_sound_file_is_refused_with_cause_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(b"ID3" + bytes(100))
    write_wav(tmp_path / "law.wav", rate_hz=8000, channels=1, bits=8, code=7)
    (tmp_path / "cut.wav").write_bytes(write_header(100, RATE_HZ)[:30])

    for name, cause in [("song.mp3", "no WAV file"), ("law.wav", "format 7"), ("cut.wav", "no usable WAV")]:
        with pytest.raises(MediaError, match=cause):
            WavSource(tmp_path / name)
    with pytest.raises(MediaError, match="No such file"):
        WavSource(tmp_path / "missing.wav")


def test_a_recording_is_what_was_written(tmp_path: Path) -> None:
    tone, sink = ToneSource(1000), WavSink(tmp_path / "sub" / "out.wav")
    written = b"".join(tone.read() for _ in range(30))
    for start in range(0, len(written), FRAME_BYTES):
        sink.write(written[start : start + FRAME_BYTES])
    sink.close()
    sink.close()

    assert read_wav(tmp_path / "sub" / "out.wav") == written
    assert sink.seconds == pytest.approx(0.6)


def test_a_recording_is_readable_at_any_time_although_nobody_closed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, frame, write = tmp_path / "out.wav", ToneSource(500).read(), os.pwrite
    found: list[bytes] = []
    has_all = threading.Event()

    def write_and_read(fd: int, data: bytes, at: int) -> int:
        written = write(fd, data, at)
        found.append(read_wav(path))
        if len(found[-1]) >= 100 * FRAME_BYTES:
            has_all.set()
        return written

    sink = WavSink(path)
    assert read_wav(path) == b""
    monkeypatch.setattr(os, "pwrite", write_and_read)
    for _ in range(110):
        sink.write(frame)

    assert has_all.wait(5)
    assert all(pcm == frame * (len(pcm) // FRAME_BYTES) for pcm in found)
    sink.close()
    assert sink.wait(5)
    assert read_wav(path) == frame * 110


class SlowDisk:
    """Holds up whoever reads or writes, until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_asked, self._goes_on = threading.Event(), threading.Event()
        self._write, self._next = os.pwrite, WavFile.next
        monkeypatch.setattr(os, "pwrite", self._pwrite)
        monkeypatch.setattr(WavFile, "next", lambda file: self._wait() and self._next(file))

    def go_on(self) -> None:
        self._goes_on.set()

    def _pwrite(self, fd: int, data: bytes, at: int) -> int:
        self._wait()
        return self._write(fd, data, at)

    def _wait(self) -> bool:
        if self._goes_on.is_set():
            return True
        assert threading.current_thread() is not threading.main_thread(), "the sound of all calls waits"
        self.is_asked.set()
        return self._goes_on.wait(10)


def test_a_disk_that_is_too_slow_leaves_silence_in_its_place_and_the_rest_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, tone = WavSink(tmp_path / "out.wav"), ToneSource(1000)
    disk = SlowDisk(monkeypatch)
    frames = [tone.read() for _ in range(50)] * 13
    for frame in frames[:50]:
        sink.write(frame)
    assert disk.is_asked.wait(5)
    for frame in frames[50:]:
        sink.write(frame)
    lost = sink.lost_frames
    assert 100 <= lost <= 150  # ten seconds fit, and what was taken before
    disk.go_on()
    sink.close()
    assert sink.wait(5)

    heard = read_wav(tmp_path / "out.wav")
    kept = len(frames) - lost
    assert sink.seconds == 13.0
    assert len(heard) == 650 * FRAME_BYTES
    assert heard[: kept * FRAME_BYTES] == b"".join(frames[:kept])
    assert heard[kept * FRAME_BYTES :] == bytes(lost * FRAME_BYTES)


def test_a_recording_goes_on_at_its_place_in_time_when_the_disk_has_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, frame = WavSink(tmp_path / "out.wav"), ToneSource(1000).read()
    disk = SlowDisk(monkeypatch)
    for _ in range(25):
        sink.write(frame)
    assert disk.is_asked.wait(5)
    while not sink.lost_frames:
        sink.write(bytes(FRAME_BYTES))
    before = round(sink.seconds * 50)
    disk.go_on()
    lost = 0
    while lost != sink.lost_frames:  # until there is room
        lost = sink.lost_frames
        sink.write(frame)
    sink.close()
    assert sink.wait(5)

    heard = read_wav(tmp_path / "out.wav")
    assert round(sink.seconds * 50) == before + lost
    assert len(heard) == (before + lost) * FRAME_BYTES
    assert heard[-FRAME_BYTES:] == frame
    assert heard[(before - 1) * FRAME_BYTES : -FRAME_BYTES] == bytes(lost * FRAME_BYTES)


def test_the_end_of_a_recording_does_not_wait_for_a_disk_that_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, frame = WavSink(tmp_path / "out.wav"), ToneSource(1000).read()
    disk = SlowDisk(monkeypatch)
    sink.write(frame)

    began = monotonic()
    sink.close()
    assert monotonic() - began < 1.0
    assert not sink.wait(0)
    disk.go_on()
    assert sink.wait(5)
    assert read_wav(tmp_path / "out.wav") == frame


def test_a_recording_is_whole_when_the_process_ends_without_closing_it(tmp_path: Path) -> None:
    program = (
        "import sys; from agents.media.files import WavSink\n"
        "sink = WavSink(sys.argv[1])\n"
        "for _ in range(60): sink.write(bytes([1]) * 1920)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "out.wav")], check=True, timeout=20)

    assert read_wav(tmp_path / "out.wav") == bytes([1]) * 60 * FRAME_BYTES


def test_a_disk_that_is_too_slow_delays_a_file_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_wav(tmp_path / "in.wav", rate_hz=48000, channels=1, bits=16, seconds=1.5)
    ended = threading.Event()
    whole, source = read_wav(path), WavSource(path, on_end=ended.set)
    disk = SlowDisk(monkeypatch)
    frames = [source.read() for _ in range(60)]
    assert frames[49]
    assert frames[50:] == [b""] * 10
    assert source.late_frames == 10
    disk.go_on()
    while not source.ended:
        frames.append(source.read())

    assert b"".join(frames) == whole
    assert ended.is_set()
    source.close()


def test_a_file_that_is_closed_while_it_is_read_is_closed_when_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_wav(tmp_path / "in.wav", rate_hz=48000, channels=1, bits=16, seconds=3)
    closed = threading.Event()
    close = WavFile.close

    def closing(file: WavFile) -> None:
        close(file)
        closed.set()

    monkeypatch.setattr(WavFile, "close", closing)
    source, disk = WavSource(path), SlowDisk(monkeypatch)
    while source.read():
        pass
    assert disk.is_asked.wait(5)
    source.close()
    assert not closed.is_set()
    disk.go_on()
    assert closed.wait(5)
    assert source.read() == b""


def test_a_recording_is_private(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "out.wav")
    sink.close()

    assert (tmp_path / "out.wav").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' /dev/full")
def test_a_full_disk_ends_the_recording_not_the_call(tmp_path: Path) -> None:
    (tmp_path / "out.wav").symlink_to("/dev/full")
    sink = WavSink(tmp_path / "out.wav")
    for _ in range(100):
        sink.write(bytes(FRAME_BYTES))
    sink.close()
    assert sink.wait(5)
    assert sink._writer.problem == os.strerror(errno.ENOSPC)
    recorded = sink.seconds
    sink.write(bytes(FRAME_BYTES))
    assert sink.seconds == recorded


def test_a_recording_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(MediaError, match="cannot record to"):
        WavSink(tmp_path / "file" / "out.wav")


def test_a_header_with_the_size_left_open_means_the_rest_of_the_file(tmp_path: Path) -> None:
    pcm = ToneSource(700).read() * 5
    for size in (0, 0xFFFFFFFF):
        header = write_header(0, RATE_HZ)[:-4] + size.to_bytes(4, "little")
        (tmp_path / "piped.wav").write_bytes(header + pcm)
        assert read_wav(tmp_path / "piped.wav") == pcm


def test_a_tone_goes_on_without_a_click_at_its_level() -> None:
    source = ToneSource(941)
    pcm = b"".join(source.read() for _ in range(120))

    samples = array.array("h", pcm)
    assert max(abs(b - a) for a, b in itertools.pairwise(samples)) < 1100
    assert tone_level(pcm, 941) == pytest.approx(0.25, abs=0.01)
    assert find_tone(pcm, 941, seconds=2.3) == 0.0


def test_a_tone_that_nobody_hears_is_refused() -> None:
    with pytest.raises(MediaError, match="30000 Hz"):
        ToneSource(30000)


def test_silence_gives_nothing_and_nowhere_takes_all() -> None:
    assert Silence().read() == b""
    NullSink().write(bytes(FRAME_BYTES))
    assert rms_level(bytes(FRAME_BYTES)) == 0.0
