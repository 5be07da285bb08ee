"""Two SIP user agents, and a way between them that loses, doubles and reorders: calls begin and end once."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.sip.events import (
    DialogRequestReceived,
    InviteReceived,
    ReinviteReceived,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionState,
)
from agents.sip.message import Message, Request, make_response, parse
from agents.sip.session import Session
from agents.sip.sessions import Sessions
from agents.sip.transaction import Send
from shared.errors import ActionRefused

from ..sip_pair import ANSWER, HELD, OFFER, new_sessions
from . import explore

_numbers = st.integers(0, 9)
#: Longer than any timer of RFC 3261 that is in use: 64*T1 twice, and a re-INVITE's pause.
_PEACE = 150.0


class End:
    """One user agent, what it was told, and what is on its way to it."""

    def __init__(self, name: str) -> None:
        self.name, self.core = name, new_sessions(name)
        self.inbox: list[str] = []
        self.events: list[Any] = []
        self.numbers: dict[str, int] = defaultdict(int)  # by Call-Id: the newest CSeq that left
        self.dialled: set[str] = set()

    def drain(self, other: "End") -> None:
        """Note its events, and put its messages on their way to the other end."""
        for effect in self.core.effects():
            if isinstance(effect, Send):
                self._check(effect.message)
                other.inbox.append(effect.text)
            else:
                self.events.append(effect)

    def _check(self, message: Message) -> None:
        if isinstance(message, Request) and message.method not in ("ACK", "CANCEL"):
            assert message.cseq.number > self.numbers[message.call_id], "a number was used twice"
            self.numbers[message.call_id] = message.cseq.number

    def sessions(self, *states: SessionState) -> list[Session]:
        """Return its sessions in one of these states (default: all that live)."""
        return [session for session in self.core.live() if not states or session.state in states]


class Dialogs(RuleBasedStateMachine):
    """Both can do all that a user agent does, in any state."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.infos = 1000.0, 0
        self.ends = (End("alice"), End("bob"))

    # -- what their users do

    @precondition(lambda self: all(len(end.core.live()) < 3 for end in self.ends))
    @rule(side=_numbers, has_offer=st.booleans())
    def call(self, side: int, has_offer: bool) -> None:
        """Let one call the other, with an offer or without."""
        end, other = self._sides(side)
        session_id = end.core.invite(
            f"sip:{other.name}@{other.name}.invalid",
            from_=f"<sip:{end.name}@sip.test>",
            to=f"<sip:{other.name}@sip.test>",
            sdp=OFFER if has_offer else "",
            now=self.now,
        )
        end.dialled.add(session_id)
        self._drain()

    @rule(side=_numbers, number=_numbers, status=st.sampled_from((180, 183)))
    def progress(self, side: int, number: int, status: int) -> None:
        """Let one ring."""
        self._do(side, number, lambda core, session: core.progress(session, status, self.now))

    @rule(side=_numbers, number=_numbers)
    def answer(self, side: int, number: int) -> None:
        """Let one answer."""
        self._do(side, number, lambda core, session: core.answer(session, ANSWER, self.now))

    @rule(side=_numbers, number=_numbers, status=st.sampled_from((302, 486, 603)))
    def reject(self, side: int, number: int, status: int) -> None:
        """Let one refuse."""
        self._do(side, number, lambda core, session: core.reject(session, status, self.now))

    @rule(side=_numbers, number=_numbers)
    def acknowledge(self, side: int, number: int) -> None:
        """Let a caller answer the offer of a 200."""
        self._do(side, number, lambda core, session: core.acknowledge(session, ANSWER))

    @rule(side=_numbers, number=_numbers)
    def hang_up(self, side: int, number: int) -> None:
        """Let one hang up: CANCEL, BYE or a refusal."""
        self._do(side, number, lambda core, session: core.hangup(session, self.now))

    @rule(side=_numbers, number=_numbers)
    def reinvite(self, side: int, number: int) -> None:
        """Let one offer other sound."""
        self._do(side, number, lambda core, session: core.reinvite(session, HELD, self.now))

    @rule(side=_numbers, number=_numbers, status=st.sampled_from((200, 200, 488)))
    def settle_reinvite(self, side: int, number: int, status: int) -> None:
        """Let one take the other's new sound, or refuse it."""
        if status == 200:
            self._do(side, number, lambda core, session: core.accept_reinvite(session, ANSWER, self.now))
        else:
            self._do(side, number, lambda core, session: core.reject_reinvite(session, status, self.now))

    @rule(side=_numbers, number=_numbers)
    def inform(self, side: int, number: int) -> None:
        """Let one send an INFO, each with a text of its own."""
        self.infos += 1
        body = f"{self.infos}"
        self._do(
            side, number, lambda core, session: core.request_in_dialog(session, "INFO", self.now, body=body)
        )

    # -- the way between

    @rule(side=_numbers, number=_numbers)
    def deliver(self, side: int, number: int) -> None:
        """Let a message arrive, perhaps before those that left earlier."""
        end, _ = self._sides(side)
        if end.inbox:
            self._receive(end, end.inbox.pop(number % len(end.inbox)))

    @rule()
    def deliver_all(self) -> None:
        """Let everything arrive, in order, and what that leads to."""
        while any(end.inbox for end in self.ends):
            for end in self.ends:
                while end.inbox:
                    self._receive(end, end.inbox.pop(0))

    @rule(side=_numbers, number=_numbers)
    def lose(self, side: int, number: int) -> None:
        """Lose a message."""
        end, _ = self._sides(side)
        if end.inbox:
            end.inbox.pop(number % len(end.inbox))

    @rule(side=_numbers, number=_numbers)
    def double(self, side: int, number: int) -> None:
        """Let a message arrive twice in a row, as when it was sent again too early."""
        end, _ = self._sides(side)
        if end.inbox:
            text = end.inbox.pop(number % len(end.inbox))
            self._receive(end, text)
            self._receive(end, text)

    @rule(seconds=st.sampled_from((0.1, 0.6, 3.0, 33.0)))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._wait(seconds)

    # -- what must hold

    @invariant()
    def a_session_begins_once_and_ends_once_and_last(self) -> None:
        """And no text of an INFO is heard twice."""
        for end in self.ends:
            told: dict[str, list[type]] = defaultdict(list)
            for event in end.events:
                if hasattr(event, "session_id"):
                    told[event.session_id].append(type(event))
            for kinds in told.values():
                for once in (InviteReceived, SessionAnswered, SessionConfirmed, SessionEnded):
                    assert kinds.count(once) <= 1, kinds
                assert SessionEnded not in kinds[:-1], kinds
            invites = [event.request.call_id for event in end.events if isinstance(event, InviteReceived)]
            assert len(invites) == len(set(invites)), "a call came twice"
            heard = [event.request.body for event in end.events if isinstance(event, DialogRequestReceived)]
            assert len(heard) == len(set(heard)), "an INFO was heard twice"

    def teardown(self) -> None:
        """Let both hang up and all be carried: nothing is left of any call."""
        self._rest()
        for end in self.ends:
            for session in end.core.live():
                with suppress(ActionRefused):
                    end.core.hangup(session.session_id, self.now)
        self._drain()
        self._rest()
        for end in self.ends:
            assert end.core.live() == []
            assert len(end.core._table) == 0
            assert len(end.core._context.transactions) == 0
            assert end.core.next_deadline() is None
            ended = sum(isinstance(event, SessionEnded) for event in end.events)
            begun = sum(isinstance(event, InviteReceived) for event in end.events)
            assert ended == begun + len(end.dialled)

    # -- inside

    def _rest(self) -> None:
        self.deliver_all()
        for _ in range(2):
            self._settle()
            self._wait(_PEACE, arrives=True)

    def _settle(self) -> None:
        """Answer all that waits for an answer, as users do in the end."""
        for end in self.ends:
            for event in end.events:
                if isinstance(event, ReinviteReceived):
                    with suppress(ActionRefused):
                        end.core.accept_reinvite(event.session_id, ANSWER, self.now)
                elif isinstance(event, DialogRequestReceived):
                    end.core.respond(event.key, make_response(event.request, 200), self.now)
        self._drain()
        self.deliver_all()

    def _sides(self, side: int) -> tuple[End, End]:
        return self.ends[side % 2], self.ends[1 - side % 2]

    def _do(self, side: int, number: int, action: Callable[[Sessions, str], object]) -> None:
        """Let a user do something with one of its calls; a session may say that this cannot be."""
        end, _ = self._sides(side)
        if sessions := end.core.live():
            with suppress(ActionRefused):
                action(end.core, sessions[number % len(sessions)].session_id)
            self._drain()

    def _receive(self, end: End, text: str) -> None:
        end.core.receive(parse(text), self.now)
        self._drain()

    def _drain(self) -> None:
        for end, other in (self.ends, self.ends[::-1]):
            end.drain(other)

    def _wait(self, seconds: float, *, arrives: bool = False) -> None:
        """Stop at each deadline of either end; ``arrives``: what leaves meanwhile arrives at once."""
        until = self.now + seconds
        while True:
            deadlines = [at for end in self.ends if (at := end.core.next_deadline()) is not None]
            self.now = min([*(max(at, self.now) for at in deadlines), until])
            for end in self.ends:
                end.core.tick(self.now)
            self._drain()
            if arrives:
                self.deliver_all()
            if self.now >= until:
                return


def test_whatever_the_way_does_a_call_begins_and_ends_once_and_nothing_of_it_is_left() -> None:
    explore(Dialogs, examples=80, steps=60)
