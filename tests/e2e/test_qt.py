"""A window of Qt's: the phone lives in the toolkit's own loop, and a slot that blocks does not stop it."""

import asyncio
import runpy
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from coordinator import BlockingCall, join, join_blocking
from shared.clock import boottime

from .stage import GROUP, Stage, stage

qasync = pytest.importorskip("qasync", reason="qasync is not installed", exc_type=ImportError)
widgets = pytest.importorskip("PySide6.QtWidgets", reason="Qt cannot be loaded", exc_type=ImportError)

TIMES = 3


@pytest.fixture(autouse=True)
def offscreen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")


def hold_and_unhold(call: BlockingCall) -> None:
    for _ in range(TIMES):
        call.hold()
        call.unhold()


async def block_while_another_window_acts(it: Stage) -> tuple[float, float]:
    """Lead, and block for 1.5 s; return from when until when."""
    async with join(
        GROUP, account=it.account, settings=it.settings, microphone="silence", loudspeaker="none"
    ) as phone:
        assert phone.role == "real"
        call = await phone.call("199")
        await call.connected()
        button = widgets.QPushButton()
        began = boottime()
        button.clicked.connect(lambda: time.sleep(1.5))
        with join_blocking(GROUP, account=it.account, settings=it.settings, microphone=None) as other:
            other.until(lambda: len(other.calls) == 1, 10.0)
            acting = threading.Thread(target=hold_and_unhold, args=other.calls)
            acting.start()
            button.click()  # the slot runs here and now
            ended = boottime()
            acting.join(10.0)
        await call.hangup()
    return began, ended


def in_qt(story: Coroutine[Any, Any, None]) -> None:
    application = widgets.QApplication.instance() or widgets.QApplication([])
    with qasync.QEventLoop(application) as loop:
        loop.run_until_complete(asyncio.wait_for(story, 60))


def test_a_slot_that_blocks_the_leaders_window_does_not_stop_the_phone() -> None:
    async def main() -> None:
        async with stage() as it:
            began, ended = await block_while_another_window_acts(it)
            held = it.ledger("LEG_HELD") + it.ledger("LEG_UNHELD")
            assert len([entry for entry in held if began < entry.boottime < ended]) == 2 * TIMES

    in_qt(main())


def test_the_desktop_window_shows_a_call_and_its_button_answers_and_ends_it() -> None:
    example = Path(__file__).parents[2] / "examples" / "desktop.py"
    window_class = runpy.run_path(str(example))["Window"]

    async def main() -> None:
        async with (
            stage() as it,
            join(
                GROUP, account=it.account, settings=it.settings, microphone="silence", loudspeaker="none"
            ) as phone,
        ):
            window = window_class(phone)
            shown, button = window.findChild(widgets.QListWidget), window.findChild(widgets.QPushButton)
            assert window.windowTitle() == "real phone, registered"
            await it.control.call("101", caller="16505550123")
            await phone.until(lambda: shown.count() == 1)
            assert shown.item(0).text() == "+16505550123  ringing"
            button.click()
            await phone.until(lambda: shown.item(0).text() == "+16505550123  answered")
            button.click()
            await phone.until(lambda: shown.count() == 0)
            await it.until(lambda: it.ledger("BYE", direction="in"))

    in_qt(main())
