"""What the demo takes for speech that arrived, and for silence."""

import asyncio
from pathlib import Path

import pytest

from agents.media.files import WavSink, read_wav
from agents.media.specs import FAREWELL, FAREWELL_TONES_HZ, GREETING, GREETING_TONES_HZ
from agents.pbx.media.tones import music
from coordinator.demo import hearing
from coordinator.demo.checks import NotObserved

SECOND = 96_000  # bytes


def silence(seconds: float) -> bytes:
    return bytes(int(seconds * 48_000) * 2)


def record(path: Path, pcm: bytes) -> Path:
    sink = WavSink(path)
    sink.write(pcm)
    sink.close()
    return path


def test_a_text_is_heard_in_a_recording_of_itself_with_both_its_tones() -> None:
    greeting = read_wav(GREETING)
    heard = hearing.hear(greeting, silence(0.5) + greeting, GREETING_TONES_HZ)
    assert heard.is_same
    assert "941 and 1336 Hz found" in str(heard)


def test_another_text_is_not_taken_for_it() -> None:
    heard = hearing.hear(read_wav(GREETING), read_wav(FAREWELL), GREETING_TONES_HZ)
    assert not heard.is_same
    assert "no marker tone 941 Hz" in str(heard)


def test_a_text_without_its_end_is_not_the_whole_text() -> None:
    greeting = read_wav(GREETING)
    assert not hearing.hear(greeting, greeting[: -SECOND // 2], GREETING_TONES_HZ).is_same


def test_a_text_of_which_later_parts_come_a_little_later_is_still_that_text() -> None:
    greeting = read_wav(GREETING)
    moved = greeting[: SECOND * 2] + silence(0.04) + greeting[SECOND * 2 :]
    assert hearing.compare(greeting, moved).is_same


def test_a_text_with_a_gap_of_half_a_second_is_not() -> None:
    greeting = read_wav(GREETING)
    gap = greeting[:SECOND] + silence(0.5) + greeting[SECOND * 3 // 2 :]
    assert not hearing.compare(greeting, gap).is_same


def test_a_part_from_the_middle_of_a_text_said_again_and_again_fits_into_it() -> None:
    greeting, farewell = read_wav(GREETING), read_wav(FAREWELL)
    part = hearing.between(greeting + greeting, 3.0, 6.0)
    assert hearing.hear_part(greeting, part).mean > 0.95
    assert not hearing.hear_part(farewell, part).is_same


@pytest.mark.parametrize("begin", [0.0, 1.0, 2.0, 3.0, 3.6])
def test_no_part_of_one_text_is_taken_for_the_other(begin: float) -> None:
    greeting, farewell = read_wav(GREETING), read_wav(FAREWELL)
    for one, other in ((greeting, farewell), (farewell, greeting)):
        part = hearing.between(one + one, begin, begin + hearing.PART_SECONDS)
        assert hearing.hear_part(one, part).is_same
        assert not hearing.hear_part(other, part).is_same


@pytest.mark.parametrize("begin", [0, 7, 13, 24, 90])
def test_music_is_recognised_wherever_it_begins(begin: int) -> None:
    assert hearing.is_music(b"".join(music().frame(begin + tick) for tick in range(75)))


def test_a_gap_speech_silence_and_nothing_at_all_are_no_music() -> None:
    played = b"".join(music().frame(tick) for tick in range(75))
    assert not hearing.is_music(played[: SECOND // 2] + silence(0.3) + played)
    assert not hearing.is_music(read_wav(GREETING))
    assert not hearing.is_music(silence(1.5))
    assert not hearing.is_music(b"")


def test_a_recording_that_never_grows_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NotObserved, match=r"0\.0 s of sound instead of 2\.0 s"):
        asyncio.run(hearing.recorded(tmp_path / "nothing.wav", 2.0, within=0.0))


def test_a_recording_of_another_text_is_reported_with_its_score(tmp_path: Path) -> None:
    path = record(tmp_path / "far.wav", read_wav(GREETING) + silence(2))
    with pytest.raises(NotObserved, match=r"farewell\.wav is not heard in far\.wav: similarity 0\."):
        asyncio.run(hearing.heard_text(FAREWELL, path, within=0.0))


def test_a_recording_of_the_text_is_accepted(tmp_path: Path) -> None:
    path = record(tmp_path / "far.wav", read_wav(FAREWELL) + silence(1))
    heard = asyncio.run(hearing.heard_text(FAREWELL, path, within=0.0))
    assert set(heard.tones) == set(FAREWELL_TONES_HZ)


def test_a_recording_that_is_silent_where_one_looks_is_not_the_text(tmp_path: Path) -> None:
    path = record(tmp_path / "far.wav", read_wav(GREETING) + silence(5))
    with pytest.raises(NotObserved, match=r"greeting\.wav is not heard in far\.wav"):
        asyncio.run(hearing.heard_part(GREETING, path, 5.0, within=0.4))


def test_the_first_piece_without_a_gap_is_the_one_that_counts(tmp_path: Path) -> None:
    greeting = read_wav(GREETING)
    path = record(tmp_path / "far.wav", silence(1) + greeting[SECOND:] + greeting)
    part = asyncio.run(hearing.heard_part(GREETING, path, 0.0, within=2.0))
    assert part.begin in {0.5, 1.0}
    assert part.likeness.is_same
