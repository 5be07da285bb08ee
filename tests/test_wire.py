"""What the phone writes, to the letter: each frame stands in ``wire/``, one file a frame.

To change one on purpose, run this file as a program (``python -m tests.test_wire``) and read the difference.
"""

import pytest

from .frames import FRAMES, WIRE, read_frame


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_is_written_to_the_letter(name: str) -> None:
    assert FRAMES[name] == read_frame(name)


def test_every_golden_message_is_in_use() -> None:
    received = {"inbound-invite", "already-processed"}
    assert {path.stem for path in WIRE.glob("*.txt")} == received | set(FRAMES)


if __name__ == "__main__":
    for name, frame in FRAMES.items():
        (WIRE / f"{name}.txt").write_text(frame.replace("\r\n", "\n"), "utf-8")
