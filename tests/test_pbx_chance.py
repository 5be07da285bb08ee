from agents.pbx.chance import Chance


def test_ids_and_nonces_have_their_length_and_are_never_the_same() -> None:
    chance = Chance()
    ids = [chance.new_id() for _ in range(1000)]
    nonces = [chance.new_nonce() for _ in range(1000)]
    assert len(set(ids)) == len(set(nonces)) == 1000
    assert {len(each) for each in ids + nonces} == {32}
    assert all(int(each, 16) >= 0 for each in ids)


def test_no_byte_is_handed_out_twice_where_a_page_ends() -> None:
    chance = Chance()
    taken = [chance.take(1000) for _ in range(9)]
    assert len({part[at : at + 16] for part in taken for at in range(0, 992, 16)}) == 9 * 62
    assert all(len(part) == 1000 for part in taken)
