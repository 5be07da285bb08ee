"""The leader's phone, next to a small table of calls: every verb in every state is done or refused, once."""

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from agents.phone import decode_estate
from shared.messages import (
    Action,
    Answer,
    Call,
    CallState,
    CompleteTransfer,
    Dial,
    Done,
    Hangup,
    Refused,
    Request,
    Window,
)

from ..fakes import DESK, KIOSK, WALL
from . import explore
from .phone_world import NUMBERS, PhoneWorld
from .verbs import ANSWERED, SHOWN_BY, VERBS, refusal

_verbs = st.sampled_from(VERBS)
_windows = st.sampled_from((DESK, KIOSK, WALL))
#: Longer than any action may take, a reply's choice (180 s) and the last of ended calls included.
_PEACE = 300.0


class PhoneStates(PhoneWorld):
    """One leader after the other, asked for all that windows may want."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self.orphaned: set[str] = set()  # actions whose leader has died: nobody can know

    @initialize(talks=st.integers(0, 2))
    def begin_in_talks(self, talks: int) -> None:
        """Begin with calls that are answered: chance alone seldom gets beyond them."""
        for _ in range(talks):
            self.talk(DESK)

    # -- what is asked

    @rule(verb=_verbs, number=NUMBERS, window=_windows, is_doubled=st.booleans())
    def ask(self, verb: Callable[[str], Action], number: int, window: Window, is_doubled: bool) -> None:
        """Let a window ask for something with a call, whatever its state, or with one that never was.

        ``is_doubled``: the request comes twice at once, which is as if it came once.
        """
        calls = self.rig.snapshot.calls
        before = calls[number % len(calls)] if calls and number < 9 else None
        self._ask_of(before, verb, window, times=2 if is_doubled else 1)

    @precondition(lambda self: self._answered())
    @rule(verb=st.sampled_from(ANSWERED), number=NUMBERS, window=_windows)
    def ask_of_a_talk(self, verb: Callable[[str], Action], number: int, window: Window) -> None:
        """Let a window ask for what can be done with an answered call: by chance alone that is rare."""
        answered = self._answered()
        self._ask_of(answered[number % len(answered)], verb, window)

    def _ask_of(
        self, before: Call | None, verb: Callable[[str], Action], window: Window, times: int = 1
    ) -> None:
        action = verb(before.call_id if before else "nothing")
        reply = self._ask(action, window, times=times)
        expected = refusal(action, before)
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
    @rule(number=NUMBERS)
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

    @rule(verb=_verbs, number=NUMBERS, is_late=st.booleans())
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

    # -- who calls, and who leads

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
        if type(action) in SHOWN_BY:
            name, value = SHOWN_BY[type(action)]
            assert getattr(call, name) is value


def test_every_verb_in_every_state_is_done_or_refused_and_no_call_is_lost_or_doubled() -> None:
    explore(PhoneStates, examples=60, steps=40)
