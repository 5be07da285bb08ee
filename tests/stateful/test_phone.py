"""The leader's phone, next to a small table of calls: every verb in every state is done or refused, once.

The far end, the media hosts and the windows are those of the other tests (see ``tests/fakes.py``); here they
do what they like: refuse, keep silent, die, and get lost in the middle of anything.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agents.phone import decode_estate
from agents.sip.events import DialogRequestReceived, SessionState
from agents.sip.message import make_response
from shared.call import Call as WindowsCall
from shared.errors import ActionRefused
from shared.messages import (
    Action,
    Answer,
    Call,
    CallState,
    CompleteTransfer,
    Decline,
    Dial,
    Direction,
    Done,
    Flip,
    Forward,
    Hangup,
    Hold,
    Mute,
    Park,
    Problem,
    Refused,
    ReInvite,
    Request,
    SendDtmf,
    SendReply,
    Snapshot,
    StartRecording,
    StartReply,
    StopRecording,
    ToVoicemail,
    Transfer,
    Unhold,
    Unmute,
    Window,
)
from shared.phone import Phone
from shared.replica import Replica

from ..fakes import DESK, FAR_ANSWER, FAR_HELD, KIOSK, WALL, FakeAgent, Rig
from . import explore

_numbers = st.integers(0, 9)
#: Longer than any action may take, a reply's choice (180 s) and the last of ended calls included.
_PEACE = 300.0

#: For calls that come in and ring, and for calls that are answered. Hangup is for all.
_RINGING: tuple[Callable[[str], Action], ...] = (
    lambda call: Answer(call_id=call),
    lambda call: Decline(call_id=call),
    lambda call: ToVoicemail(call_id=call),
    lambda call: Forward(call_id=call, target="102"),
    lambda call: StartReply(call_id=call),
    lambda call: SendReply(call_id=call, text="later"),
)
_ANSWERED: tuple[Callable[[str], Action], ...] = (
    lambda call: Hold(call_id=call),
    lambda call: Unhold(call_id=call),
    lambda call: Mute(call_id=call),
    lambda call: Unmute(call_id=call),
    lambda call: SendDtmf(call_id=call, tones="5"),
    lambda call: Transfer(call_id=call, target="103"),
    lambda call: CompleteTransfer(call_id=call, transfer_of="nothing"),
    lambda call: StartRecording(call_id=call),
    lambda call: StopRecording(call_id=call),
    lambda call: Flip(call_id=call, target="16505550177"),
    lambda call: Park(call_id=call),
    lambda call: Park(call_id=call, slot="red"),
    lambda call: ReInvite(call_id=call),
)
_verbs = st.sampled_from((*_RINGING, *_ANSWERED, lambda call: Hangup(call_id=call)))
_windows = st.sampled_from((DESK, KIOSK, WALL))
_SHOWN_BY: dict[type, tuple[str, bool]] = {
    Hold: ("held", True),
    Unhold: ("held", False),
    Mute: ("muted", True),
    Unmute: ("muted", False),
}


class PhoneStates(RuleBasedStateMachine):
    """One leader after the other, with a service and three windows."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig()
        self.here: dict[str, Window] = {window.instance: window for window in (DESK, KIOSK, WALL)}
        self.requests: list[Request] = []
        self.orphaned: set[str] = set()  # actions whose leader has died: nobody can know
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

    @initialize(talks=st.integers(0, 2))
    def begin_in_talks(self, talks: int) -> None:
        """Begin with calls that are answered: chance alone seldom gets beyond them."""
        for _ in range(talks):
            self.talk(DESK)

    # -- windows

    @rule(verb=_verbs, number=_numbers, window=_windows, is_doubled=st.booleans())
    def ask(self, verb: Callable[[str], Action], number: int, window: Window, is_doubled: bool) -> None:
        """Let a window ask for something with a call, whatever its state, or with one that never was.

        ``is_doubled``: the request comes twice at once, which is as if it came once.
        """
        calls = self.rig.snapshot.calls
        before = calls[number % len(calls)] if calls and number < 9 else None
        self._ask_of(before, verb, window, times=2 if is_doubled else 1)

    @precondition(lambda self: self._answered())
    @rule(verb=st.sampled_from(_ANSWERED), number=_numbers, window=_windows)
    def ask_of_a_talk(self, verb: Callable[[str], Action], number: int, window: Window) -> None:
        """Let a window ask for what can be done with an answered call: by chance alone that is rare."""
        answered = self._answered()
        self._ask_of(answered[number % len(answered)], verb, window)

    def _ask_of(
        self, before: Call | None, verb: Callable[[str], Action], window: Window, times: int = 1
    ) -> None:
        action = verb(before.call_id if before else "nothing")
        reply = self._ask(action, window, times=times)
        expected = _refusal(action, before)
        if expected is not None:
            assert isinstance(reply, Refused), (action, before, reply)
            assert reply.code == expected, (action, before, reply)
        elif not isinstance(action, CompleteTransfer):  # whose other call is none
            assert not isinstance(reply, Refused) or reply.code != "no_such_call", (action, before, reply)
        if before is not None and isinstance(reply, Done):
            self._shows(action, window)

    @precondition(lambda self: len(self._live()) < 4)
    @rule(window=_windows)
    def dial(self, window: Window) -> None:
        """Let a window call somebody."""
        before = {call.call_id for call in self.rig.snapshot.calls}
        reply = self._ask(Dial(target="16505550188"), window)
        new = {call.call_id for call in self.rig.snapshot.calls} - before
        assert len(new) <= 1
        if isinstance(reply, Done):
            assert {reply.call_id} == new
        if window is WALL:
            assert isinstance(reply, Refused)
            assert not new

    @precondition(lambda self: self.requests)
    @rule(number=_numbers)
    def ask_again(self, number: int) -> None:
        """Let the same action come once more: it has no effect, and its answer is the same."""
        request = self.requests[-1 - number % len(self.requests)]
        replies = self._replies(request)
        sip, commands = len(self.rig.frames), len(self.rig.commands)
        self.rig.core.request(request, self.rig.now)
        self.rig.run()
        assert (len(self.rig.frames), len(self.rig.commands)) == (sip, commands)
        again = self._replies(request)
        assert len(again) == len(replies) + bool(replies) or request.action_id in self.orphaned
        # The version may be a later one: it says from when on the effect is shown.
        assert len({(type(reply), getattr(reply, "code", "")) for reply in again}) <= 1

    @rule(verb=_verbs, number=_numbers, is_late=st.booleans())
    def ask_in_vain(self, verb: Callable[[str], Action], number: int, is_late: bool) -> None:
        """Let a window ask a leader that is none any more, or too late."""
        calls = self.rig.snapshot.calls
        action = verb(calls[number % len(calls)].call_id if calls else "nothing")
        before = self.rig.snapshot.calls
        facts = {"deadline": self.rig.now - 1} if is_late else {"epoch": self.rig.epoch - 1}
        reply = self.rig.do(action, DESK, **facts)
        assert isinstance(reply, Refused)
        assert reply.code == ("deadline_passed" if is_late else "stale_epoch")
        assert self.rig.snapshot.calls == before

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

    @precondition(lambda self: self.is_connected and len(self._live()) < 4)
    @rule()
    def ring(self) -> None:
        """Let somebody call us."""
        count = len(self.rig.snapshot.calls)
        self.rig.ring()
        assert len(self.rig.snapshot.calls) == count + 1

    @precondition(lambda self: self.is_connected and len(self._live()) < 4)
    @rule(window=st.sampled_from((DESK, KIOSK)))
    def talk(self, window: Window) -> None:
        """Let somebody call us, and a window answer."""
        known = {call.call_id for call in self.rig.snapshot.calls}
        self.rig.ring()
        [call_id] = {call.call_id for call in self.rig.snapshot.calls} - known
        self._ask(Answer(call_id=call_id), window)

    @rule(number=_numbers, status=st.sampled_from((180, 200, 200, 486)))
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

    @rule(number=_numbers)
    def far_end_hangs_up(self, number: int) -> None:
        """Let a far end hang up."""
        self._far(number, lambda session: self.rig.far.hangup(session, self.rig.now))

    @rule(number=_numbers)
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

    @rule(is_known=st.booleans(), is_dead=st.booleans())
    def another_leads(self, is_known: bool, is_dead: bool) -> None:
        """Let the kiosk take over, with what the leader left to it, or without."""
        estate = decode_estate(self.rig.core.estate()) if is_known else None
        answered = {reply.action_id for _, reply in self.rig.replies}
        self.orphaned |= {one.action_id for one in self.requests} - answered
        self.rig.unanswered.clear()
        self.rig.far.disconnected(self.rig.now)
        self.rig.far_events.clear()
        self.here = {window.instance: window for window in (KIOSK, WALL)}
        self.is_connected, self.rig.is_cut = True, False
        self.rig.take_over(estate=estate, predecessor_died=is_dead)
        self._unheard_hang_up()

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

    def teardown(self) -> None:
        """Bring all to an end: both sides agree on the calls there are, and every action has its answer."""
        self._make_peace()
        self.what_changed_is_published()
        theirs = {session.call_id: session.state for session in self.rig.far.live()}
        assert self._our_call_ids() == theirs.keys(), (theirs, self.rig.snapshot.calls)
        for request in self.requests:
            assert self._replies(request) or request.action_id in self.orphaned, request
        for call in self._live():
            assert isinstance(self._ask(Hangup(call_id=call.call_id), KIOSK), Done)
        self._wait(_PEACE)
        self.what_changed_is_published()
        assert self.rig.snapshot.calls == ()
        assert self.rig.far.live() == []
        assert self.began == self.ended
        assert set(self.began) == set(self.seen)

    # -- inside

    def _make_peace(self) -> None:
        self.windows_come_back()
        self.service_has_moods(200, 200)
        self.hosts_have_moods(True, "")
        if not self.is_connected:
            self._reconnect()
        self._answer_requests(500)
        self._wait(_PEACE)
        self._answer_requests(500)
        self._wait(_PEACE)

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

    def _ask(self, action: Action, window: Window, *, times: int = 1) -> Done | Refused | None:
        request = self.rig.ask(action, window)
        self.requests.append(request)
        is_settled = self.rig.core._term.outcomes.find(request.action_id) is not None
        for _ in range(times - 1):
            self.rig.core.request(request, self.rig.now)
        self.rig.run()
        replies = self._replies(request)
        assert len(replies) <= (times if is_settled else 1), "what was under way was begun again"
        return replies[0] if replies else None

    def _replies(self, request: Request) -> list[Done | Refused]:
        return [reply for _, reply in self.rig.replies if reply.action_id == request.action_id]

    def _shows(self, action: Action, window: Window) -> None:
        """What is acknowledged is shown, unless the call has ended by now."""
        call = self.rig.snapshot.call(getattr(action, "call_id", ""))
        if isinstance(action, Hangup):
            assert call is None or call.state.is_final
        if call is None or call.state.is_final:
            return
        if isinstance(action, Answer):
            assert (call.state, call.media_host) == (CallState.ANSWERED, window.instance)
        if type(action) in _SHOWN_BY:
            name, value = _SHOWN_BY[type(action)]
            assert getattr(call, name) is value

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


def _refusal(action: Action, call: Call | None) -> str | None:
    """Return the code with which an action must be refused at once, None where it may be done."""
    if call is None or call.state.is_final:
        return "no_such_call"
    if isinstance(action, Hangup):
        return None
    is_inbound = call.direction is Direction.INBOUND
    if any(type(verb("")) is type(action) for verb in _RINGING):
        return None if is_inbound and call.state is CallState.RINGING else "wrong_state"
    return None if call.state is CallState.ANSWERED else "wrong_state"


def test_every_verb_in_every_state_is_done_or_refused_and_no_call_is_lost_or_doubled() -> None:
    explore(PhoneStates, examples=60, steps=40)
