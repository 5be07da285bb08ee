"""A window's copy of the state: newest wins, silence makes stale, each call begins and ends exactly once."""

from hypothesis import given
from hypothesis import strategies as st

from shared.messages import (
    Call,
    CallState,
    Cause,
    Keys,
    Quality,
    Registration,
    RegistrationState,
    Snapshot,
    Version,
)
from shared.replica import (
    CallAdded,
    CallChanged,
    CallEnded,
    CallMeasured,
    CallPressed,
    LeaderChanged,
    RegistrationChanged,
    Replica,
    StalenessChanged,
)

from .fakes import a_call, of_kind, snapshot

ENDED = {"state": "disposed", "cause": "hung_up_there"}


def fresh(*calls: Call) -> Replica:
    """Return a replica that has seen (1, 1) with ``calls``."""
    replica = Replica(now=0.0, stale_after=0.5)
    replica.apply(snapshot(1, 1, *calls), now=0.0)
    return replica


def test_the_first_snapshot_tells_everything_and_makes_the_state_current() -> None:
    replica = Replica(now=0.0, stale_after=0.5)
    assert replica.is_stale
    assert replica.version == (0, 0)
    changes = replica.apply(snapshot(1, 7, a_call()), now=0.0)
    assert of_kind(changes) == ["StalenessChanged", "LeaderChanged", "RegistrationChanged", "CallAdded"]
    assert replica.version == Version(1, 7)
    assert not replica.is_stale


def test_an_older_version_changes_nothing_whoever_sends_it() -> None:
    replica = fresh()
    newest = snapshot(2, 5, leader="kiosk")
    replica.apply(newest, now=0.1)
    for old in (snapshot(2, 4), snapshot(1, 99), snapshot(0, 0)):
        assert replica.apply(old, now=0.2) == []
    assert replica.snapshot == newest


def test_a_deposed_leaders_snapshots_do_not_keep_the_state_looking_fresh() -> None:
    replica = fresh()
    replica.apply(snapshot(2, 1), now=0.1)
    replica.apply(snapshot(1, 50), now=0.5)
    assert replica.tick(0.6) == [StalenessChanged(True)]


def test_the_same_version_again_is_a_heartbeat() -> None:
    replica = fresh()
    assert replica.apply(snapshot(1, 1), now=0.4) == []
    assert replica.tick(0.8) == []
    assert replica.next_deadline() == 0.9
    assert replica.tick(0.9) == [StalenessChanged(True)]
    assert replica.is_stale
    assert replica.next_deadline() is None
    assert replica.tick(2.0) == []
    assert replica.apply(snapshot(1, 1), now=2.0) == [StalenessChanged(False)]


def test_a_call_that_is_only_heard_better_or_worse_is_no_changed_call() -> None:
    replica = fresh(a_call())
    measured = a_call(quality=Quality(codec="opus", mos=4.1))
    assert replica.apply(snapshot(1, 2, measured), now=0.1) == [CallMeasured(measured)]
    held = a_call(quality=Quality(codec="opus", mos=3.1), held=True)
    assert replica.apply(snapshot(1, 3, held), now=0.2) == [CallChanged(measured, held)]


def test_a_later_epoch_beats_any_sequence_and_tells_of_the_new_leader() -> None:
    replica = fresh()
    replica.apply(snapshot(1, 1000), now=0.1)
    assert replica.apply(snapshot(2, 1, leader="kiosk"), now=0.2) == [LeaderChanged(2, "kiosk")]


def test_the_same_process_leading_again_is_a_new_leader() -> None:
    assert fresh().apply(snapshot(3, 1), now=0.1) == [LeaderChanged(3, "desk")]


def test_a_changed_registration_is_told_once() -> None:
    replica = fresh()
    lost = Registration(state=RegistrationState.CONNECTING)
    assert replica.apply(snapshot(1, 2, registration=lost), now=0.1) == [RegistrationChanged()]
    assert replica.apply(snapshot(1, 3, registration=lost), now=0.1) == []


def test_a_call_is_added_changed_and_ended() -> None:
    replica = fresh()
    ringing, answered, over = a_call(), a_call(state="answered"), a_call(**ENDED)
    assert replica.apply(snapshot(1, 2, ringing), now=0.1) == [CallAdded(ringing)]
    assert replica.apply(snapshot(1, 3, answered), now=0.1) == [CallChanged(ringing, answered)]
    assert replica.apply(snapshot(1, 4, over), now=0.1) == [CallChanged(answered, over), CallEnded(over)]
    assert replica.apply(snapshot(1, 5, over), now=0.1) == []
    assert replica.apply(snapshot(1, 6), now=0.1) == []


def test_a_call_that_began_and_ended_between_two_snapshots_is_seen_to_do_both() -> None:
    changes = fresh().apply(snapshot(1, 9, a_call(**ENDED)), now=0.1)
    assert of_kind(changes) == ["CallAdded", "CallEnded"]
    added, ended = changes
    assert isinstance(added, CallAdded)
    assert (added.call.state, added.call.cause) == (CallState.RINGING, None)
    assert isinstance(ended, CallEnded)
    assert ended.call.cause is Cause.HUNG_UP_THERE


def test_a_window_that_just_joined_is_not_told_of_calls_that_are_over() -> None:
    changes = Replica(now=0.0, stale_after=0.5).apply(snapshot(1, 9, a_call(**ENDED)), now=0.1)
    assert "CallAdded" not in of_kind(changes)
    assert "CallEnded" not in of_kind(changes)


