"""When a keeper is told where its window stands."""

import asyncio
from collections.abc import Callable

from coordinator.keeper.standing import Standing
from shared.messages import Window
from tests.fakes import snapshot

LEADER, DESK, KIOSK = (Window(instance=name, name=name, pid=1) for name in ("leader", "desk", "kiosk"))


def story(instance: str, tell: Callable[[Standing], None], expected: list[tuple[int | None, int]]) -> None:
    async def main() -> None:
        told: list[tuple[int | None, int]] = []
        all_told = asyncio.Event()

        def take(rank: int | None, epoch: int) -> None:
            told.append((rank, epoch))
            if len(told) == len(expected):
                all_told.set()

        standing = Standing(instance, take, lambda _epoch: None)
        tell(standing)
        assert told == []  # not before the state had time to be everywhere
        async with asyncio.timeout(5):
            await all_told.wait()
        standing.close()
        assert told == expected

    asyncio.run(main())


def test_a_window_is_told_its_rank_once_with_the_newest_state() -> None:
    def tell(standing: Standing) -> None:
        standing.shown(snapshot(1, 1, leader="leader", windows=(LEADER, DESK)))
        standing.shown(snapshot(1, 2, leader="leader", windows=(LEADER, DESK, KIOSK)))

    story("kiosk", tell, [(1, 1)])


def test_a_leader_has_no_rank() -> None:
    story("leader", lambda it: it.shown(snapshot(3, 1, leader="leader", windows=(LEADER, DESK))), [(None, 3)])


def test_that_the_leader_is_about_to_leave_is_told_at_once_and_once() -> None:
    async def main() -> None:
        leaving: list[int] = []
        standing = Standing("desk", lambda _rank, _epoch: None, leaving.append)
        standing.shown(snapshot(3, 1, leader="leader", windows=(LEADER, DESK)))
        assert leaving == []
        for sequence in (2, 3):
            standing.shown(snapshot(3, sequence, leader="leader", windows=(DESK,)))
        standing.close()
        assert leaving == [3]

    asyncio.run(main())
