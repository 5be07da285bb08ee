"""agents.media.echo: what the loudspeaker plays is taken out of what the microphone hears."""

import array
import importlib
import random
from collections import deque
from typing import Any

import pytest
from structlog.testing import capture_logs

from agents.media import echo
from agents.media.analysis import rms_level, samples_of, similarity
from agents.media.base import FRAME_BYTES
from agents.media.files import read_wav
from agents.media.pcm import mixed, to_wire
from agents.media.specs import FAREWELL, GREETING


def has_livekit() -> bool:
    try:
        importlib.import_module("livekit.rtc")
    except ImportError:
        return False
    return True


needs_livekit = pytest.mark.skipif(not has_livekit(), reason="needs livekit (pip install 'sharedline[aec]')")


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)]


class Room:
    """Loudspeaker to microphone: 80 ms on the way, -10 dB, one reflection, a little noise."""

    def __init__(self) -> None:
        self._on_the_way = deque([bytes(FRAME_BYTES)] * 4)
        self._rng = random.Random(3)
        self._past = array.array("h", bytes(1000))

    def heard(self, played: bytes) -> bytes:
        self._on_the_way.append(played)
        direct = self._past + samples_of(self._on_the_way.popleft())
        self._past = direct[-500:]
        rng = self._rng
        return to_wire(
            array.array(
                "h",
                (int(0.3 * direct[i] + 0.1 * direct[i - 400] + rng.gauss(0, 3)) for i in range(500, 1460)),
            )
        )


def converse(far: bytes, near: bytes) -> tuple[bytes, bytes]:
    """Return what the microphone heard, and what is left of it."""
    canceller, room = echo.EchoCanceller(lambda: 0.08), Room()
    dirty, clean = [], []
    silence = bytes(FRAME_BYTES)
    said = frames(near)
    for index, played in enumerate(frames(far)):
        canceller.played(played)
        dirty.append(mixed(room.heard(played), said[index] if index < len(said) else silence))
        clean.append(canceller.cancel(dirty[-1]))
    return b"".join(dirty), b"".join(clean)


@needs_livekit
def test_the_echo_of_speech_is_attenuated_by_more_than_25_db() -> None:
    dirty, clean = converse(read_wav(GREETING) * 2, b"")
    half = len(dirty) // 2  # the first time it still learns the room
    assert rms_level(clean[half:]) < rms_level(dirty[half:]) * 10 ** (-25 / 20)
    assert len(clean) == len(dirty)


@needs_livekit
def test_our_own_voice_passes_while_the_far_end_is_silent() -> None:
    speech = read_wav(FAREWELL)
    _, clean = converse(bytes(len(speech) // FRAME_BYTES * FRAME_BYTES), speech)
    assert similarity(speech, clean).score > 0.9
    assert rms_level(clean) > rms_level(speech) / 2


def test_without_the_extra_a_call_goes_on_with_its_echo_and_one_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str, *_: Any) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    echo._warn.cache_clear()
    with capture_logs() as logs:
        assert echo.make_canceller(lambda: 0.0) is None
        assert echo.make_canceller(lambda: 0.0) is None
    assert [entry["notice"] for entry in logs] == [echo.HINT]
    assert "pip install 'sharedline[aec]'" in echo.HINT
