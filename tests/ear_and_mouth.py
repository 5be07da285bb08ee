"""A loudspeaker that remembers, and a microphone that says one byte."""

from agents.media.base import FRAME_BYTES


class Ear:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.is_closed = False

    def write(self, frame: bytes) -> None:
        assert not self.is_closed
        self.frames.append(frame)

    def close(self) -> None:
        self.is_closed = True


class Mouth:
    """A source that says one byte, after being silent for a while."""

    def __init__(self, value: int, *, after: int = 0) -> None:
        self._frame, self._after = bytes([value]) * FRAME_BYTES, after
        self.is_closed = False

    def read(self) -> bytes:
        assert not self.is_closed
        self._after -= 1
        return b"" if self._after >= 0 else self._frame

    def close(self) -> None:
        self.is_closed = True
