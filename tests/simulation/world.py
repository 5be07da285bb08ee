"""Virtual time: an event loop for each process, and the only scheduler. Nothing here waits for anything."""

import asyncio
import heapq
from asyncio import events
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any


class VirtualLoop(asyncio.BaseEventLoop):
    """One process' event loop. It turns when the world says so, and its clock is the world's."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self._world = world
        self._readers: dict[int, Callable[[], None]] = {}
        self._selector = _NothingToSelect()
        self.set_exception_handler(lambda _loop, context: world.failed(context))

    def time(self) -> float:
        """Return the world's time."""
        return self._world.now

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:  # type: ignore[override]
        """Call ``callback`` when the socket of this number was woken."""
        self._readers[fd] = lambda: callback(*args)

    def remove_reader(self, fd: Any) -> bool:
        """Call nobody any more."""
        return self._readers.pop(fd, None) is not None

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        """Call ``callback`` soon: there is one thread only."""
        return self.call_soon(callback, *args, context=context)

    def wake(self, fd: int) -> None:
        """Let the owner of a socket look at it."""
        if (reader := self._readers.get(fd)) is not None:
            self.call_soon(reader)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Do nothing: what the product does on other threads is preparation only."""
        done = self.create_future()
        done.set_result(None)
        return done

    def turn(self) -> None:
        """Run what is ready now."""
        events._set_running_loop(self)
        try:
            self._run_once()  # type: ignore[attr-defined]
        finally:
            events._set_running_loop(None)

    @property
    def is_ready(self) -> bool:
        """Whether anything can run at this very moment."""
        return bool(self._ready) or self.next_at() <= self._world.now  # type: ignore[attr-defined]

    def next_at(self) -> float:
        """Return when the first timer is due."""
        timers = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0]._cancelled:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
        return float(timers[0]._when) if timers else float("inf")

    def _process_events(self, event_list: Any) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class _NothingToSelect:
    def select(self, timeout: float | None) -> list[Any]:
        return []


class Machine:
    """One process: it lives, is stopped, or is dead. A dead one's effects are nobody's."""

    def __init__(self, world: "World", pid: int) -> None:
        self.world, self.pid = world, pid
        self.loop = VirtualLoop(world)
        self.is_alive, self.is_stopped = True, False
        self.deaths: list[Callable[[], None]] = []
        self.fuse: int | None = None  # messages that it may still send
        world.machines.append(self)

    @property
    def is_running(self) -> bool:
        """Whether its code gets on."""
        return self.is_alive and not self.is_stopped

    def sends(self) -> bool:
        """Note that a message leaves; return whether it does: the process may die of it."""
        if not self.is_alive:
            return False
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.kill()
                return False
        return True

    def kill(self) -> None:
        """End it, as SIGKILL does."""
        if self.is_alive:
            self.is_alive = False
            self.world.note("KILLED", pid=self.pid)
            for died in self.deaths:
                died()

    def stop(self) -> None:
        """Let it run no more for now, as SIGSTOP does."""
        if self.is_alive and not self.is_stopped:
            self.is_stopped = True
            self.world.note("STOPPED", pid=self.pid)

    def go_on(self) -> None:
        """Let it run again."""
        if self.is_stopped:
            self.is_stopped = False
            self.world.note("CONTINUED", pid=self.pid)


class World:
    """All machines, the time, and what happens outside of them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 1000.0
        self.machines: list[Machine] = []
        self.failures: list[str] = []
        self.note: Callable[..., None] = lambda event, **facts: None
        self._numbers = count(1)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []

    def number(self) -> int:
        """Return a number that nobody else has."""
        return next(self._numbers)

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """Do something after ``delay`` seconds."""
        heapq.heappush(self._agenda, (self.now + delay, next(self._numbers), action))

    def failed(self, context: dict[str, Any]) -> None:
        """Note what no code of a process handled."""
        self.failures.append(f"{context.get('message')}: {context.get('exception')!r}")

    def run(self, seconds: float, *, also_dead: bool = False) -> None:
        """Let time pass. ``also_dead``: so that the dead can be buried, whose code may still have to end."""
        end = self.now + seconds
        while True:
            loops = [machine.loop for machine in self.machines if also_dead or machine.is_running]
            ready = [loop for loop in loops if loop.is_ready]
            if ready:
                self.random.choice(ready).turn()
                continue
            times = [loop.next_at() for loop in loops]
            times.append(self._agenda[0][0] if self._agenda else float("inf"))
            self.now = max(self.now, min([*times, end]))
            while self._agenda and self._agenda[0][0] <= self.now:
                heapq.heappop(self._agenda)[2]()
            if self.now >= end:
                return

    def close(self) -> None:
        """End all machines, so that nothing of them is left."""
        for machine in self.machines:
            machine.is_alive = False
            for task in asyncio.all_tasks(machine.loop):
                machine.loop.call_soon(task.cancel)
        self._agenda.clear()
        for _ in range(60):
            if not any(asyncio.all_tasks(machine.loop) for machine in self.machines):
                break
            self.run(0.5, also_dead=True)
        for machine in self.machines:
            machine.loop.close()
