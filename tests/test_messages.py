"""The wire schema: what is sent is what is read, and no frame of anybody raises anything but MessageError."""

import contextlib
import itertools
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MessageError
from shared.messages import (
    MAX_FRAME_BYTES,
    Action,
    Done,
    FromLeader,
    Quality,
    Request,
    Snapshot,
    SnapshotReader,
    ToLeader,
    Version,
    Window,
    Wire,
    decode_from_leader,
    decode_snapshot,
    decode_to_leader,
    encode,
)
from shared.messages.base import Name

from .fakes import a_call, snapshot

DECODERS = (decode_snapshot, decode_to_leader, decode_from_leader)
TORN = [
    b"",
    b"\x00",
    b"{",
    b"[]",
    b"null",
    b"{}",
    b'{"type":"snap',
    b'{"type":"no such kind"}',
    b'{"type":"snapshot"}',
    b'{"type":"snapshot","version":[1],"group":"g","leader":"l"}',
    b'{"type":"snapshot","version":["1",2],"group":"g","leader":"l"}',
    b'{"type":"request","action_id":"a","instance":"i","epoch":1,"deadline":1,"action":{"type":"format_disk"}}',
    b'{"type":"refused","action_id":"a","code":"no such code","message":""}',
    b"\xff\xfe\xfd",
    b'{"type":"done","action_id":"\xff","version":[1,1]}',
    b'{"type":"detach","epoch":1,"instance":"\xc3"}',
    b"[" * 10_000,
    b'{"a":' * 10_000,
    b'{"type":"detach","instance":"i","epoch":1,"x":' + b"[" * 10_000,
    b'{"type":' + b"9" * 5_000 + b"}",
    b'"' + b"x" * MAX_FRAME_BYTES,
]


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("frame", TORN, ids=range(len(TORN)))
def test_a_frame_that_is_no_message_raises_message_error(decode: Any, frame: bytes) -> None:
    with pytest.raises(MessageError):
        decode(frame)


def test_message_error_names_the_size_and_is_one_short_line() -> None:
    with pytest.raises(MessageError) as caught:
        decode_to_leader(b'{"type":"' + b"x" * 100_000 + b'"}')
    assert str(caught.value).startswith("frame of 100011 bytes")
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
def test_random_bytes_raise_message_error_or_are_a_message(frame: bytes) -> None:
    for decode in DECODERS:
        with contextlib.suppress(MessageError):
            assert isinstance(decode(frame), Wire)


def examples(kind: type[Wire]) -> Wire:
    """Return a message of ``kind`` whose fields all have a value of their own."""
    numbers = itertools.count(1)

    def value(name: str, annotation: Any) -> Any:
        number = next(numbers)
        text = f"{name}-{number}"
        made: dict[Any, Any] = {str: text, Name: text, int: number, float: number + 0.5, bool: True}
        if annotation in made:
            return made[annotation]
        if annotation == Version:
            return Version(number, number + 1)
        if annotation == Window:
            return Window(instance="i", name="n", pid=number, media=True)
        if annotation == Quality:
            return Quality(codec="opus", sent=number, loss=0.25, mos=4.2)
        if name == "action":
            return examples(get_args(Action)[0])
        return None

    fields = {
        field.name: value(field.name, field.type)
        for field in msgspec.structs.fields(kind)
        if value(field.name, field.type) is not None
    }
    if "code" in kind.__struct_fields__:
        fields["code"] = "far_end"
    if "state" in kind.__struct_fields__:
        fields["state"] = "connected"
    return msgspec.convert({"type": kind.__struct_config__.tag, **msgspec.to_builtins(fields)}, kind)


@pytest.mark.parametrize("kind", get_args(ToLeader), ids=lambda kind: kind.__name__)
def test_what_a_window_sends_is_what_the_leader_reads(kind: type[Wire]) -> None:
    message = examples(kind)
    assert decode_to_leader(encode(message)) == message


