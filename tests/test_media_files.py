"""agents.media.files and wav: sound without hardware."""

import array
import itertools
import math
import struct
from pathlib import Path

import pytest

from agents.media.analysis import find_tone, rms_level, tone_level
from agents.media.base import FRAME_BYTES, RATE_HZ
from agents.media.files import NullSink, Silence, ToneSource, WavSink, WavSource, read_wav
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


def test_a_recording_is_readable_at_any_time_although_nobody_closed_it(tmp_path: Path) -> None:
    sink, frame = WavSink(tmp_path / "out.wav"), ToneSource(500).read()
    assert read_wav(tmp_path / "out.wav") == b""
    for _ in range(110):
        sink.write(frame)

    assert read_wav(tmp_path / "out.wav") == frame * 100
    sink.close()
    assert read_wav(tmp_path / "out.wav") == frame * 110


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
