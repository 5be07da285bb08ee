"""What ``phone.sound`` does in a real call: change devices, ring, record."""

import array
import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from agents.media.analysis import rms_level, similarity, tone_level
from agents.media.files import read_wav
from agents.media.specs import FAREWELL
from coordinator import DeviceManager, join
from shared.errors import ConfigError, MediaError

from .stage import GROUP, Stage, stage


def window(it: Stage, **options: Any) -> Any:
    """Join with sound in this very process."""
    quiet = {"microphone": "silence", "loudspeaker": "none"}
    return join(GROUP, account=it.account, settings=it.settings, **(quiet | options))


def test_a_call_is_recorded_here_with_both_sides_while_its_devices_change(tmp_path: Path) -> None:
    async def main() -> None:
        async with stage() as it, window(it, microphone="tone:440") as phone:
            call = await phone.call("199")
            heard = phone.sound.record(call.call_id, tmp_path / "call.wav")
            with pytest.raises(MediaError, match="recorded already"):
                phone.sound.record(call.call_id, tmp_path / "again.wav")
            await it.until(lambda: heard.seconds > 1)
            assert phone.sound.level.microphone == pytest.approx(0.177, abs=0.02)
            await phone.sound.use(microphone="tone:1000", loudspeaker=f"wav:{tmp_path}/late.wav")
            changed_at = heard.seconds
            await it.until(lambda: heard.seconds > changed_at + 4)
            await heard.stop()
            await heard.stop()
            assert heard.problem == ""
            length = heard.seconds
            await call.hangup()
            assert heard.seconds == length
            with pytest.raises(MediaError, match="not in this window"):
                phone.sound.record(call.call_id, tmp_path / "late.wav")

    asyncio.run(main())
    samples = array.array("h", (tmp_path / "call.wav").read_bytes()[44:])
    said, heard = samples[0::2].tobytes(), samples[1::2].tobytes()
    assert tone_level(said[9600:57600], 440) == pytest.approx(0.25, abs=0.02)
    assert tone_level(said[-96000:], 1000) == pytest.approx(0.25, abs=0.02)
    levels = [rms_level(said[start : start + 1920]) for start in range(9600, len(said) - 1920, 1920)]
    assert min(levels) > 0.1  # not one frame of silence at the change
    assert similarity(read_wav(FAREWELL), heard).score > 0.85
    assert len(read_wav(tmp_path / "late.wav")) > 96000


def test_a_wrong_name_changes_nothing_and_says_what_there_is(tmp_path: Path) -> None:
    async def main() -> None:
        async with stage() as it, window(it, microphone="tone:440") as phone:
            call = await phone.call("199")
            for bad, error, text in (
                ({"microphone": "mp3:x"}, ConfigError, "use wav:FILE"),
                ({"loudspeaker": f"wav:{tmp_path}/no/x.wav"}, MediaError, "there is no folder"),
                ({"microphone": "tone:1000", "loudspeaker": "loud"}, ConfigError, "no place for sound"),
            ):
                with pytest.raises(error, match=text):
                    await phone.sound.use(**bad)
            assert (phone.sound.microphone, phone.sound.loudspeaker) == ("tone:440", "none")
            recording = phone.sound.record(call.call_id, tmp_path / "call.wav", stereo=False)
            await it.until(lambda: recording.seconds > 0.5)
            await recording.stop()
            await call.hangup()

    asyncio.run(main())
    assert tone_level(read_wav(tmp_path / "call.wav")[9600:], 440) == pytest.approx(0.25, abs=0.03)


def test_a_window_rings_on_its_own_device_as_long_as_a_call_comes_in(tmp_path: Path) -> None:
    async def main() -> None:
        async with stage() as it, window(it, ringer=f"wav:{tmp_path}/ring.wav") as phone:
            robot = await it.control.call("101")
            await phone.until(lambda: bool(phone.calls))
            await it.until((tmp_path / "ring.wav").exists)
            await it.until(lambda: (tmp_path / "ring.wav").stat().st_size > 100_000)
            await phone.calls[0].decline()
            size = (tmp_path / "ring.wav").stat().st_size
            await it.control.hang_up(robot.id)
            assert (tmp_path / "ring.wav").stat().st_size <= size + 60_000

    asyncio.run(main())
    assert tone_level(read_wav(tmp_path / "ring.wav")[:96000], 440) == pytest.approx(0.1, abs=0.02)


def test_a_manager_of_ones_own_chooses_for_each_call(tmp_path: Path) -> None:
    class Remembering(DeviceManager):
        asked = 0
        remembered: tuple[str, ...] = ()

        def microphone(self) -> str:
            # The window's own loop asks as well, each second: whether there are devices to look for.
            self.asked += threading.current_thread() is not threading.main_thread()
            return super().microphone()

        def chosen(self, *, microphone: str, loudspeaker: str, ringer: str | None) -> None:
            super().chosen(microphone=microphone, loudspeaker=loudspeaker, ringer=ringer)
            self.remembered = (microphone, loudspeaker)

    async def main() -> None:
        manager = Remembering("tone:440", "none")
        async with stage() as it, window(it, devices=manager) as phone:
            await phone.sound.use(microphone="tone:1000")
            assert manager.remembered == ("tone:1000", "none")
            before = manager.asked
            call = await phone.call("199")
            assert manager.asked == before + 1
            await it.until(lambda: phone.sound.level.microphone > 0.1)
            await call.hangup()

    asyncio.run(main())


def test_a_window_without_sound_says_so() -> None:
    async def main() -> None:
        async with stage() as it, window(it, microphone=None, candidate=True) as phone:
            with pytest.raises(MediaError, match="no sound"):
                assert phone.sound.devices

    asyncio.run(main())
