"""agents.media.specs and devices: sound by name, and what is imported for it."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.media import devices, specs
from agents.media.base import FRAME_BYTES, SILENCE
from agents.media.files import NullSink, Silence, ToneSource, WavSink, WavSource
from shared.errors import ConfigError, MediaError


def test_the_light_modules_import_neither_aiortc_nor_pyav_nor_portaudio() -> None:
    code = (
        "import sys; import agents.media.base, agents.media.specs, agents.media.files, agents.media.analysis,"
        " agents.media.devices, agents.media.sdp, agents.media.jitter, agents.media.dtmf, agents.media.rtp;"
        "print(sorted({'aiortc', 'aioice', 'av', 'sounddevice', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_each_spec_opens_what_it_names(tmp_path: Path) -> None:
    assert isinstance(specs.parse_source("silence")(), Silence)
    assert isinstance(specs.parse_source("tone:440")(), ToneSource)
    assert isinstance(specs.parse_sink("none")(), NullSink)
    sink = specs.parse_sink(f"wav:{tmp_path}/a:b.wav")()
    assert isinstance(sink, WavSink)
    sink.close()
    assert (tmp_path / "a:b.wav").exists()
    for kind in ("wav", "loop"):
        source = specs.parse_source(f"{kind}:{specs.GREETING}")()
        assert isinstance(source, WavSource)
        source.close()


@pytest.mark.parametrize(
    "spec", ["", "wav:", "tone:", "tone:x", "silence:1", "none", "mp3:x", "Device", "default:x"]
)
def test_an_unknown_source_is_refused_with_what_there_is(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"use wav:FILE, loop:FILE, tone:HZ, silence, device"):
        specs.parse_source(spec)


@pytest.mark.parametrize("spec", ["", "wav:", "none:1", "silence", "tone:440"])
def test_an_unknown_sink_is_refused_with_what_there_is(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"use wav:FILE, none, device"):
        specs.parse_sink(spec)


class FakePortAudio:
    """What the tests need of the package sounddevice."""

    def __init__(self, *, inputs: int = 2, outputs: int = 2, fails: str | None = None) -> None:
        self.inputs, self.outputs, self.fails = inputs, outputs, fails
        self.default = SimpleNamespace(device=(0, 0))
        self.streams: list[FakeStream] = []

    def query_devices(self) -> list[dict[str, Any]]:
        return [{"name": "box", "max_input_channels": self.inputs, "max_output_channels": self.outputs}]

    def RawInputStream(self, **options: Any) -> "FakeStream":  # noqa: N802
        return self._open(options)

    def RawOutputStream(self, **options: Any) -> "FakeStream":  # noqa: N802
        return self._open(options)

    def _open(self, options: dict[str, Any]) -> "FakeStream":
        if self.fails:
            raise RuntimeError(self.fails)
        self.streams.append(FakeStream(options))
        return self.streams[-1]


class FakeStream:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options, self.callback = options, options["callback"]

    def start(self) -> None:
        pass

    def close(self, *, ignore_errors: bool) -> None:
        pass


def use(monkeypatch: pytest.MonkeyPatch, audio: FakePortAudio) -> FakePortAudio:
    monkeypatch.setattr(devices, "_load", lambda: audio)
    specs._tell.cache_clear()
    return audio


def test_without_portaudio_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(_name: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(importlib, "import_module", no_library)
    with pytest.raises(MediaError, match="apt install libportaudio2"):
        specs.parse_source("device")()
    assert specs.default_specs().notice is not None
    assert specs.default_specs().source == "silence"


def test_a_device_that_cannot_be_opened_is_named_with_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakePortAudio(fails="Device unavailable"))

    with pytest.raises(MediaError, match=r"the microphone 'usb' cannot be opened \(Device unavailable\)"):
        specs.parse_source("device:usb")()
    with pytest.raises(MediaError, match=r"the default loudspeaker cannot be opened"):
        specs.parse_sink("device")()


def test_default_is_a_device_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakePortAudio())

    assert isinstance(specs.parse_source("default")(), devices.DeviceSource)
    assert isinstance(specs.parse_sink("default")(), devices.DeviceSink)
    assert specs.default_specs() == specs.Defaults("device", "device", None)


def test_default_is_silence_and_a_notice_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakePortAudio(inputs=0))

    assert isinstance(specs.parse_source("default")(), Silence)
    found = specs.default_specs()
    assert (found.source, found.sink) == ("silence", "device")
    assert found.notice is not None
    assert found.notice.startswith("no microphone found")


def test_default_is_silence_if_the_device_is_there_but_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakePortAudio(fails="Device unavailable"))

    assert isinstance(specs.parse_source("default")(), Silence)
    assert isinstance(specs.parse_sink("default")(), NullSink)


def test_a_microphone_that_nobody_reads_keeps_only_the_newest_100_ms(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = use(monkeypatch, FakePortAudio())
    source = specs.parse_source("device")()
    assert source.read() == b""

    for number in range(20):
        audio.streams[0].callback(bytes([number]) * FRAME_BYTES, 960, None, None)
    assert [source.read()[:1] for _ in range(6)] == [b"\x0f", b"\x10", b"\x11", b"\x12", b"\x13", b""]
    source.close()


def test_a_loudspeaker_waits_for_two_frames_and_plays_silence_when_it_runs_dry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio = use(monkeypatch, FakePortAudio())
    sink = specs.parse_sink("device:box")()
    callback, out = audio.streams[0].callback, bytearray(FRAME_BYTES)
    played = []

    def play() -> None:
        callback(memoryview(out), 960, None, None)
        played.append("silence" if bytes(out) == SILENCE else out[0])

    sink.write(b"\1" * FRAME_BYTES)
    play()
    sink.write(b"\2" * FRAME_BYTES)
    for _ in range(3):
        play()
    sink.write(b"\3" * FRAME_BYTES)
    play()
    assert played == ["silence", 1, 2, "silence", "silence"]
    assert audio.streams[0].options["device"] == "box"
    sink.close()