def test_a_call_that_vanished_unseen_is_lost() -> None:
    [change] = fresh(a_call(state="answered")).apply(snapshot(1, 900), now=0.4)
    assert isinstance(change, CallEnded)
    assert (change.call.state, change.call.cause) == (CallState.DISPOSED, Cause.LOST)


def history() -> st.SearchStrategy[list[Snapshot]]:
    """Make what a leader publishes in a row: calls begin, change, end, stay a while, and leave."""

    @st.composite
    def draw_history(draw: st.DrawFn) -> list[Snapshot]:
        calls: dict[str, Call] = {}
        published: list[Snapshot] = []
        epoch, number = 1, 0
        for sequence in range(1, draw(st.integers(2, 25))):
            step = draw(st.sampled_from(["begin", "change", "end", "leave", "takeover", "nothing"]))
            live = [name for name, call in calls.items() if not call.state.is_final]
            if step == "begin":
                number += 1
                calls[f"c{number}"] = a_call(f"c{number}")
            elif step == "change" and live:
                name = draw(st.sampled_from(live))
                calls[name] = a_call(name, state="answered", held=draw(st.booleans()))
            elif step == "end" and live:
                name = draw(st.sampled_from(live))
                calls[name] = a_call(name, **ENDED)
            elif step == "leave":
                calls = {name: call for name, call in calls.items() if name in live}
            elif step == "takeover":
                epoch += 1
            published.append(snapshot(epoch, sequence, *calls.values()))
        return published

    return draw_history()


@given(history(), st.data())
def test_whatever_is_skipped_repeated_or_reordered_versions_rise_and_events_come_once(
    published: list[Snapshot], data: st.DataObject
) -> None:
    replica = Replica(now=0.0, stale_after=0.5)
    arrivals = data.draw(st.lists(st.sampled_from(published), max_size=40))
    added: list[str] = []
    ended: list[str] = []
    newest = Version(0, 0)
    for number, arrived in enumerate([*arrivals, published[-1]]):
        for change in replica.apply(arrived, now=number * 0.01):
            if isinstance(change, CallAdded):
                assert change.call.call_id not in added
                added.append(change.call.call_id)
            elif isinstance(change, CallEnded):
                assert change.call.call_id in added
                assert change.call.call_id not in ended
                ended.append(change.call.call_id)
        newest = max(newest, arrived.version)
        assert replica.version == newest
    live = [call.call_id for call in published[-1].calls if not call.state.is_final]
    assert [call_id for call_id in added if call_id not in ended] == live


# -- a leader that has missed something


def test_a_call_whose_end_was_told_is_not_told_again_by_a_leader_that_has_missed_it() -> None:
    replica = fresh(a_call())
    assert of_kind(replica.apply(snapshot(1, 2, a_call(**ENDED)), now=0.1)) == ["CallChanged", "CallEnded"]
    replica.apply(snapshot(1, 3), now=0.2)
    again = replica.apply(snapshot(2, 1, a_call(**ENDED), leader="kiosk"), now=0.3)
    assert of_kind(again) == ["LeaderChanged"]
    replica.apply(snapshot(3, 1, leader="desk"), now=0.4)
    live = replica.apply(snapshot(4, 1, a_call(), leader="wall"), now=0.5)
    assert of_kind(live) == ["LeaderChanged"]
    assert of_kind(replica.apply(snapshot(4, 2, a_call(**ENDED), leader="wall"), now=0.6)) == ["CallChanged"]


def test_a_call_that_was_over_when_a_window_joined_is_told_of_if_the_next_leader_goes_on_with_it() -> None:
    replica = fresh(a_call(**ENDED))
    begun = replica.apply(snapshot(2, 1, a_call(), leader="kiosk"), now=0.1)
    assert of_kind(begun) == ["LeaderChanged", "CallAdded"]


def test_the_quality_of_a_call_that_is_over_is_still_told() -> None:
    replica = fresh(a_call())
    replica.apply(snapshot(1, 2, a_call(**ENDED)), now=0.1)
    measured = replica.apply(snapshot(1, 3, a_call(quality=Quality(mos=4.2), **ENDED)), now=0.2)
    assert of_kind(measured) == ["CallMeasured"]


# -- keys


def pressed(keys: Keys, **facts: str) -> list[str]:
    """Return the keys that a window hears of that knew of none and gets a call with these."""
    replica = fresh(a_call())
    changes = replica.apply(snapshot(1, 9, a_call(keys=keys, **facts)), now=0.1)
    return [change.keys for change in changes if isinstance(change, CallPressed)]


def test_keys_are_told_once_however_many_snapshots_were_missed() -> None:
    keys = Keys().after("1", 1).after("23", 2)
    assert keys == Keys(newest="123", count=3)
    assert pressed(keys) == ["123"]
    assert pressed(keys, **ENDED) == ["123"]
    replica = fresh(a_call(keys=keys))
    assert of_kind(replica.apply(snapshot(1, 2, a_call(keys=keys, held=True)), now=0.1)) == ["CallChanged"]
    more = replica.apply(snapshot(1, 3, a_call(keys=keys.after("4", 1), held=True)), now=0.2)
    assert [change.keys for change in more if isinstance(change, CallPressed)] == ["4"]


def test_of_more_keys_than_travel_with_a_call_the_last_ones_are_told() -> None:
    keys = Keys().after("1234567890" * 4, 40)
    assert (len(keys.newest), keys.count) == (32, 40)
    assert pressed(keys) == [("1234567890" * 4)[-32:]]
