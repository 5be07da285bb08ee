"""Around the leader's phone: a service, media hosts and windows, and a window's view.

The far end, the hosts and the windows are those of the other tests (see ``tests/fakes.py``); here they do
what they like: refuse, keep silent, die, and get lost in the middle of anything.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.sip.events import DialogRequestReceived, SessionState
from agents.sip.message import make_response
from shared.call import Call as WindowsCall
from shared.errors import ActionRefused
from shared.messages import Call, CallState, Problem, Snapshot, Window
from shared.phone import Phone
from shared.replica import Replica

from ..fakes import DESK, FAR_ANSWER, FAR_HELD, KIOSK, WALL, FakeAgent, Rig

NUMBERS = st.integers(0, 9)


class PhoneWorld(RuleBasedStateMachine):
    """A service, three windows, and what is shown in one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig()
        self.here: dict[str, Window] = {window.instance: window for window in (DESK, KIOSK, WALL)}
        self.is_connected = True
        self.last: Snapshot | None = None
        self.seen: dict[str, Call] = {}
        self.began: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.agent = FakeAgent()
        self.phone = Phone(self.agent)
        self.replica = Replica(now=0.0, stale_after=1e9)
        self.phone.on("inbound_call", self._began)
        self.phone.on("outbound_call", self._began)
        self.phone.on("call_ended", self._ended)

    # -- windows

    @precondition(lambda self: len(self.here) > 1)
    @rule(window=st.sampled_from((DESK, KIOSK)))
    def a_window_dies(self, window: Window) -> None:
        """Let a window's process die; its calls move, or are lost."""
        if self.here.pop(window.instance, None):
            self.rig.core.window_gone(window.instance, self.rig.now)
            self.rig.run()

    @rule()
    def windows_come_back(self) -> None:
        """Let all windows join again."""
        for window in (DESK, KIOSK, WALL):
            self.here[window.instance] = window
        self._heartbeat()

    # -- the service

    @rule(number=NUMBERS, status=st.sampled_from((180, 200, 200, 486)))
    def called_party(self, number: int, status: int) -> None:
        """Let somebody whom we have called ring, answer or refuse."""
        ringing = [one for one in self.rig.far.live() if one.state is SessionState.RINGING]
        if ringing and self.is_connected:
            session = ringing[number % len(ringing)].session_id
            if status == 180:
                self.rig.far.progress(session, 180, self.rig.now)
            elif status == 200:
                self.rig.far.answer(session, FAR_ANSWER, self.rig.now)
            else:
                self.rig.far.reject(session, status, self.rig.now)
            self.rig.run()

    @rule(number=NUMBERS)
    def far_end_hangs_up(self, number: int) -> None:
        """Let a far end hang up."""
        self._far(number, lambda session: self.rig.far.hangup(session, self.rig.now))

    @rule(number=NUMBERS)
    def far_end_holds(self, number: int) -> None:
        """Let a far end hold a call."""
        self._far(number, lambda session: self.rig.far.reinvite(session, FAR_HELD, self.rig.now))

    @rule(status=st.sampled_from((200, 202, 404, 500)))
    def far_end_answers(self, status: int) -> None:
        """Let the service answer what it was asked inside of calls."""
        self._answer_requests(status)

    @rule(reinvites=st.sampled_from((200, 200, 488, 491, None)), messages=st.sampled_from((200, 404, None)))
    def service_has_moods(self, reinvites: int | None, messages: int | None) -> None:
        """Choose what the service says to what we ask of it from now on; None: nothing."""
        self.rig.reinvite_status, self.rig.message_status = reinvites, messages

    # -- sound

    @rule(answers=st.booleans(), error=st.sampled_from(("", "", "no microphone")))
    def hosts_have_moods(self, answers: bool, error: str) -> None:
        """Choose whether media hosts answer from now on, and what."""
        self.rig.host_answers, self.rig.host_error = answers, error
        if answers:
            self.rig.answer_media(error=error)

    # -- trouble

    @rule(seconds=st.sampled_from((0.05, 0.9, 4.0, 11.0, 40.0)))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._wait(seconds)

    @precondition(lambda self: self.is_connected)
    @rule()
    def connection_is_lost(self) -> None:
        """Lose the connection to the service."""
        self.is_connected, self.rig.is_cut = False, True
        self.rig.far.disconnected(self.rig.now)
        self.rig.core.disconnected(Problem.UNREACHABLE, "cut", self.rig.now)
        self.rig.run()

    @precondition(lambda self: not self.is_connected)
    @rule()
    def connection_is_back(self) -> None:
        """Have it again."""
        self._reconnect()

    # -- what must hold

    @invariant()
    def what_changed_is_published(self) -> None:
        """Two states of one version are the same; calls end for good, and none comes back."""
        now = self.rig.snapshot
        if self.last is not None and self.last.version == now.version:
            assert self.last == now
        self.last = now
        for call in now.calls:
            before = self.seen.get(call.call_id)
            if before is not None:
                assert before.direction is call.direction
                assert not before.state.is_final or call.state.is_final, (before, call)
            self.seen[call.call_id] = call
        self.agent.snapshot = now
        self.phone.apply(self.replica.apply(now, 0.0))

    @invariant()
    def each_call_is_told_once(self) -> None:
        """In each window it begins once and ends once."""
        assert set(self.began.values()) <= {1}
        assert set(self.ended.values()) <= {1}

    @invariant()
    def each_call_is_one_at_the_service(self) -> None:
        """No call is there twice: each has a session of its own."""
        ids = [record.session_id for record in self._records() if record.session_id]
        assert len(ids) == len(set(ids))

    # -- inside

    def _reconnect(self) -> None:
        self.is_connected, self.rig.is_cut = True, False
        self.rig.core.connected(self.rig.now)
        self.rig.run()
        self._unheard_hang_up()

    def _unheard_hang_up(self) -> None:
        """Let far ends hang up that hear nothing: of calls that were given up, or not left to the leader."""
        for session in self.rig.far.live():
            if session.call_id not in self._our_call_ids():
                self.rig.far.hangup(session.session_id, self.rig.now)
        self.rig.run()

    def _heartbeat(self) -> None:
        for window in self.here.values():
            self.rig.core.window_heard(window, self.rig.now)
            if window.media:
                self.rig.core.host_attached(window.instance, self.rig.now)
        self.rig.run()

    def _wait(self, seconds: float) -> None:
        """Let time pass while the windows that are here say so."""
        while seconds > 0:
            self._heartbeat()
            self.rig.wait(min(seconds, 1.0))
            self._tick_far()
            self.what_changed_is_published()
            seconds -= 1.0

    def _tick_far(self) -> None:
        self.rig.far.tick(self.rig.now)
        self.rig.run()

    def _far(self, number: int, action: Callable[[str], Any]) -> None:
        live = self.rig.far.live()
        if live and self.is_connected:
            with suppress(ActionRefused):
                action(live[number % len(live)].session_id)
            self.rig.run()

    def _answer_requests(self, status: int) -> None:
        asked = [event for event in self.rig.far_events if isinstance(event, DialogRequestReceived)]
        self.rig.far_events = [event for event in self.rig.far_events if event not in asked]
        for event in asked:
            if self.is_connected:
                self.rig.far.respond(event.key, make_response(event.request, status), self.rig.now)
        self.rig.run()

    def _live(self) -> list[Call]:
        return [call for call in self.rig.snapshot.calls if not call.state.is_final]

    def _answered(self) -> list[Call]:
        return [call for call in self._live() if call.state is CallState.ANSWERED]

    def _records(self) -> list[Any]:
        return list(self.rig.core._term.calls)

    def _our_call_ids(self) -> set[str]:
        """Return the Call-Ids of our calls, as far as they have one."""
        sessions = self.rig.core._term.user_agent._sessions
        live = [record for record in self._records() if not record.view.state.is_final]
        return {sessions.session(record.session_id).call_id for record in live if record.session_id}

    def _began(self, call: WindowsCall) -> None:
        self.began[call.call_id] += 1

    def _ended(self, call: WindowsCall) -> None:
        self.ended[call.call_id] += 1
