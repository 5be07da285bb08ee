"""Actors: one owner for each piece of state, reached by messages, never by locks.

:class:`Inbox` is one task that handles one message after the other; :class:`ActorThread` is an event loop
on a thread of its own, for what a window that blocks must not stop: the phone while leading, and sound.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from .log import log

T = TypeVar("T")


class Inbox(Generic[T]):
    """Handle posted messages one by one, in order, on a task of its own.

    A handler that raises is logged and does not stop the next: one call's trouble is not another's.
    """

    def __init__(
        self, handle: Callable[[T], Coroutine[Any, Any, None]], *, name: str, limit: int = 64
    ) -> None:
        self._name = name
        self._queue: asyncio.Queue[T] = asyncio.Queue(maxsize=limit)
        self._task: asyncio.Task[None] | None = asyncio.create_task(self._run(handle), name=name)

    def post(self, message: T) -> None:
        """Add a message. Raises :exc:`asyncio.QueueFull` when ``limit`` behind."""
        self._queue.put_nowait(message)

    async def close(self) -> None:
        """Stop, and wait until it has. Harmless to call again."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None  # it knows us, and whoever handles: nobody of them waits for the garbage collector

    async def finish(self) -> None:
        """Stop when all that was posted is handled."""
        await self._queue.join()
        await self.close()

    async def _run(self, handle: Callable[[T], Coroutine[Any, Any, None]]) -> None:
        while True:
            message = await self._queue.get()
            try:
                await handle(message)
            except Exception:
                log.exception("actor.failed", actor=self._name, message=type(message).__name__)
            finally:
                self._queue.task_done()


async def until_cancelled() -> None:
    """Return when the running task is cancelled, and take the cancellation back.

    What an actor does to clean up may need timeouts, and on Python 3.11.2 (Debian 12) a timeout that expires
    in a cancelled task is taken for one more cancellation.
    """
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()


class ActorThread:
    """Run ``main()`` on a new thread with its own event loop; ``is_small`` as for :func:`new_event_loop`.

    ``main`` runs until :meth:`stop` cancels it, and cleans up by its own ``finally``.
    """

    def __init__(
        self, name: str, main: Callable[[], Coroutine[Any, Any, None]], *, is_small: bool = False
    ) -> None:
        self._name, self._main = name, main
        self._finished: Future[None] = Future()
        self._loop = new_event_loop(is_small=is_small)
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def post(self, call: Callable[..., object], *args: object) -> None:
        """Call ``call(*args)`` on the actor's loop, soon; nothing happens if it has ended."""
        with contextlib.suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(call, *args)

    async def stop(self, time: float = 5.0) -> None:
        """Cancel ``main`` and wait until it has cleaned up, for at most ``time`` seconds.

        What ``main`` raised, other than its cancellation, is raised here.
        """
        self.post(self._cancel)
        # Shielded: a wait that is given up must not cancel what the thread is to report.
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._finished)), time)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        try:
            # The runner also ends what main left behind: a loop cannot be closed while anything runs in it.
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                self._task = self._loop.create_task(self._main(), name=self._name)
                with contextlib.suppress(asyncio.CancelledError):
                    runner.run(_outcome(self._task))
        except Exception as exc:
            log.exception("actor.crashed", actor=self._name)
            self._finished.set_exception(exc)
        else:
            self._finished.set_result(None)


async def _outcome(task: asyncio.Task[None]) -> None:
    await task


def new_event_loop(*, is_small: bool = False) -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop where it is installed, else asyncio's.

    Args:
        is_small: Return asyncio's, which every process has in memory anyway: uvloop is 2.5 MB more. For what
            neither carries the phone nor sound: a window shows a state as soon with either.
    """
    if is_small:
        return asyncio.new_event_loop()
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that ask to end: that of a closed terminal, too, unless ``nohup`` ignores it."""
    asked = [signal.SIGTERM, signal.SIGINT]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        asked.append(hangup)
    return tuple(asked)
