"""[core] Actions: what a user wants, whichever window it was said in."""

from .base import Wire


class Dial(Wire, tag="dial", frozen=True, kw_only=True, omit_defaults=True):
    """Call ``target``, a number or extension. Done, with the new call's id, when the INVITE was sent."""

    target: str
    caller_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    transfer_of: str = ""  # the held call that this one consults about


class Answer(Wire, tag="answer", frozen=True, kw_only=True):
    """Answer a ringing inbound call, with the sound at the window that asks."""

    call_id: str


class Decline(Wire, tag="decline", frozen=True, kw_only=True):
    """Refuse a ringing inbound call."""

    call_id: str


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


class CompleteTransfer(Wire, tag="complete_transfer", frozen=True, kw_only=True):
    """Connect the far end of a consultation call with that of the call it consults about (RFC 5589 §7)."""

    call_id: str


Action = (
    Dial | Answer | Decline | Hangup | Hold | Unhold | Mute | Unmute | SendDtmf | Transfer | CompleteTransfer
)
