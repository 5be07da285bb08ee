"""agents.media.ice: what a far end and strangers can make us keep, ask and read."""

import asyncio

import pytest

from agents.media.ice import MOST_CANDIDATES, MOST_WAITING, IceConnection, usable_candidates


def addresses(*values: str) -> list[str]:
    return [candidate.ip for candidate in usable_candidates(values)]


def test_candidates_that_cannot_be_asked_are_left_out() -> None:
    assert addresses(
        "1 1 udp 100 10.0.0.1 4000 typ host",
        "2 1 tcp 100 10.0.0.2 9 typ host tcptype active",
        "3 2 udp 100 10.0.0.3 4001 typ host",
        "4 1 UDP 100 192.0.2.4 4002 typ srflx raddr 0.0.0.0 rport 0",
        "5 1 udp 100 7b2f.local 4003 typ host",
        "6 1 udp 100 host.example 4004 typ host",
        "7 1 udp 100 10.0.0.7 0 typ host",
        "8 1 udp 100 2001:db8::8 4005 typ host",
    ) == ["10.0.0.1", "192.0.2.4", "2001:db8::8"]


def test_what_comes_after_a_candidates_type_need_not_be_readable() -> None:
    assert addresses("1 1 udp 100 10.0.0.1 4000 typ srflx raddr x rport y generation z") == ["10.0.0.1"]


def test_of_thousands_of_candidates_the_best_few_are_asked() -> None:
    many = [
        f"{number} 1 udp {number} 10.0.{number >> 8}.{number & 255} 4000 typ host" for number in range(2000)
    ]

    chosen = usable_candidates(many)

    assert [candidate.priority for candidate in chosen] == list(range(1999, 1999 - MOST_CANDIDATES, -1))


@pytest.mark.parametrize("count", [MOST_WAITING, 10 * MOST_WAITING])
def test_what_nobody_reads_does_not_pile_up(count: int) -> None:
    async def main() -> int:
        connection = IceConnection(("127.0.0.1",), 15.0)
        for _ in range(count):
            connection.data_received(b"\x80 from anybody", 1)
        return connection._queue.qsize()

    assert asyncio.run(main()) == MOST_WAITING
