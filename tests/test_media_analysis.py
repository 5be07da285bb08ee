"""agents.media.analysis: proof that a sound arrived, and that another one did not."""

import array
import random

import pytest

from agents.media.analysis import find_tone, find_tones, rms_level, similarity, tone_level
from agents.media.files import ToneSource, read_wav
from agents.media.specs import FAREWELL, FAREWELL_TONES_HZ, GREETING, GREETING_TONES_HZ


def seconds_of_silence(seconds: float) -> bytes:
    return bytes(int(seconds * 48000) * 2)


def tone(hz: float, seconds: float) -> bytes:
    source = ToneSource(hz)
    return b"".join(source.read() for _ in range(round(seconds * 50)))


def spoil(pcm: bytes, *, gain: float, noise: int, seed: int = 1) -> bytes:
    chance = random.Random(seed)
    samples = array.array("h", pcm)
    return array.array("h", (round(s * gain) + chance.randint(-noise, noise) for s in samples)).tobytes()


def test_a_tone_is_measured_where_it_is_and_nowhere_else() -> None:
    pcm = tone(941, 0.5)

    assert tone_level(pcm, 941) == pytest.approx(0.25, abs=0.01)
    assert tone_level(pcm, 1336) < 0.01
    assert rms_level(pcm) == pytest.approx(0.25 / 2**0.5, abs=0.01)


def test_a_tone_is_found_at_its_beginning() -> None:
    pcm = seconds_of_silence(0.5) + tone(697, 0.2) + seconds_of_silence(0.2) + tone(941, 0.2)

    assert find_tone(pcm, 697) == pytest.approx(0.5, abs=0.021)
    assert find_tone(pcm, 941) == pytest.approx(0.9, abs=0.021)
    assert find_tone(pcm, 697, after=0.7) is None
    assert find_tone(pcm, 697, seconds=0.3) is None


def test_each_shipped_sound_has_its_own_tones_before_and_after_its_speech() -> None:
    every = GREETING_TONES_HZ + FAREWELL_TONES_HZ
    for path, own in [(GREETING, GREETING_TONES_HZ), (FAREWELL, FAREWELL_TONES_HZ)]:
        pcm = read_wav(path)
        found = find_tones(pcm, every)
        before, after = (found.pop(hz) for hz in own)
        assert before is not None
        assert before < 0.1
        assert after is not None
        assert after > len(pcm) / 96000 - 0.5
        assert set(found.values()) == {None}


def test_the_same_speech_later_quieter_and_in_noise_is_recognised_with_its_delay() -> None:
    speech = read_wav(GREETING)
    received = spoil(seconds_of_silence(0.73) + speech + seconds_of_silence(0.4), gain=0.3, noise=60)

    score, delay = similarity(speech, received)
    assert score > 0.9
    assert delay == pytest.approx(0.73, abs=0.02)


def test_other_speech_silence_noise_and_half_of_it_are_not_taken_for_it() -> None:
    greeting, farewell = read_wav(GREETING), read_wav(FAREWELL)

    assert similarity(greeting, farewell).score < 0.6
    assert similarity(farewell, greeting).score < 0.6
    assert similarity(greeting, seconds_of_silence(5)).score < 0.1
    assert similarity(greeting, spoil(seconds_of_silence(5), gain=1, noise=2000)).score < 0.3
    assert similarity(greeting, greeting[: len(greeting) // 4 * 2]).score < 0.75


def test_nothing_resembles_nothing() -> None:
    assert similarity(b"", read_wav(GREETING)) == (0.0, 0.0)
    assert similarity(read_wav(GREETING), b"").score == 0.0
