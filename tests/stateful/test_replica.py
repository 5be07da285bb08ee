"""Windows that hear some of a group's snapshots, late, twice or never: none goes back."""

from collections import Counter
from dataclasses import dataclass, field

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.call import Call as WindowsCall
from shared.messages import Call, CallState, Cause, Snapshot, Version
from shared.phone import Phone
from shared.replica import Replica

from ..fakes import FakeAgent, a_call, snapshot
from . import explore

_STALE_AFTER = 0.5
_numbers = st.integers(0, 9)


@dataclass(eq=False)
class Window:
    """A window: its replica, the phone that its program sees, and what that told."""

    replica: Replica
    agent: FakeAgent = field(default_factory=FakeAgent)
    began: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    versions: list[Version] = field(default_factory=list)
    heard_at: float = 0.0

    def __post_init__(self) -> None:
        self.phone = Phone(self.agent)
        for event in ("inbound_call", "outbound_call"):
            self.phone.on(event, self._told_of)
        self.phone.on("call_ended", self._told_of_the_end)

    def hear(self, told: Snapshot, now: float) -> None:
        """Take a snapshot."""
        if told.version >= self.replica.version:
            self.heard_at = now
        changes = self.replica.apply(told, now)
        self.agent.snapshot = self.replica.snapshot
        self.phone.apply(changes)

    def _told_of(self, call: WindowsCall) -> None:
        self.began[call.call_id] += 1

    def _told_of_the_end(self, call: WindowsCall) -> None:
        assert self.began[call.call_id] == 1, "an end before the beginning"
        self.ended[call.call_id] += 1


class Windows(RuleBasedStateMachine):
    """Leaders, one after the other, all that they published, and windows."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.calls_made = 100.0, 0
        self.published = [snapshot(1, 1, leader="leader-1")]
        self.windows = [Window(Replica(now=self.now, stale_after=_STALE_AFTER)) for _ in range(2)]

    # -- the leader

    @rule(direction=st.sampled_from(("inbound", "outbound")))
    def a_call_begins(self, direction: str) -> None:
        """Publish a call more."""
        self.calls_made += 1
        state = "ringing" if direction == "inbound" else "init"
        self._publish(*self._calls, a_call(f"call-{self.calls_made}", direction=direction, state=state))

    @precondition(lambda self: self._calls)
    @rule(number=_numbers, held=st.booleans())
    def a_call_changes(self, number: int, held: bool) -> None:
        """Publish that it was answered, held, or nothing at all."""
        call = self._calls[number % len(self._calls)]
        if not call.state.is_final:
            self._replace(msgspec.structs.replace(call, state=CallState.ANSWERED, held=held))

    @precondition(lambda self: self._calls)
    @rule(number=_numbers)
    def a_call_ends(self, number: int) -> None:
        """Publish that a call is over."""
        call = self._calls[number % len(self._calls)]
        if not call.state.is_final:
            self._replace(_over(call))

    @rule()
    def ended_calls_leave(self) -> None:
        """Publish the state without the calls that are over."""
        self._publish(*(call for call in self._calls if not call.state.is_final))

    @rule(back=st.integers(0, 3), is_lost=st.booleans())
    def another_leads(self, back: int, is_lost: bool) -> None:
        """Let a process take over that has missed the last ``back`` snapshots; calls may be lost with it."""
        seen = self.published[max(len(self.published) - 1 - back, 0)]
        epoch = self.published[-1].version.epoch + 1
        calls = tuple(call if call.state.is_final or not is_lost else _over(call) for call in seen.calls)
        self.published.append(snapshot(epoch, 1, *calls, leader=f"leader-{epoch}"))

    # -- the windows

    @rule(window=_numbers, back=st.integers(0, 30))
    def hear(self, window: int, back: int) -> None:
        """Let a window hear something that was published, however old."""
        told = self.published[max(len(self.published) - 1 - back, 0)]
        self._window(window).hear(told, self.now)

    @rule(window=_numbers)
    def hear_the_newest(self, window: int) -> None:
        """Let a window hear what it should."""
        self._window(window).hear(self.published[-1], self.now)

    @precondition(lambda self: len(self.windows) < 4)
    @rule()
    def join(self) -> None:
        """Let one more window join: it hears the newest at once."""
        self.windows.append(Window(Replica(now=self.now, stale_after=_STALE_AFTER)))
        self.windows[-1].hear(self.published[-1], self.now)

    @rule(seconds=st.sampled_from((0.1, 0.3, 1.0)))
    def wait(self, seconds: float) -> None:
        """Let time pass at all windows."""
        self.now += seconds
        for window in self.windows:
            window.phone.apply(window.replica.tick(self.now))

    # -- what must hold

    @invariant()
    def no_window_goes_back(self) -> None:
        """Versions only rise, and a version is the snapshot that was published with it."""
        known = {one.version: one for one in self.published}
        for window in self.windows:
            window.versions.append(window.replica.version)
            assert window.versions[-2:] == sorted(window.versions[-2:])
            if window.replica.snapshot is not None:
                assert window.replica.snapshot == known[window.replica.version]

    @invariant()
    def each_call_is_told_once(self) -> None:
        """It begins once and ends once in each window, whatever was missed and whoever leads."""
        for window in self.windows:
            assert set(window.began.values()) <= {1}
            assert set(window.ended.values()) <= {1}
            assert {call.call_id for call in window.phone.calls} == set(window.began) - set(window.ended)

    @invariant()
    def old_states_are_known_to_be_old(self) -> None:
        """A window is stale when it has heard nothing that counts for long enough, and only then."""
        for window in self.windows:
            is_silent = window.heard_at == 0.0 or self.now >= window.heard_at + _STALE_AFTER
            assert window.replica.is_stale == is_silent

    def teardown(self) -> None:
        """Let all hear the newest state: they show the same, and what was live is told of everywhere."""
        newest = self.published[-1]
        live = {call.call_id for call in newest.calls if not call.state.is_final}
        for window in self.windows:
            window.hear(newest, self.now)
            assert window.replica.snapshot == newest
            assert not window.replica.is_stale
            # What a window saw the end of is over there, even where the next leader has yet to learn it.
            assert {call.call_id for call in window.phone.calls} == live - set(window.ended)

    # -- inside

    @property
    def _calls(self) -> tuple[Call, ...]:
        return self.published[-1].calls

    def _window(self, number: int) -> Window:
        return self.windows[number % len(self.windows)]

    def _replace(self, changed: Call) -> None:
        self._publish(*(changed if call.call_id == changed.call_id else call for call in self._calls))

    def _publish(self, *calls: Call) -> None:
        before = self.published[-1]
        epoch, sequence = before.version
        self.published.append(snapshot(epoch, sequence + 1, *calls, leader=before.leader))


def _over(call: Call) -> Call:
    return msgspec.structs.replace(call, state=CallState.DISPOSED, cause=Cause.HUNG_UP_THERE, ended_at=1.0)


def test_no_window_goes_back_and_each_tells_every_call_once() -> None:
    explore(Windows, examples=80, steps=60)
