"""What windows may ask of a call, and when it must be refused."""

from collections.abc import Callable

from shared.messages import (
    Action,
    Answer,
    Call,
    CallState,
    CompleteTransfer,
    Decline,
    Direction,
    Flip,
    Forward,
    Hangup,
    Hold,
    Mute,
    Park,
    ReInvite,
    SendDtmf,
    SendReply,
    StartRecording,
    StartReply,
    StopRecording,
    ToVoicemail,
    Transfer,
    Unhold,
    Unmute,
)

#: For calls that come in and ring, and for calls that are answered. Hangup is for all.
RINGING: tuple[Callable[[str], Action], ...] = (
    lambda call: Answer(call_id=call),
    lambda call: Decline(call_id=call),
    lambda call: ToVoicemail(call_id=call),
    lambda call: Forward(call_id=call, target="102"),
    lambda call: StartReply(call_id=call),
    lambda call: SendReply(call_id=call, text="later"),
)
ANSWERED: tuple[Callable[[str], Action], ...] = (
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
VERBS: tuple[Callable[[str], Action], ...] = (*RINGING, *ANSWERED, lambda call: Hangup(call_id=call))
SHOWN_BY: dict[type, tuple[str, bool]] = {
    Hold: ("held", True),
    Unhold: ("held", False),
    Mute: ("muted", True),
    Unmute: ("muted", False),
}


def refusal(action: Action, call: Call | None) -> str | None:
    """Return the code with which an action must be refused at once, None where it may be done."""
    if call is None or call.state.is_final:
        return "no_such_call"
    if isinstance(action, Hangup):
        return None
    is_inbound = call.direction is Direction.INBOUND
    if any(type(verb("")) is type(action) for verb in RINGING):
        return None if is_inbound and call.state is CallState.RINGING else "wrong_state"
    return None if call.state is CallState.ANSWERED else "wrong_state"
