"""agents.media.devices and hotplug: PortAudio as it may be, and devices that come and go."""

import importlib
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from agents.media import devices, specs
from agents.media.base import FRAME_BYTES, SILENCE
from agents.media.devices import DeviceSink, DeviceSource, list_devices
from agents.media.files import NullSink, Silence
from agents.media.hotplug import HotPlug
from shared.errors import MediaError


class FakePortAudio:
    """What the tests need of sounddevice: it knows the devices that there were when it began."""

    def __init__(self, *names: str, inputs: int = 2, outputs: int = 2, fails: str | None = None) -> None:
        self.names = list(names or ("box",))
        self.inputs, self.outputs, self.fails = inputs, outputs, fails
        self.default = SimpleNamespace(device=(0, 0))
        self.streams: list[FakeStream] = []
        self.known = list(self.names)
        self.restarts = 0

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {"name": name, "max_input_channels": self.inputs, "max_output_channels": self.outputs}
            for name in self.known
        ]

    def RawInputStream(self, **options: Any) -> "FakeStream":  # noqa: N802
        return self._open(options)

    def RawOutputStream(self, **options: Any) -> "FakeStream":  # noqa: N802
        return self._open(options)

    def _terminate(self) -> None:
        assert not [stream for stream in self.streams if stream.is_open], "that would end them in mid-call"
        self.restarts += 1

    def _initialize(self) -> None:
        self.known = list(self.names)

    def _open(self, options: dict[str, Any]) -> "FakeStream":
        if self.fails or not self.known:
            raise RuntimeError(self.fails or "no default device")
        name = self.known[options["device"] or 0]
        if name not in self.names:
            raise RuntimeError("Device unavailable")
        self.streams.append(FakeStream(options, name))
        return self.streams[-1]

    @property
    def playing(self) -> list[str]:
        """The names of the devices that are open."""
        return [stream.name for stream in self.streams if stream.is_open]


class FakeStream:
    def __init__(self, options: dict[str, Any], name: str) -> None:
        self.options, self.name, self.callback = options, name, options["callback"]
        self.is_open, self.closed = True, threading.Event()
        self.latency = 0.01

    def start(self) -> None:
        pass

    def abort(self, *, ignore_errors: bool) -> None:
        pass

    def close(self, *, ignore_errors: bool) -> None:
        self.is_open = False
        self.closed.set()
        self.options["finished_callback"]()

    def end(self) -> None:
        """End by itself, as when the device is gone; return once that has been dealt with."""
        self.is_open = False
        self.options["finished_callback"]()
        for thread in threading.enumerate():
            if thread.name == "device-mend":
                thread.join()


def use(monkeypatch: pytest.MonkeyPatch, audio: FakePortAudio) -> FakePortAudio:
    monkeypatch.setattr(devices, "_load", lambda: audio)
    monkeypatch.setattr(devices, "_portaudio", devices._PortAudio())
    specs._tell.cache_clear()
    return audio


def assert_hears(source: DeviceSource, stream: FakeStream) -> None:
    """Let a stream record something, which ``source`` must read."""
    stream.callback(b"\7" * FRAME_BYTES, 960, None, None)
    assert source.read()[:1] == b"\7"


def test_without_portaudio_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(_name: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(importlib, "import_module", no_library)
    with pytest.raises(MediaError, match="apt install libportaudio2"):
        specs.parse_source("device")()
    assert specs.default_specs().notice is not None
    assert specs.default_specs().source == "silence"


def test_a_device_that_cannot_be_opened_is_named_with_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakePortAudio("usb", fails="Device unavailable"))

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


def test_a_microphone_that_nobody_reads_any_more_keeps_only_the_newest_100_ms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio = use(monkeypatch, FakePortAudio())
    source = specs.parse_source("device")()
    assert source.read() == b""

    for number in range(20):
        audio.streams[0].callback(bytes([number]) * FRAME_BYTES, 960, None, None)
    assert [source.read()[:1] for _ in range(6)] == [b"\x0f", b"\x10", b"\x11", b"\x12", b"\x13", b""]
    source.close()


def test_what_was_said_before_anybody_listened_is_no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = use(monkeypatch, FakePortAudio())
    source = specs.parse_source("device")()
    for number in range(20):
        audio.streams[0].callback(bytes([number]) * FRAME_BYTES, 960, None, None)
    assert [source.read()[:1] for _ in range(2)] == [b"\x13", b""]


def test_a_backlog_at_the_microphone_is_worked_off_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = use(monkeypatch, FakePortAudio())
    source = specs.parse_source("device")()
    callback = audio.streams[0].callback
    source.read()
    for number in range(4):
        callback(bytes([number]) * FRAME_BYTES, 960, None, None)
    waits = []
    for number in range(4, 250):
        waits.append(number - 1 - source.read()[0])
        callback(bytes([number]) * FRAME_BYTES, 960, None, None)
    assert (waits[0], waits[-1]) == (3, 0)


