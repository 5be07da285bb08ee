"""coordinator.sound without a group: what is opened for a call, and by whom it is closed."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from agents.media import specs
from agents.media.files import NullSink, Silence
from coordinator import DeviceManager
from coordinator import sound as module
from coordinator.sound import WindowSound
from shared.errors import MediaError
from shared.messages import CallState, Direction
from shared.sound import Device

from .fakes import account, settings


class Opened:
    """Counts what is open of everything that was opened as silence."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for name, kind in (("parse_source", Silence), ("parse_sink", NullSink)):
            monkeypatch.setattr(module, name, lambda _spec, kind=kind: lambda: self._open(kind))

    def _open(self, kind: type[Any]) -> Any:
        opened, owner = kind(), self

        class Counted:
            read = getattr(opened, "read", None)
            write = getattr(opened, "write", None)

            def close(self) -> None:
                owner.count -= 1

        self.count += 1
        return Counted()


def window_sound(manager: DeviceManager | None = None) -> WindowSound:
    return WindowSound(account(), settings(), manager or DeviceManager("silence", "none"))


async def open_call(sound: WindowSound) -> Any:
    return await sound.load()("call", lambda _state: None, lambda _tone: None)


def test_a_call_whose_sound_cannot_be_opened_leaves_no_microphone_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound, opened = window_sound(), Opened(monkeypatch)

    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError("no echo cancellation today")

    monkeypatch.setattr(module, "open_session", fail)

    async def main() -> None:
        with pytest.raises(RuntimeError):
            await open_call(sound)

    asyncio.run(main())
    assert opened.count == 0


def test_a_device_that_fails_as_it_is_chosen_while_a_call_begins_leaves_none_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound, opened = window_sound(), Opened(monkeypatch)
    make_session = specs.open_session

    def choose(*args: Any, **options: Any) -> Any:
        sound._generation += 1  # the user, on the window's thread, chooses another device

        def fail(_spec: str) -> None:
            raise MediaError("there is no such microphone any more")

        monkeypatch.setattr(module, "parse_source", fail)
        return make_session(*args, **options)

    monkeypatch.setattr(module, "open_session", choose)

    async def main() -> None:
        with pytest.raises(MediaError, match="no such microphone"):
            await open_call(sound)

    asyncio.run(main())
    assert opened.count == 0
    assert sound.level.microphone == 0
    assert sound._open == []


def test_a_device_that_takes_its_time_holds_up_no_other_call_and_is_closed_if_nobody_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound, opened, is_asked, may_open = (
        window_sound(),
        Opened(monkeypatch),
        threading.Event(),
        threading.Event(),
    )
    make_source = vars(module)["parse_source"]

    def slow() -> Any:
        is_asked.set()
        assert may_open.wait(5)
        return make_source("")()

    monkeypatch.setattr(module, "parse_source", lambda _spec: slow)

    async def main() -> None:
        opening = asyncio.create_task(open_call(sound))
        while not is_asked.is_set():  # noqa: ASYNC110 - the loop goes on, which is what is tested
            await asyncio.sleep(0.001)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        assert opening.cancelled()
        may_open.set()
        [thread] = [one for one in threading.enumerate() if one.name == "device-open"]
        await asyncio.to_thread(thread.join, 5)

    asyncio.run(main())
    assert (opened.count, sound._open) == (0, [])


def test_a_call_whose_recording_ended_by_itself_can_be_recorded_again(tmp_path: Path) -> None:
    sound = window_sound()

    async def main() -> None:
        session = await open_call(sound)
        first = sound.record("call", tmp_path / "1.wav", longest=0.02)
        with pytest.raises(MediaError, match="recorded already"):
            sound.record("call", tmp_path / "2.wav")
        for _ in range(2):
            session.handset.note()
        await asyncio.to_thread(first._recording.wait, 5)
        second = sound.record("call", tmp_path / "2.wav")
        session.handset.note()
        await second.stop()
        await session.close()
        assert (first.problem, second.problem) == ("its longest time is reached", "")
        assert second.seconds == pytest.approx(0.02)

    asyncio.run(main())


def test_a_manager_that_fails_once_is_told_of_the_next_change_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = asyncio.Event()

    class Fussy(DeviceManager):
        calls = 0

        def devices_changed(self, devices: object) -> None:
            self.calls += 1
            if self.calls == 1:
                raise LookupError("not today")
            told.set()

    sound = window_sound(Fussy("default", "none"))
    monkeypatch.setattr(module, "_LOOK_EVERY", 0)
    monkeypatch.setattr(module, "list_devices", lambda **_options: list[Device]())
    monkeypatch.setattr(sound._hot_plug, "has_changed", lambda: True)

    async def main() -> None:
        sound.start(Bell())  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            await told.wait()
        sound.close()

    asyncio.run(main())


class Bell:
    """A phone that rings."""

    class Call:
        state, direction = CallState.RINGING, Direction.INBOUND

    calls = (Call(),)

    def on(self, event: str, listener: object) -> None: ...


def test_a_bell_that_is_moved_while_it_rings_goes_on_ringing(tmp_path: Path) -> None:
    sound = window_sound()

    async def main() -> None:
        sound.start(Bell())  # type: ignore[arg-type]
        await sound.ring_on(f"wav:{tmp_path / 'bell.wav'}")
        async with asyncio.timeout(5):
            while not (tmp_path / "bell.wav").exists():  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
        sound.close()

    asyncio.run(main())