@pytest.mark.parametrize(
    "kind", [kind for kind in get_args(FromLeader) if kind is not Snapshot], ids=lambda kind: kind.__name__
)
def test_what_the_leader_sends_is_what_a_window_reads(kind: type[Wire]) -> None:
    message = examples(kind)
    assert decode_from_leader(encode(message)) == message
    with pytest.raises(MessageError):
        decode_to_leader(encode(message))


@pytest.mark.parametrize("kind", get_args(Action), ids=lambda kind: kind.__name__)
def test_every_action_survives_the_way_to_the_leader(kind: type[Wire]) -> None:
    request = Request(action_id="a", instance="i", epoch=1, deadline=2.5, action=examples(kind))  # type: ignore[arg-type]  # one of the union
    assert decode_to_leader(encode(request)) == request


def test_a_snapshot_survives_both_ways_to_a_window() -> None:
    full = snapshot(3, 9, a_call(remote_name="Ådá 📞", answered_at=1.5), windows=(), number="101")
    assert decode_snapshot(encode(full)) == full
    assert decode_from_leader(encode(full)) == full


def test_a_part_of_a_snapshot_that_did_not_change_is_the_same_object_as_before() -> None:
    reader = SnapshotReader()
    first, second, third = (
        snapshot(1, 1, a_call()),
        snapshot(1, 2, a_call()),
        snapshot(1, 3, a_call(muted=True)),
    )
    shown = [reader.decode(encode(state)) for state in (first, second, third)]
    assert shown == [first, second, third]
    assert shown[1].calls is shown[0].calls
    assert shown[2].calls is not shown[1].calls
    assert reader.decode(encode(snapshot(1, 4))).calls == ()


def test_a_torn_snapshot_leaves_its_reader_as_it_was() -> None:
    reader = SnapshotReader()
    reader.decode(encode(snapshot(1, 1, a_call())))
    torn = encode(snapshot(1, 2, a_call(muted=True))).replace(b'"ringing"', b'"no such state"')
    with pytest.raises(MessageError):
        reader.decode(torn)
    assert reader.decode(encode(snapshot(1, 3, a_call()))) == snapshot(1, 3, a_call())


def test_fields_of_a_later_version_are_passed_over() -> None:
    frame = encode(Done(action_id="a", version=Version(1, 2)))[:-1] + b',"from_the_future":{"x":[1]}}'
    assert decode_from_leader(frame) == Done(action_id="a", version=Version(1, 2))


@given(st.data())
def test_a_truncated_or_damaged_frame_is_a_message_or_message_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(get_args(ToLeader)))
    frame = bytearray(encode(examples(kind)))
    for _ in range(data.draw(st.integers(0, 5))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(frame[: data.draw(st.integers(0, len(frame)))])
    with contextlib.suppress(MessageError):
        assert isinstance(decode_to_leader(cut), Wire)


def test_versions_are_ordered_by_epoch_first() -> None:
    assert Version(2, 1) > Version(1, 999) > Version(1, 998)


def test_a_snapshot_of_fifty_calls_and_windows_fits_into_a_frame() -> None:
    calls = [a_call(f"{number:016x}", remote_name="n" * 64, reason="r" * 100) for number in range(50)]
    windows = tuple(
        Window(instance=f"{number:08x}", name="n" * 64, pid=number, media=True) for number in range(200)
    )
    assert len(encode(snapshot(1, 1, *calls, windows=windows))) < MAX_FRAME_BYTES / 4


def test_the_heir_is_the_first_window_that_may_lead_and_does_not() -> None:
    windows = (
        Window(instance="leader", name="", pid=1),
        Window(instance="wall", name="", pid=2, candidate=False),
        Window(instance="desk", name="", pid=3),
        Window(instance="kiosk", name="", pid=4),
    )
    state = Snapshot(version=Version(1, 1), group="g", leader="leader", windows=windows)
    assert state.heir() == "desk"
    assert Snapshot(version=Version(1, 1), group="g", leader="leader", windows=windows[:2]).heir() == ""
    assert [state.rank(window.instance) for window in windows] == [None, None, 0, 1]
