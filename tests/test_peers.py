"""How a leader reaches its windows: bounded, whatever names a peer makes up."""

from agents.real.peers import Peers


def test_a_thousand_names_of_one_stranger_take_bounded_room_and_the_newest_is_answered() -> None:
    peers = Peers()
    for number in range(5_000):
        peers.asked(f"made-up-{number}", b"stranger")
        peers.host_attached(f"made-up-{number}", b"stranger")
    assert len(peers.windows) == len(peers.hosts) == 2_000
    peers.asked("desk", b"desk")
    assert peers.windows["desk"] == b"desk"


def test_a_window_is_a_newcomer_once_for_each_connection() -> None:
    peers = Peers()
    for _ in range(3):
        peers.attached("desk", b"1")
    assert peers.take_newcomers() == [b"1"]
    peers.attached("desk", b"1")
    assert peers.take_newcomers() == []
    peers.attached("desk", b"2")
    assert peers.take_newcomers() == [b"2"]
    peers.forget("desk")
    assert peers.windows == {}
