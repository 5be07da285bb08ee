from pathlib import Path

import pytest

from agents.media.analysis import find_tone, similarity
from agents.media.files import read_wav
from agents.pbx.replies import MENU, read_reply, spoken

PHRASES = MENU.parent / "replies"


@pytest.mark.parametrize(
    ("body", "words", "phrases"),
    [
        ({"RepTp": "0", "Bdy": "On my way"}, "a text", ("text",)),
        (
            {"RepTp": "1", "Dir": "0", "Vl": "15", "Units": "0"},
            "call back in 15 minutes, to the caller",
            ("call-you-back-to", "1", "5", "minutes"),
        ),
        (
            {"RepTp": "1", "Dir": "1", "Vl": "2", "Units": "2"},
            "call back in 2 days, from the caller",
            ("call-you-back-from", "2", "days"),
        ),
        ({"RepTp": "2"}, "on my way", ("on-my-way",)),
        ({"RepTp": "3"}, "other line", ("other-line",)),
        ({"RepTp": "4", "Dir": "1"}, "call later, from the caller", ("later-from",)),
        ({"RepTp": "5"}, "meeting", ("meeting",)),
        ({"RepTp": "6"}, "other line no call", ("other-line-no-call",)),
        ({"RepTp": "1", "Dir": "0", "Vl": "99999", "Units": "0"}, "a text", ("text",)),
        ({"RepTp": "1", "Dir": "0", "Vl": "../..", "Units": "0"}, "a text", ("text",)),
        ({"RepTp": "1", "Dir": "2", "Vl": "1", "Units": "0"}, "a text", ("text",)),
        ({"RepTp": "4"}, "a text", ("text",)),
        ({"RepTp": "77"}, "a text", ("text",)),
        ({}, "a text", ("text",)),
    ],
)
def test_each_type_of_reply_says_its_own(body: dict[str, str], words: str, phrases: tuple[str, ...]) -> None:
    reply = read_reply(body)
    assert (reply.words, reply.phrases) == (words, phrases)


def test_a_reply_is_spoken_before_the_menu(tmp_path: Path) -> None:
    path = spoken(read_reply({"RepTp": "1", "Dir": "0", "Vl": "15", "Units": "1"}), tmp_path / "replies")
    said = read_wav(path)
    assert path.stat().st_mode & 0o777 == 0o600
    found = [similarity(read_wav(PHRASES / f"{name}.wav"), said) for name in ("call-you-back-to", "hours")]
    assert all(one.score > 0.9 for one in found)
    at = [one.delay for one in found]
    menu = find_tone(said, 1050)
    assert menu is not None
    assert at[0] < at[1] < menu


def test_of_a_text_the_caller_hears_that_there_is_one(tmp_path: Path) -> None:
    said = read_wav(spoken(read_reply({"RepTp": "0", "Bdy": "On my way"}), tmp_path / "replies"))
    found = similarity(read_wav(PHRASES / "text.wav"), said)
    menu = find_tone(said, 1050)
    assert found.score > 0.9
    assert menu is not None
    assert found.delay < menu


def test_the_files_are_bounded(tmp_path: Path) -> None:
    for delay in range(40):
        spoken(read_reply({"RepTp": "1", "Dir": "0", "Vl": str(delay), "Units": "0"}), tmp_path)
    assert len(list(tmp_path.glob("*.wav"))) == 32
