"""[core] Actions: what a user wants, whichever window it was said in."""

from typing import Literal

from .base import Wire
from .state import ReplyKind

ReplyDirection = Literal["to_caller", "from_caller"]
"""Who calls: ``to_caller`` means that we do."""

ReplyUnits = Literal["minutes", "hours", "days"]


class Dial(Wire, tag="dial", frozen=True, kw_only=True, omit_defaults=True):
    """Call ``target``, a number or extension. Done, with the new call's id, when the service has it."""

    target: str
    caller_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    transfer_of: str = ""  # the held call that this one consults about


class Answer(Wire, tag="answer", frozen=True, kw_only=True):
    """Answer a ringing inbound call, with the sound at the window that asks."""

    call_id: str


class Decline(Wire, tag="decline", frozen=True, kw_only=True):
    """Refuse a ringing inbound call. The service, if it offers that, tells the caller by an announcement."""

    call_id: str


class ToVoicemail(Wire, tag="to_voicemail", frozen=True, kw_only=True):
    """Send the caller of a ringing call to voicemail."""

    call_id: str


class Forward(Wire, tag="forward", frozen=True, kw_only=True):
    """Send the caller of a ringing call to ``target``, a number or extension."""

    call_id: str
    target: str


class StartReply(Wire, tag="start_reply", frozen=True, kw_only=True):
    """Tell the service that a reply is being written: it lets the call ring for longer."""

    call_id: str


class SendReply(Wire, tag="send_reply", frozen=True, kw_only=True, omit_defaults=True):
    """Have the service read a message to the caller of a ringing call. Done when the caller has chosen.

    ``text`` belongs to ``TEXT``; ``direction`` to ``CALL_YOU_BACK`` and ``CALL_YOU_BACK_LATER``; ``delay`` (1
    to 999) and ``units`` to ``CALL_YOU_BACK``.
    """

    call_id: str
    kind: ReplyKind = ReplyKind.TEXT
    text: str = ""
    direction: ReplyDirection = "to_caller"
    delay: int = 0
    units: ReplyUnits = "minutes"


class Hangup(Wire, tag="hangup", frozen=True, kw_only=True):
    """End a call in whatever state it is: CANCEL, BYE or a refusal."""

    call_id: str


class Hold(Wire, tag="hold", frozen=True, kw_only=True):
    """Put an answered call on hold (re-INVITE, ``a=sendonly``)."""

    call_id: str


class Unhold(Wire, tag="unhold", frozen=True, kw_only=True):
    """Take a call off hold (re-INVITE, ``a=sendrecv``)."""

    call_id: str


class Mute(Wire, tag="mute", frozen=True, kw_only=True):
    """Send silence instead of the microphone."""

    call_id: str


class Unmute(Wire, tag="unmute", frozen=True, kw_only=True):
    """Send the microphone again."""

    call_id: str


class SendDtmf(Wire, tag="send_dtmf", frozen=True, kw_only=True):
    """Send ``tones`` (``0-9*#A-D``, at most 32) on the media stream (RFC 4733)."""

    call_id: str
    tones: str


class Transfer(Wire, tag="transfer", frozen=True, kw_only=True):
    """Send an answered call's far end to ``target`` (REFER, RFC 3515). Done when it is answered there."""

    call_id: str
    target: str


class CompleteTransfer(Wire, tag="complete_transfer", frozen=True, kw_only=True, omit_defaults=True):
    """Connect the far end of a consultation call with that of the call it consults about (RFC 5589 §7).

    ``transfer_of`` is the latter; default: what the call was dialled for.
    """

    call_id: str
    transfer_of: str = ""


class StartRecording(Wire, tag="start_recording", frozen=True, kw_only=True):
    """Have the service record an answered call."""

    call_id: str


class StopRecording(Wire, tag="stop_recording", frozen=True, kw_only=True):
    """End the recording."""

    call_id: str


class Flip(Wire, tag="flip", frozen=True, kw_only=True):
    """Have the service call ``target``, another phone of the same person, which takes the call over."""

    call_id: str
    target: str


class Park(Wire, tag="park", frozen=True, kw_only=True, omit_defaults=True):
    """Park an answered call: at a place that the service chooses, or privately under the name ``slot``."""

    call_id: str
    slot: str = ""


class ReInvite(Wire, tag="re_invite", frozen=True, kw_only=True):
    """Give an answered call a new connection for its sound (re-INVITE with new ICE and DTLS)."""

    call_id: str


Action = (
    Dial
    | Answer
    | Decline
    | ToVoicemail
    | Forward
    | StartReply
    | SendReply
    | Hangup
    | Hold
    | Unhold
    | Mute
    | Unmute
    | SendDtmf
    | Transfer
    | CompleteTransfer
    | StartRecording
    | StopRecording
    | Flip
    | Park
    | ReInvite
)
