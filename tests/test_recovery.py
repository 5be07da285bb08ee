import pytest

from agents.sip.recovery import AWAY_TIME, Recovery


def recovery(*, has_backup: bool = False, jitter: float = 1.0) -> Recovery:
    return Recovery(has_backup=has_backup, jitter=lambda longest: longest * jitter, now=100.0)


def pauses(core: Recovery, count: int) -> list[float]:
    found, now = [], 100.0
    for _ in range(count):
        core.failed(now)
        found.append(core.next_attempt() - now)
        now = core.next_attempt()
    return found


def test_the_first_attempt_is_made_at_once() -> None:
    assert recovery().next_attempt() == 100.0


def test_the_pauses_double_from_half_a_second_to_thirty() -> None:
    assert pauses(recovery(), 9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert pauses(recovery(), 5000)[-1] == 30


def test_jitter_makes_them_shorter() -> None:
    assert pauses(recovery(jitter=0.5), 3) == [0.25, 0.5, 1]


def test_a_good_connection_that_is_lost_is_made_anew_at_once() -> None:
    core = recovery()
    pauses(core, 3)
    core.opened(200.0)
    core.settled()

    core.lost(300.0)

    assert core.next_attempt() == 300.0
    core.failed(300.0)
    assert core.next_attempt() == 300.5


def test_a_server_that_accepts_and_hangs_up_is_not_run_at() -> None:
    core = recovery()
    times = []
    for _ in range(4):
        now = core.next_attempt()
        core.opened(now)
        core.lost(now)
        times.append(core.next_attempt() - now)

    assert times == [0.5, 1, 2, 4]


def test_the_backup_is_tried_at_once_and_then_both_in_turn() -> None:
    core = recovery(has_backup=True)
    seen, now = [], 100.0
    for _ in range(6):
        core.failed(now)
        seen.append((core.uses_backup, core.next_attempt() - now))
        now = core.next_attempt()

    assert seen == [(True, 0), (False, 0.5), (True, 0.5), (False, 1), (True, 1), (False, 2)]


def test_without_a_backup_there_is_no_other_proxy() -> None:
    core = recovery()
    core.failed(100.0)

    assert not core.uses_backup
    assert not core.refused(100.0, 30)
    assert core.home_at() is None


def test_a_proxy_that_says_when_is_left_alone_until_then() -> None:
    core = recovery()
    core.failed(100.0, retry_after=18)
    assert core.next_attempt() == 118.0

    core.failed(118.0, retry_after=10**9)
    assert core.next_attempt() == 118.0 + 3_600


def test_one_that_cannot_serve_is_exchanged_for_the_other_unless_that_cannot_either() -> None:
    core = recovery(has_backup=True)
    core.opened(100.0)

    assert core.refused(100.0, 60)
    core.lost(100.0)
    assert core.uses_backup
    assert core.next_attempt() == 100.0
    core.opened(101.0)
    assert not core.refused(101.0, None)
    assert core.home_at() == 101.0 + AWAY_TIME


def test_what_changed_around_us_ends_the_waiting_but_not_what_a_proxy_asked_for() -> None:
    core = recovery()
    pauses(core, 6)
    core.hurry(500.0)
    assert core.next_attempt() == 500.0
    core.failed(500.0)
    assert core.next_attempt() == 500.5

    core.failed(501.0, retry_after=20)
    core.hurry(502.0)
    assert core.next_attempt() == 521.0


def test_the_first_proxy_is_looked_at_again_after_a_while() -> None:
    core = recovery(has_backup=True)
    core.failed(100.0)
    core.opened(101.0)
    assert core.home_at() == pytest.approx(101.0 + AWAY_TIME)
    core.still_away(500.0)
    assert core.home_at() == pytest.approx(500.0 + AWAY_TIME)

    core.went_home(900.0)

    assert not core.uses_backup
    assert core.home_at() is None
    assert core.next_attempt() == 900.0
