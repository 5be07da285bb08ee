import asyncio

from agents.pbx.pace import Pace
from shared.clock import monotonic


def test_a_faster_clock_passes_more_seconds_and_never_jumps() -> None:
    pace = Pace()
    before, real = pace.now(), monotonic()
    pace.factor = 1000.0
    assert before <= pace.now() < before + 1.0 + (monotonic() - real) * 1000
    while monotonic() - real < 0.01:
        pass
    assert pace.now() - before > 5.0
    later = pace.now()
    pace.factor = 1.0
    assert pace.now() >= later


def test_timers_that_wait_go_with_the_clock_unless_they_are_cancelled() -> None:
    done: list[str] = []

    async def story() -> None:
        pace, rung = Pace(), asyncio.Event()
        pace.later(60.0, rung.set)
        cancel = pace.later(30.0, lambda: done.append("cancelled"))
        cancel()
        pace.factor = 1000.0
        async with asyncio.timeout(5.0):
            await rung.wait()

    asyncio.run(story())
    assert done == []
