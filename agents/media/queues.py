"""What waits between a sound device, which has a thread and a clock of its own, and the session of a call.

The two threads meet in a ``deque``, whose ends are safe to use from both sides without a lock: nobody ever
waits. The two clocks differ a little, so the deque is bounded: old sound is dropped, and silence fills what
is missing. All is counted in blocks of 10 ms, which is how PortAudio gives and takes sound: what waits for
longer than it must is heard as delay.
"""

from collections import deque

from .base import FRAME_BYTES

#: PortAudio is asked for 10 ms at a time: a device's own delay is some of its blocks.
BLOCKS_PER_FRAME = 2
BLOCK_BYTES = FRAME_BYTES // BLOCKS_PER_FRAME
CAPTURE_BLOCKS = 10
PLAYBACK_FRAMES = 8
_PREFILL_FRAMES = 2
#: Half a second: what was always waiting for so long is too much.
_CAPTURE_ROUNDS, _PLAYBACK_ROUNDS = 25, 50
#: Blocks that may wait at a loudspeaker when it is about to ask for the next one.
_PLAYBACK_MARGIN = 1
_MOST_EXTRA = 6
#: After so many half seconds without a gap a block less is tried: twice as many after each gap, up to 64 s.
_FIRST_CALM_WINDOWS, _MOST_CALM_WINDOWS = 8, 128
_NONE_YET = 1 << 30


class Slack:
    """Says when more waits than need be: what once piled up would otherwise stay, and be heard as delay.

    Each time that there was too little one block more is allowed, until some time has passed without: seconds
    after the first time, which may be no more than a busy beginning, and a minute where it happens again.

    Args:
        allowed: Blocks that may always be waiting.
        rounds: How often :meth:`too_many` is asked before it says anything.
    """

    def __init__(self, allowed: int, rounds: int) -> None:
        self._allowed, self._rounds = allowed, rounds
        self._extra = self._calm = 0
        self._calm_windows = _FIRST_CALM_WINDOWS // 2
        self._lowest, self._passed = _NONE_YET, 0

    def too_many(self, waiting: int) -> int:
        """Note how many wait now; return how many were always too many, after so many rounds."""
        self._lowest = min(self._lowest, waiting)
        self._passed += 1
        if self._passed < self._rounds:
            return 0
        excess = self._lowest - self._allowed - self._extra
        self._lowest, self._passed = _NONE_YET, 0
        self._calm += 1
        if self._calm >= self._calm_windows:
            self._calm, self._extra = 0, max(self._extra - 1, 0)
        return max(excess, 0)

    def ran_dry(self) -> None:
        """Note that there was too little."""
        self._extra = min(self._extra + 1, _MOST_EXTRA)
        self._calm_windows = min(self._calm_windows * 2, _MOST_CALM_WINDOWS)
        self._calm, self._lowest, self._passed = 0, _NONE_YET, 0


class CaptureQueue:
    """From a microphone: the device pushes, the session pulls."""

    def __init__(self) -> None:
        self._blocks: deque[bytes] = deque(maxlen=CAPTURE_BLOCKS)
        self._part = b""
        self._is_read = self._has_sound = False
        self._slack = Slack(0, _CAPTURE_ROUNDS)

    def __len__(self) -> int:
        return len(self._blocks)

    def push(self, data: bytes) -> None:
        """Take what the device gives, of any length."""
        self._part += data
        while len(self._part) >= BLOCK_BYTES:
            self._blocks.append(self._part[:BLOCK_BYTES])
            self._part = self._part[BLOCK_BYTES:]

    def pull(self) -> bytes:
        """Return the oldest frame that waits, at most 100 ms old; ``b""`` if there is none yet."""
        blocks = self._blocks
        if not self._is_read:
            self._is_read = True
            while len(blocks) > BLOCKS_PER_FRAME:  # said before anybody could listen
                blocks.popleft()
        for _ in range(self._slack.too_many(len(blocks) - BLOCKS_PER_FRAME)):
            blocks.popleft()
        if len(blocks) >= BLOCKS_PER_FRAME:
            self._has_sound = True
            return b"".join(blocks.popleft() for _ in range(BLOCKS_PER_FRAME))
        if self._has_sound:
            self._slack.ran_dry()
        return b""


class PlaybackQueue:
    """To a loudspeaker: the session pushes, the device pulls."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque(maxlen=PLAYBACK_FRAMES)
        self._rest = b""
        self._is_playing = False
        self._slack = Slack(_PLAYBACK_MARGIN, _PLAYBACK_ROUNDS)

    def __len__(self) -> int:
        return len(self._frames) * BLOCKS_PER_FRAME + len(self._rest) // BLOCK_BYTES

    def push(self, frame: bytes) -> None:
        """Take a frame to play after those that wait; beyond 160 ms the oldest is dropped."""
        self._frames.append(frame)

    def pull(self, size: int) -> bytes:
        """Return the next ``size`` bytes, silence where there is nothing."""
        # After running dry, two frames are awaited, or every small delay would be heard as a click.
        self._is_playing = self._is_playing or len(self._frames) >= _PREFILL_FRAMES
        if self._is_playing:
            self._fill(size)
        out, self._rest = self._rest[:size], self._rest[size:]
        return out.ljust(size, b"\0")

    def _fill(self, size: int) -> None:
        try:
            self._have(size)
            for _ in range(self._slack.too_many((self._waiting() - size) // BLOCK_BYTES)):
                self._have(size + BLOCK_BYTES)
                self._rest = self._rest[BLOCK_BYTES:]
        except IndexError:
            self._is_playing = False
            self._slack.ran_dry()

    def _have(self, size: int) -> None:
        while len(self._rest) < size:
            self._rest += self._frames.popleft()

    def _waiting(self) -> int:
        return len(self._rest) + len(self._frames) * FRAME_BYTES
