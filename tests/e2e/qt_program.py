"""Run by a test in a process of its own, as windows of Qt's are: ``blocked`` or ``desktop``."""

import asyncio
import runpy
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import qasync
from PySide6 import QtWidgets

from coordinator import BlockingCall, join, join_blocking
from shared.clock import boottime

from .stage import GROUP, Stage, stage

TIMES = 3
EXAMPLE = Path(__file__).parents[2] / "examples" / "desktop.py"


def hold_and_unhold(call: BlockingCall) -> None:
    for _ in range(TIMES):
        call.hold()
        call.unhold()


async def blocked() -> None:
    """A slot that blocks the leader's window does not stop the phone."""
    async with stage() as it:
        began, ended = await block_while_another_window_acts(it)
        held = it.ledger("LEG_HELD") + it.ledger("LEG_UNHELD")
        assert len([entry for entry in held if began < entry.boottime < ended]) == 2 * TIMES


async def block_while_another_window_acts(it: Stage) -> tuple[float, float]:
    """Lead, and block for 1.5 s; return from when until when."""
    async with join(
        GROUP, account=it.account, settings=it.settings, microphone="silence", loudspeaker="none"
    ) as phone:
        assert phone.role == "real"
        call = await phone.call("199")
        await call.connected()
        button = QtWidgets.QPushButton()
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


async def desktop() -> None:
    """The desktop window shows a call, and its button answers and ends it."""
    window_class = runpy.run_path(str(EXAMPLE))["Window"]
    async with (
        stage() as it,
        join(
            GROUP, account=it.account, settings=it.settings, microphone="silence", loudspeaker="none"
        ) as phone,
    ):
        window = window_class(phone)
        shown, button = window.findChild(QtWidgets.QListWidget), window.findChild(QtWidgets.QPushButton)
        assert window.windowTitle() == "real phone, registered"
        await it.control.call("101", caller="16505550123")
        await phone.until(lambda: shown.count() == 1)
        assert shown.item(0).text() == "+16505550123  ringing"
        button.click()
        await phone.until(lambda: shown.item(0).text() == "+16505550123  answered")
        button.click()
        await phone.until(lambda: shown.count() == 0)
        await it.until(lambda: it.ledger("BYE", direction="in"))


def run(story: Coroutine[Any, Any, None]) -> None:
    application = QtWidgets.QApplication([])
    with qasync.QEventLoop(application) as loop:
        loop.run_until_complete(asyncio.wait_for(story, 60))


if __name__ == "__main__":
    run({"blocked": blocked, "desktop": desktop}[sys.argv[1]]())
