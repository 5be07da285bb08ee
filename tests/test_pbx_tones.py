"""The service's own sounds are what their documentation says."""

import pytest

from agents.media.analysis import find_tone, tone_level
from agents.pbx.media.tones import (
    MUSIC_HZ,
    PROMPT_HZ,
    REFUSAL_HZ,
    RINGBACK_HZ,
    Loop,
    music,
    prompt,
    refusal,
    ringback,
)


def heard(loop: Loop, seconds: float, start: float = 0.0) -> bytes:
    return b"".join(loop.frame(tick) for tick in range(round(start * 50), round((start + seconds) * 50)))


def test_music_plays_three_notes_one_after_the_other_and_begins_again() -> None:
    low, middle, high = MUSIC_HZ
    sound = heard(music(), 4.0)
    found = [
        find_tone(sound, hz, seconds=0.3, after=after)
        for hz, after in zip((low, middle, high, middle, low), (0.0, 0.4, 0.9, 1.4, 1.9), strict=True)
    ]
    assert [at is not None and abs(at - 0.5 * index) < 0.1 for index, at in enumerate(found)] == [True] * 5


@pytest.mark.parametrize(
    ("loop", "hertz", "sounds"),
    [(ringback, RINGBACK_HZ, 2.0), (prompt, PROMPT_HZ, 1.0), (refusal, REFUSAL_HZ, 0.5)],
)
def test_the_others_are_two_tones_together(loop: object, hertz: tuple[float, float], sounds: float) -> None:
    assert callable(loop)
    sound = heard(loop(), sounds)
    assert all(0.1 < tone_level(sound, hz) < 0.2 for hz in hertz)


def test_ringback_is_silent_for_four_seconds_of_six() -> None:
    assert not any(heard(ringback(), 4.0, start=2.0))
    assert any(heard(ringback(), 1.0, start=6.0))
