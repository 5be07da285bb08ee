import importlib
import threading

import pytest

from agents.media import loading


def test_of_two_threads_that_need_sound_for_the_first_time_one_waits_for_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[str] = []
    has_begun, may_end = threading.Event(), threading.Event()

    def load(name: str) -> None:
        steps.append(f"{name} begins")
        has_begun.set()
        may_end.wait(5)
        steps.append(f"{name} ends")

    monkeypatch.setattr(importlib, "import_module", load)
    first, second = (threading.Thread(target=need) for need in (loading.preload, loading.load_av))
    first.start()
    assert has_begun.wait(5)
    second.start()
    second.join(0.1)  # long enough for it to come in between, were it not for the lock
    may_end.set()
    first.join(5)
    second.join(5)
    assert steps == ["agents.media.webrtc begins", "agents.media.webrtc ends", "av begins", "av ends"]
