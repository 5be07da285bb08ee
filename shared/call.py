"""One call as a program sees it: its newest state, and verbs that become actions for the leader."""

from collections.abc import Callable
from typing import Protocol

from .call_facts import CallFacts
from .errors import ActionRefused, CallFailed, CallLost
from .messages import (
    Action,
    Answer,
    CallState,
    Cause,
    CompleteTransfer,
    Decline,
    Done,
    Flip,
    Flipped,
    Forward,
    Hangup,
    Hold,
    MediaState,
    Mute,
    Park,
    Parked,
    ReInvite,
    Replied,
    ReplyDirection,
    ReplyKind,
    ReplyUnits,
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
from .messages import Call as CallView

#: Seconds that a transfer may take: its target rings meanwhile.
TRANSFER_TIME = 35.0
#: Seconds that a reply may take: the caller listens to it, and chooses.
REPLY_TIME = 195.0
#: Seconds that the service may take to say what became of a request in a call.
SERVICE_TIME = 12.0
#: Seconds that tones may take, and more for each: they are sent one after the other.
DTMF_TIME, TONE_TIME = 5.0, 0.25


class CallOwner(Protocol):
    """What a call needs of its phone."""

    @property
    def instance(self) -> str:
        """The id of this process in the group."""

    async def perform(self, action: Action, time: float | None = None) -> Done:
        """Have the leader do ``action``."""

    async def dial(self, number: str, *, caller_id: str, transfer_of: str) -> "Call":
        """Begin a call that consults about another."""

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when ``condition`` holds."""


class Call(CallFacts):
    """One call. Its attributes are those of :class:`shared.messages.Call`, always the newest known.

    All verbs raise :exc:`ActionRefused` when nothing was done, and :exc:`OutcomeUnknown` when nobody can
    know.
    """

    def __init__(self, phone: CallOwner, view: CallView) -> None:
        super().__init__(view)
        self._phone = phone

    def __repr__(self) -> str:
        return f"<Call {self.call_id} {self.direction} {self.state} {self.remote_number}>"

    @property
    def is_here(self) -> bool:
        """Whether this very process has the call's sound."""
        return self._view.media_host == self._phone.instance

    async def answer(self) -> None:
        """Answer it here: this window's microphone and loudspeaker are used."""
        await self._phone.perform(Answer(call_id=self.call_id))

    async def decline(self) -> None:
        """Refuse it while it rings; the caller hears an announcement, if the service has one."""
        await self._phone.perform(Decline(call_id=self.call_id))

    async def to_voicemail(self) -> None:
        """Send the caller to voicemail, while it rings."""
        await self._phone.perform(ToVoicemail(call_id=self.call_id))

    async def forward(self, number: str) -> None:
        """Send the caller to ``number``, while it rings."""
        await self._phone.perform(Forward(call_id=self.call_id, target=number))

    async def start_reply(self) -> None:
        """Tell the service that a reply is being written, so that it lets the call ring for longer."""
        await self._phone.perform(StartReply(call_id=self.call_id))

    async def reply(
        self,
        text: str = "",
        *,
        kind: ReplyKind = ReplyKind.TEXT,
        direction: ReplyDirection = "to_caller",
        delay: int = 0,
        units: ReplyUnits = "minutes",
    ) -> Replied:
        """Have the service read ``text``, or a sentence of its own, to the caller; return what that chose.

        The call ends here at once; the caller may take minutes to choose.

        Args:
            text: At most 500 characters; for ``kind=ReplyKind.TEXT`` only.
            kind: Which sentence.
            direction: Who will call, for ``CALL_YOU_BACK`` and ``CALL_YOU_BACK_LATER``.
            delay: In how many ``units`` (1 to 999), for ``CALL_YOU_BACK``.
            units: See ``delay``.

        Raises:
            ActionRefused: With ``not_allowed`` if the service does not offer it for this call.
            OutcomeUnknown: The caller was told perhaps, and what it chose was not heard of.
        """
        action = SendReply(
            call_id=self.call_id, kind=kind, text=text, direction=direction, delay=delay, units=units
        )
        done = await self._phone.perform(action, REPLY_TIME)
        return done.value if isinstance(done.value, Replied) else Replied()

    async def hangup(self) -> None:
        """End it, in whatever state it is."""
        await self._phone.perform(Hangup(call_id=self.call_id))

    async def hold(self) -> None:
        """Put it on hold."""
        await self._phone.perform(Hold(call_id=self.call_id))

    async def unhold(self) -> None:
        """Take it off hold."""
        await self._phone.perform(Unhold(call_id=self.call_id))

    async def mute(self) -> None:
        """Send silence instead of the microphone."""
        await self._phone.perform(Mute(call_id=self.call_id))

    async def unmute(self) -> None:
        """Send the microphone again."""
        await self._phone.perform(Unmute(call_id=self.call_id))

    async def transfer(self, target: str) -> None:
        """Send the far end to ``target``; return when it is answered there, and so is over here."""
        await self._phone.perform(Transfer(call_id=self.call_id, target=target), TRANSFER_TIME)

    async def warm_transfer(self, target: "str | Call", *, caller_id: str = "") -> "Consultation":
        """Hold this call and call ``target``; return when that is answered, to be asked about this one.

        ``target`` may be another call that there is already: then nobody is called.

        Raises:
            CallFailed, CallLost: ``target`` could not be reached; this call stays on hold.
        """
        if not self.held:
            await self.hold()
        if isinstance(target, Call):
            return Consultation(self._phone, self, target, is_new=False)
        call = await self._phone.dial(target, caller_id=caller_id, transfer_of=self.call_id)
        await call.answered()
        return Consultation(self._phone, self, call)

    async def send_dtmf(self, tones: str) -> None:
        """Send ``tones``, 1 to 32 of ``0-9*#A-D``; return when the last one has sounded."""
        await self._phone.perform(
            SendDtmf(call_id=self.call_id, tones=tones), DTMF_TIME + TONE_TIME * len(tones)
        )

    async def start_recording(self) -> None:
        """Have the service record it; :attr:`recording` shows it in every window."""
        await self._phone.perform(StartRecording(call_id=self.call_id), SERVICE_TIME)

    async def stop_recording(self) -> None:
        """End the recording."""
        await self._phone.perform(StopRecording(call_id=self.call_id), SERVICE_TIME)

    async def flip(self, number: str) -> str:
        """Have the service call ``number``, another phone of the same person, which takes it over.

        Return the number that it calls. The call stays here until somebody hangs up.
        """
        done = await self._phone.perform(Flip(call_id=self.call_id, target=number), SERVICE_TIME)
        return done.value.number if isinstance(done.value, Flipped) else number

    async def park(self, slot: str = "") -> str:
        """Park it: it is over here, and waits for :meth:`Phone.retrieve` at the place that is returned.

        With ``slot`` it is parked privately, under that name.

        Raises:
            ActionRefused: With ``wrong_state`` and status 486 if the far end still rings.
        """
        time = TRANSFER_TIME if slot else SERVICE_TIME
        done = await self._phone.perform(Park(call_id=self.call_id, slot=slot), time)
        return done.value.location if isinstance(done.value, Parked) else ""

    async def re_invite(self) -> None:
        """Give its sound a new connection: after a change of network, or when nothing is heard any more."""
        await self._phone.perform(ReInvite(call_id=self.call_id), SERVICE_TIME)

    async def answered(self) -> None:
        """Return when it is answered.

        Raises:
            CallFailed: The far end refused, or did not answer; has its SIP status.
            CallLost: A process that it needs has died.
        """
        await self._phone.until(lambda: self.state not in (CallState.INIT, CallState.RINGING))
        if self.state is not CallState.ANSWERED and self._view.answered_at is None:
            raise self._failure()

    async def connected(self) -> None:
        """Return when its sound is connected.

        Raises:
            CallFailed, CallLost: It is over before that.
        """
        await self._phone.until(lambda: self.media is MediaState.CONNECTED or self.state.is_final)
        if self.state.is_final:
            raise self._failure()

    async def ended(self) -> Cause:
        """Return when it is over, and why."""
        await self._phone.until(lambda: self.state.is_final)
        return self._view.cause or Cause.LOST

    def _failure(self) -> CallFailed | CallLost:
        if self.cause is Cause.LOST:
            return CallLost(self._view.reason or "the call was lost")
        reason = self._view.reason or (self.cause or "failed").replace("_", " ")
        return CallFailed(self._view.status, reason)

    def update(self, view: CallView) -> None:
        """Take the newest state. Called by the phone only."""
        self._view = view


class Consultation:
    """Two calls of which one is asked about the other: the held ``original`` and the ``call``."""

    def __init__(self, phone: CallOwner, original: Call, call: Call, *, is_new: bool = True) -> None:
        self._phone, self.original, self.call, self._is_new = phone, original, call, is_new

    async def complete(self) -> None:
        """Connect the two far ends with each other; both calls are over here."""
        action = CompleteTransfer(call_id=self.call.call_id, transfer_of=self.original.call_id)
        await self._phone.perform(action, TRANSFER_TIME)

    async def cancel(self) -> None:
        """Hang up the call, if it was made for this, and take the original off hold."""
        if self._is_new and not self.call.state.is_final:
            try:
                await self.call.hangup()
            except ActionRefused as exc:
                if exc.code != "no_such_call":  # else it has just ended, which is what we want
                    raise
        await self.original.unhold()