def test_a_backlog_at_the_loudspeaker_is_worked_off_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = use(monkeypatch, FakePortAudio())
    sink = specs.parse_sink("device")()
    callback, out = audio.streams[0].callback, bytearray(FRAME_BYTES // 2)
    for number in range(7):
        sink.write(bytes([number]) * FRAME_BYTES)
    waits = []
    for number in range(7, 255):
        for _ in range(2):  # PortAudio asks for 10 ms at a time
            callback(memoryview(out), 480, None, None)
        waits.append(number - 1 - out[0])
        sink.write(bytes([number]) * FRAME_BYTES)
    assert (waits[0], waits[-1]) == (6, 0)  # of the newest frame, 10 ms are left


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
    assert audio.playing == ["box"]
    sink.close()


def test_a_name_that_no_device_has_is_refused_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, FakePortAudio("USB Headset", "Built-in"))

    with pytest.raises(MediaError, match=r"no microphone 'webcam'; there are: 'Built-in', 'USB Headset'"):
        DeviceSource("webcam")
    with pytest.raises(MediaError, match=r"no loudspeaker 'webcam'"):
        specs.check_sink("device:webcam")
    assert specs.check_source("device:usb").func is specs._device_source  # type: ignore[attr-defined]


def test_a_name_that_several_have_is_refused_unless_one_has_it_exactly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio = use(monkeypatch, FakePortAudio("Headset", "Headset 2"))

    with pytest.raises(MediaError, match=r"several: 'Headset', 'Headset 2'; use more of the name"):
        DeviceSink("head")
    DeviceSink("Headset")
    assert audio.playing == ["Headset"]


def test_a_device_without_inputs_is_no_microphone(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakePortAudio("HDMI", inputs=0))

    with pytest.raises(MediaError, match=r"there are: none at all"):
        DeviceSource("HDMI")


def test_a_device_that_was_plugged_in_is_listed_once_portaudio_looks_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio = use(monkeypatch, FakePortAudio("box"))
    assert [device.name for device in list_devices()] == ["box"]

    audio.names.append("headset")
    assert [device.name for device in list_devices()] == ["box"]
    assert [device.name for device in list_devices(refresh="idle")] == ["box", "headset"]
    assert audio.restarts == 1


def test_looking_again_never_disturbs_a_call_unless_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = use(monkeypatch, FakePortAudio("box"))
    DeviceSink(None)

    list_devices(refresh="idle")
    assert audio.restarts == 0
    list_devices(refresh="always")
    assert audio.restarts == 1
    assert audio.playing == ["box"]


def test_a_call_on_the_default_device_follows_the_system_to_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio = use(monkeypatch, FakePortAudio("box"))
    sink = DeviceSink(None)
    sink.write(b"\1" * FRAME_BYTES)

    audio.names.insert(0, "headset")
    list_devices(refresh="always")
    assert audio.playing == ["headset"]
    sink.write(b"\2" * FRAME_BYTES)
    out = bytearray(FRAME_BYTES)
    audio.streams[-1].callback(memoryview(out), 960, None, None)
    assert out[0] == 1  # nothing that was written is lost


def test_a_call_whose_device_is_unplugged_goes_on_with_the_default_and_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio = use(monkeypatch, FakePortAudio("box", "headset"))
    source = DeviceSource("headset")

    audio.names.remove("headset")
    list_devices(refresh="always")
    assert audio.playing == ["box"]
    audio.names.append("headset")
    list_devices(refresh="always")
    assert audio.playing == ["headset"]
    assert_hears(source, audio.streams[-1])


def test_a_call_whose_last_device_is_unplugged_is_silent_until_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio = use(monkeypatch, FakePortAudio("box"))
    source = DeviceSource(None)

    audio.names.clear()
    list_devices(refresh="always")
    assert (audio.playing, source.read(), source.latency) == ([], b"", 0.0)
    audio.names.append("other")
    list_devices(refresh="always")
    assert audio.playing == ["other"]
    source.close()
    assert audio.streams[-1].closed.wait(5)


def test_a_device_that_ends_in_mid_call_is_replaced_at_once_and_no_other_stream_notices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio = use(monkeypatch, FakePortAudio("box", "headset"))
    DeviceSink("box")
    source = DeviceSource("headset")

    audio.names.remove("headset")  # PortAudio still believes in it
    audio.streams[-1].end()
    assert audio.playing == ["box", "box"]
    assert (audio.restarts, audio.streams[0].closed.is_set()) == (0, False)
    assert_hears(source, audio.streams[-1])


def test_when_all_streams_have_ended_devices_are_looked_for_until_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio = use(monkeypatch, FakePortAudio("box"))
    source, sink = DeviceSource(None), DeviceSink(None)
    assert not devices.needs_mending()

    audio.names.clear()
    for stream in list(audio.streams):
        stream.end()
    assert (audio.playing, source.read()) == ([], b"")
    assert devices.needs_mending()
    devices.mend_streams()
    assert devices.needs_mending()
    audio.names.append("other")
    devices.mend_streams()
    assert audio.playing == ["other", "other"]
    assert not devices.needs_mending()
    for end, stream in ((source, audio.streams[-2]), (sink, audio.streams[-1])):
        end.close()
        assert stream.closed.wait(5)
    assert audio.playing == []


def test_a_change_of_devices_is_told_once_and_when_it_has_settled() -> None:
    looks = iter(["box", "box", "box, head", "box, headset", "box, headset", "box, headset", "box", "box"])
    watch = HotPlug(lambda: next(looks))

    assert [watch.has_changed() for _ in range(7)] == [False, False, False, True, False, False, True]


def test_a_device_that_appears_for_a_moment_only_is_no_change() -> None:
    looks = iter(["box", "box, head", "box", "box"])
    watch = HotPlug(lambda: next(looks))

    assert [watch.has_changed() for _ in range(3)] == [False, False, False]
