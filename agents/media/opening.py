"""Opening a call's two devices without holding up the loop, which carries the sound of other calls.

A device takes a tenth of a second to open, or several seconds if all is not well with it.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from .base import SinkFactory, SourceFactory
from .switch import SwitchSink, SwitchSource


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """A call's microphone and loudspeaker, which are open."""

    source: SwitchSource
    sink: SwitchSink

    def close(self) -> None:
        """Close both."""
        self.source.close()
        self.sink.close()


async def open_ends(open_source: SourceFactory, open_sink: SinkFactory) -> Ends:
    """Open both on a thread of their own; raise what they raise. If it is cancelled, nothing stays open."""
    future = _in_thread(lambda: _open(open_source, open_sink))
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.add_done_callback(_close_opened)
        raise


def _open(open_source: SourceFactory, open_sink: SinkFactory) -> Ends:
    source = SwitchSource(open_source())
    try:
        return Ends(source, SwitchSink(open_sink()))
    except BaseException:
        source.close()
        raise


def _in_thread(work: Callable[[], Ends]) -> "Future[Ends]":
    future: Future[Ends] = Future()
    future.set_running_or_notify_cancel()  # from now on it cannot be cancelled: what is opened will be there

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as exc:
            future.set_exception(exc)

    threading.Thread(target=run, name="device-open", daemon=True).start()
    return future


def _close_opened(future: "Future[Ends]") -> None:
    if future.exception() is None:
        future.result().close()
