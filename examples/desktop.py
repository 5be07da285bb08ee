"""A desktop window: shows the group's calls, answers and ends them. Start as many as you like.

Needs PySide6 and qasync (pip install PySide6-Essentials qasync).
"""

import asyncio
import sys

import qasync
from PySide6.QtWidgets import QApplication, QListWidget, QPushButton, QVBoxLayout, QWidget

from coordinator import CallState, Phone, SharedlineError, join


class Window(QWidget):
    """A list of calls, and a button that answers the chosen one or hangs it up."""

    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self._phone, self._list = phone, QListWidget()
        layout = QVBoxLayout(self)
        layout.addWidget(self._list)
        layout.addWidget(QPushButton("Answer or hang up", clicked=self._pressed))
        phone.on("snapshot", lambda _: self._show())
        self._show()

    def _show(self) -> None:
        self.setWindowTitle(f"{self._phone.role} phone, {self._phone.registration.state}")
        chosen = max(self._list.currentRow(), 0)
        self._list.clear()
        self._list.addItems([f"{call.remote_number}  {call.state}" for call in self._phone.calls])
        self._list.setCurrentRow(chosen)

    @qasync.asyncSlot()
    async def _pressed(self) -> None:
        if 0 <= self._list.currentRow() < len(self._phone.calls):
            call = self._phone.calls[self._list.currentRow()]
            try:
                await (call.answer() if call.state is CallState.RINGING else call.hangup())
            except SharedlineError as exc:
                self.setWindowTitle(str(exc))


async def main(account: str) -> None:
    """Show the window until it is closed."""
    async with join("front-desk", account=account) as phone:
        window, closed = Window(phone), asyncio.Event()
        QApplication.instance().lastWindowClosed.connect(closed.set)
        window.show()
        await closed.wait()


if __name__ == "__main__":
    app = QApplication(sys.argv)
    try:
        qasync.run(main(sys.argv[1] if len(sys.argv) > 1 else "service/101.json"))
    except KeyboardInterrupt:
        sys.exit(130)
    except SharedlineError as exc:
        sys.exit(f"error: {exc}")
