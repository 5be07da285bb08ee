"""Every verb in every state of a call, one by one: chance alone would seldom come to some of them."""

from collections.abc import Callable

import pytest

from shared.messages import Action, Call, CallState, CompleteTransfer, Dial, Direction, Done, Hangup, Refused

from ..fakes import Rig
from ..talks import answered
from .verbs import VERBS, refusal


def incoming(rig: Rig) -> None:
    rig.ring()


def dialled(rig: Rig) -> None:
    rig.is_cut = True
    rig.ask(Dial(target="199"))
    rig.run()


def ringing_there(rig: Rig) -> None:
    rig.do(Dial(target="199"))
    rig.far.progress(rig.far.live()[-1].session_id, 180, rig.now)
    rig.run()


def talking(rig: Rig) -> None:
    answered(rig)


def over(rig: Rig) -> None:
    rig.do(Hangup(call_id=answered(rig).call_id))


STATES: dict[Callable[[Rig], None], tuple[Direction, CallState]] = {
    incoming: (Direction.INBOUND, CallState.RINGING),
    dialled: (Direction.OUTBOUND, CallState.INIT),
    ringing_there: (Direction.OUTBOUND, CallState.RINGING),
    talking: (Direction.INBOUND, CallState.ANSWERED),
    over: (Direction.INBOUND, CallState.DISPOSED),
}


def sent(rig: Rig) -> tuple[list[str], list[str]]:
    """Return all that left for the service and for the media hosts."""
    return rig.frames.copy(), [repr(command) for command in rig.commands]


def check(rig: Rig, action: Action, call: Call | None) -> None:
    """Ask for ``action``: what must be refused is refused at once and does nothing else."""
    before = sent(rig)
    reply = rig.do(action)
    expected = refusal(action, call)
    if isinstance(action, CompleteTransfer):
        expected = expected or "no_such_call"  # the other one, whatever this one's state
    if expected is None:
        assert isinstance(reply, Done | None) or reply.code not in ("wrong_state", "no_such_call"), reply
    else:
        assert isinstance(reply, Refused)
        assert reply.code == expected
        assert sent(rig) == before


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: type(verb("")).__name__)
@pytest.mark.parametrize("begin", STATES, ids=lambda begin: begin.__name__)
def test_a_verb_is_refused_where_it_makes_no_sense_and_only_there(
    begin: Callable[[Rig], None], verb: Callable[[str], Action]
) -> None:
    rig = Rig()
    begin(rig)
    call = rig.call()
    assert (call.direction, call.state) == STATES[begin]
    check(rig, verb(call.call_id), call)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: type(verb("")).__name__)
def test_a_verb_for_a_call_that_never_was_is_refused(verb: Callable[[str], Action]) -> None:
    check(Rig(), verb("nothing"), None)
