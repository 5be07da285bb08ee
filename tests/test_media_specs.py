"""agents.media.specs: sound by name, and what is imported for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agents.media import specs
from agents.media.files import NullSink, Silence, ToneSource, WavSink, WavSource
from shared.errors import ConfigError, MediaError


def test_the_light_modules_import_neither_aiortc_nor_pyav_nor_portaudio() -> None:
    code = (
        "import sys; import agents.media.base, agents.media.specs, agents.media.files, agents.media.analysis,"
        " agents.media.devices, agents.media.sdp, agents.media.jitter, agents.media.dtmf, agents.media.rtp,"
        " agents.media.options, agents.media.handset, agents.media.switch, agents.media.recording,"
        " agents.media.ringer, agents.media.echo, coordinator.sound;"
        "print(sorted({'aiortc', 'aioice', 'av', 'sounddevice', 'numpy', 'livekit'} & set(sys.modules)))"
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


def test_a_recording_that_could_not_be_made_is_refused_before_there_is_a_call(tmp_path: Path) -> None:
    missing = tmp_path / "no" / "x.wav"
    with pytest.raises(MediaError, match=f"there is no folder {missing.parent}; make it first"):
        specs.check_sink(f"wav:{missing}")
    assert not missing.parent.exists()
    with pytest.raises(MediaError, match="it is a folder"):
        specs.check_sink(f"wav:{tmp_path}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MediaError, match="may not be written"):
        specs.check_sink(f"wav:{tmp_path}/x.wav")


def test_checking_a_recording_leaves_the_one_before_alone(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"precious")
    specs.check_sink(f"wav:{tmp_path}/x.wav")
    assert (tmp_path / "x.wav").read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["wav", "loop"])
def test_a_file_that_cannot_be_played_is_refused_before_there_is_a_call(kind: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="No such file"):
        specs.check_source(f"{kind}:{tmp_path}/x.wav")
    specs.check_source(f"{kind}:{specs.GREETING}")
