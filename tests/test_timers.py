from agents.sip.timers import Timers


def test_timers_fall_due_in_order_and_once() -> None:
    timers: Timers[str] = Timers()
    timers.set("late", 3.0)
    timers.set("early", 1.0)
    timers.set("moved", 0.5)
    timers.set("moved", 2.0)
    timers.set("cancelled", 0.1)
    timers.cancel("cancelled")

    assert timers.next_deadline() == 1.0
    assert timers.due(0.9) == []
    assert timers.due(2.0) == ["early", "moved"]
    assert timers.due(9.0) == ["late"]
    assert timers.next_deadline() is None


def test_a_timer_that_is_moved_for_ever_takes_no_memory() -> None:
    timers: Timers[str] = Timers()
    timers.set("first", 0.0)
    for at in range(10_000):
        timers.set("moved", float(at))
        timers.next_deadline()

    timers.due(0.0)
    timers.next_deadline()
    assert len(timers._heap) < 500
