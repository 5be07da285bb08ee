"""What waits at a sound device: as little as it can be, and more for a while after it was too little."""

from agents.media.base import FRAME_BYTES, SILENCE
from agents.media.queues import BLOCK_BYTES, CaptureQueue, PlaybackQueue, Slack


def block(number: int) -> bytes:
    return bytes([number % 255 + 1]) * BLOCK_BYTES


def frame(number: int) -> bytes:
    return bytes([number % 255 + 1]) * FRAME_BYTES


def test_half_a_frame_that_always_waits_at_a_microphone_is_worked_off() -> None:
    queue = CaptureQueue()
    assert queue.pull() == b""
    queue.push(block(0))
    for number in range(60):
        for half in (1, 2):
            queue.push(block(2 * number + half))
        assert len(queue.pull()) == FRAME_BYTES
    assert len(queue) == 0


def test_a_microphone_may_push_in_any_pieces() -> None:
    queue = CaptureQueue()
    sound = b"".join(block(number) for number in range(4))
    for start in range(0, len(sound), 700):
        queue.push(sound[start : start + 700])
    assert queue.pull() + queue.pull() == sound[-FRAME_BYTES:]  # the first was said before anybody listened
    assert queue.pull() == b""


def test_a_loudspeaker_keeps_ten_milliseconds_and_plays_without_a_gap() -> None:
    queue, played = PlaybackQueue(), b""
    for number in range(5):
        queue.push(frame(number))
    for number in range(5, 100):
        for _ in range(2):
            played += queue.pull(BLOCK_BYTES)
        queue.push(frame(number))
    assert len(queue) == 2 + 1
    assert b"\0" not in played


def test_after_it_ran_dry_more_is_kept_until_half_a_minute_has_passed_without() -> None:
    queue = PlaybackQueue()

    def play(frames: int) -> list[int]:
        """Return how many blocks are left after each second one, at the worst moment."""
        left = []
        for number in range(frames):
            queue.push(frame(number))
            for _ in range(2):
                queue.pull(BLOCK_BYTES)
            left.append(len(queue))
        return left

    assert play(200)[-1] == 1
    for _ in range(3):  # the session stood still for three frames
        queue.pull(FRAME_BYTES)
    assert queue.pull(FRAME_BYTES) == SILENCE
    assert play(200)[-1] == 2
    assert play(60 * 25)[-1] == 1


def test_what_is_allowed_to_wait_has_a_bound() -> None:
    slack = Slack(allowed=0, rounds=1)
    for _ in range(100):
        slack.ran_dry()
    assert slack.too_many(20) == 20 - 6
